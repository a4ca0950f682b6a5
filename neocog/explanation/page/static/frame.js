// What the views of layers have in common: the choice of a channel, figures in a row, a formula.

import { el } from "./dom.js";

/** A view of these parts, brought up to date by `update`. */
export function frame(channels, figures, formula, update) {
  const node = el("div", {}, channels.node, el("div", { class: "across" }, figures), formula);
  update();
  return { node, update };
}
