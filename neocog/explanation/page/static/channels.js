// A layer's channels as a row of small pictures, to choose one from.

import { el, put, select } from "./dom.js";
import { folded, inLines, paint } from "./picture.js";

/** The numbers that a layer shows: its output, or on the way back its gradient. */
export function numbersOf(layer, side) {
  return side === "backward" ? layer.gradient : layer.output;
}

/** One channel as a small picture. */
export function thumbnail(layer, side, channel) {
  const numbers = numbersOf(layer, side);
  const canvas = el("canvas", { class: "thumbnail" });
  if (!numbers.isMap) {
    const width = folded(numbers.values.length);
    paint(canvas, inLines(numbers.values, width), width, numbers.reach);
  } else if (numbers.has(channel))
    paint(canvas, numbers.part(channel), numbers.width, numbers.reach);
  return canvas;
}

/** The place for that row above a layer's view; `update` redraws it. */
export class Channels {
  constructor(page, layer) {
    this.page = page;
    this.layer = layer;
    this.node = el("div");
    this.update();
  }

  update() {
    const choose = (channel) => this.page.go({ channel });
    put(this.node, channelRow(this.layer, this.page.side, this.page.channel, choose));
  }
}

/** Buttons for the channels that matter most, and a list of all. */
export function channelRow(layer, side, chosen, choose) {
  const total = layer.shape[0];
  if (layer.shape.length !== 3 || total === 1) return null;
  const shown = layer.shown.includes(chosen) ? layer.shown : [chosen, ...layer.shown.slice(0, -1)];
  const buttons = shown.map((channel) =>
    el(
      "button",
      {
        type: "button",
        class: "channel",
        "aria-pressed": String(channel === chosen),
        "aria-label": `channel ${channel}`,
        onclick: () => choose(channel),
      },
      thumbnail(layer, side, channel),
      el("span", {}, channel),
    ),
  );
  const all =
    total > shown.length &&
    select(
      shown.length === 1
        ? `the one of ${total} channels that matters most for the loss; another:`
        : `the ${shown.length} of ${total} channels that matter most for the loss; another:`,
      Array.from({ length: total }, (_, n) => [n, n]),
      chosen,
      choose,
    );
  return el("div", { class: "channels", role: "group", "aria-label": "channel" }, buttons, all);
}
