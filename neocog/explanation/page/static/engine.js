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

/** Behind the gradient that a layer gives to one that it reads, to which others may add theirs. */
export function passedOn(net, source, value) {
  if (net.readers(source) === 1) return byEngine(value);
  return [" from this layer; with the gradients from its other readers, ", written(value)];
}
