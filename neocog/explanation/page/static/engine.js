// The engine's own number beside the one that the page has computed.

import { el } from "./dom.js";
import { written } from "./numbers.js";

const number = (value) => el("span", { "data-engine": value }, written(value));

/** Behind a result, in brackets. */
export function byEngine(value) {
  return el("span", { class: "note" }, " (engine: ", number(value), ")");
}

/** In a line of its own. */
export function engineNote(value) {
  return el("p", { class: "note" }, "The engine computed ", number(value), ".");
}
