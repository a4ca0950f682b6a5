// The way through the network: its layers from left to right, with their maps as small pictures.

import { thumbnail } from "./channels.js";
import { el, put } from "./dom.js";
import { count } from "./numbers.js";
import { rails, readsPrevious } from "./rails.js";

const BESIDE = 8;

/** The row of layers; `choose(name)` is called when a layer is clicked. */
export class Strip {
  constructor(net, choose) {
    this.net = net;
    this.buttons = new Map();
    this.pictures = Math.max(2, Math.min(BESIDE, Math.floor(64 / net.layers.length)));
    this.node = el(
      "nav",
      {
        class: `strip ${net.layers.length <= 12 ? "few" : ""}`,
        "aria-label": "the network's layers, in the order they run",
      },
      this.way(choose),
    );
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  /** The whole row; if it is no chain, with lines above it. */
  way(choose) {
    const columns = this.columns(this.net.lanes, choose);
    const reads = readsOf(columns, this.net);
    const follow = reads.map((_, n) => readsPrevious(reads, n));
    if (follow.every(Boolean))
      return el(
        "div",
        { class: "row" },
        columns.map((column) => column.node),
      );
    const lines = rails(reads);
    return el(
      "div",
      { class: "row branching" },
      columns.map(({ names, sum, isSum, node }, n) => {
        // Of a block, its sum says what the block reads.
        if (!sum && !follow[isSum ? n - 1 : n]) this.say(this.net.get(names[0]));
        return el("div", { class: "column" }, lines[n], node);
      }),
    );
  }

  /** Say in a layer's button what it reads. */
  say({ name, reads }) {
    const after = this.buttons.get(name).querySelector(".name");
    after.after(el("span", { class: "from" }, `from ${reads.join(", ")}`));
  }

  /** The elements of a row, with the names of the layers in each and of the sum behind a block. */
  columns(lanes, choose) {
    return lanes.flatMap((item) => {
      if (typeof item === "string")
        return [{ names: [item], node: this.layer(this.net.get(item), choose) }];
      const within = item.lanes.map((lane) => this.columns(lane, choose));
      const rows = within.map((lane) =>
        lane.length
          ? el(
              "div",
              { class: "row" },
              lane.map((column) => column.node),
            )
          : el("div", { class: "row straight" }, "as it is"),
      );
      const names = within.flat().flatMap((column) => column.names);
      return [
        { names, sum: item.sum, node: el("div", { class: "block" }, rows) },
        { names: [item.sum], isSum: true, node: this.layer(this.net.get(item.sum), choose) },
      ];
    });
  }

  layer(layer, choose) {
    const button = el(
      "button",
      {
        type: "button",
        class: `layer of-${layer.kind}`,
        onclick: () => choose(layer.name),
        "data-layer": layer.name,
      },
      el("span", { class: "type" }, layer.kind === "sum" ? "+" : layer.type),
      el("span", { class: "name" }, layer.name.split(".").at(-1)),
      this.holder(layer),
      el("span", { class: "shape" }, layer.shape.join(" × ")),
      el("span", { class: "count" }, layer.parameters ? count(layer.parameters, "parameter") : ""),
    );
    button.setAttribute("title", [layer.name, layer.text].filter(Boolean).join(": "));
    this.buttons.set(layer.name, button);
    return button;
  }

  holder(layer) {
    return el("span", { class: "maps", "data-maps": layer.name, "aria-hidden": "true" });
  }

  /** Draw the maps, or their gradients on the way back. */
  paint(side) {
    for (const [name, button] of this.buttons) {
      const layer = this.net.get(name);
      const holder = button.querySelector(".maps");
      if (layer.kind === "image" && side === "forward") {
        put(holder, el("img", { src: this.net.image.src, alt: "" }));
      } else {
        const channels = layer.shape.length === 3 ? layer.shown.slice(0, this.pictures) : [0];
        put(
          holder,
          channels.map((channel) => thumbnail(layer, side, channel)),
        );
      }
    }
  }

  /** Mark the chosen layer, and scroll it into view. */
  mark(name) {
    for (const [each, button] of this.buttons) {
      if (each === name) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    const button = this.buttons.get(name);
    const middle = button.offsetLeft - (this.node.clientWidth - button.offsetWidth) / 2;
    this.node.scrollTo({ left: middle, behavior: "instant" });
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const name = event.target.closest("[data-layer]")?.dataset.layer;
    if (!step || !name) return;
    event.preventDefault();
    const names = this.net.layers.map((layer) => layer.name);
    const next = names[Math.max(0, Math.min(names.length - 1, names.indexOf(name) + step))];
    this.buttons.get(next).focus();
    this.buttons.get(next).click();
  }
}

/** For each column of a row, which earlier ones its layers read; a block reads all of its sum's. */
function readsOf(columns, net) {
  const places = new Map(columns.flatMap(({ names }, n) => names.map((name) => [name, n])));
  return columns.map(({ names, sum, isSum }, n) => {
    if (isSum) return [n - 1];
    const read = [...names, ...(sum ? [sum] : [])].flatMap((name) => net.get(name).reads);
    return [...new Set(read.map((name) => places.get(name)))].filter((place) => place !== n);
  });
}
