// The way through the network: its layers from left to right, with their maps as small pictures.

import { thumbnail } from "./channels.js";
import { el, put } from "./dom.js";
import { count } from "./numbers.js";

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
      this.row(net.lanes, choose),
    );
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  row(lanes, choose) {
    return el(
      "div",
      { class: "row" },
      lanes.map((item) => {
        if (typeof item === "string") return this.layer(this.net.get(item), choose);
        return [
          el(
            "div",
            { class: "block" },
            item.lanes.map((lane) =>
              lane.length
                ? this.row(lane, choose)
                : el("div", { class: "row straight" }, "as it is"),
            ),
          ),
          this.layer(this.net.get(item.sum), choose),
        ];
      }),
    );
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
