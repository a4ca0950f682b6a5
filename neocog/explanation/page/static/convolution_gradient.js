// A convolution on the way back: a weight's gradient as a sum over places, and the input's gradient.

import { channelRow } from "./channels.js";
import { el, figure, put, select } from "./dom.js";
import { engineNote } from "./engine.js";
import { Grid } from "./grid.js";
import { channelName } from "./network.js";
import { largest } from "./data.js";
import { group, met, read } from "./products.js";
import { square } from "./square.js";
import { written } from "./numbers.js";

/** The view. */
export function convolutionGradient(page, layer) {
  const view = new View(page, layer);
  const node = el("div");
  const update = () => put(node, view.content());
  update();
  return { node, update };
}

class View {
  constructor(page, layer) {
    this.page = page;
    this.layer = layer;
    this.source = page.net.source(layer);
    /** The choices here: a weight, the input channel of its kernel, and the channel of the input. */
    this.chosen = page.chosen(layer, {
      tap: Math.floor((layer.details.kernel[0] * layer.details.kernel[1]) / 2),
      parts: new Map(),
      onwards: null,
    });
  }

  /** Choose a weight, a part or a channel, and show it. */
  choose(choice) {
    Object.assign(this.chosen, choice);
    this.page.view.update();
  }

  content() {
    const { page, layer } = this;
    this.delta = layer.gradient.part(page.channel);
    [this.first, this.inputs] = group(layer, page.channel);
    /** The engine's gradient of this channel's kernel, if this file has it. */
    this.known = layer.weightGradient.has(page.channel)
      ? layer.weightGradient.part(page.channel)
      : null;
    // A choice that was made for the user stays too when the numbers change.
    const { parts } = this.chosen;
    if (!parts.has(page.channel)) parts.set(page.channel, this.strongestPart());
    this.part = parts.get(page.channel);
    this.tap = this.chosen.tap;
    const choose = (channel) => page.go({ channel });
    const row = channelRow(layer, "backward", page.channel, choose);
    if (this.part === undefined) {
      const none = "None of the maps that this kernel reads is in this file. neocog explore has all.";
      return [row, el("p", { class: "note" }, none)];
    }
    return [row, this.partChoice(), this.draw()];
  }

  /** The engine's gradient of the kernel's part for an input channel. */
  ofPart(part) {
    const [height, width] = this.layer.details.kernel;
    return this.known.subarray(part * height * width, (part + 1) * height * width);
  }

  /** The parts of the kernel whose input channels are here. */
  partsHere() {
    const all = Array.from({ length: this.inputs }, (_, part) => part);
    return all.filter((part) => this.source.output.has(this.first + part));
  }

  strongestPart() {
    const here = this.partsHere();
    if (!this.known) return here[0];
    const sizes = here.map((part) => largest(this.ofPart(part)));
    return here[sizes.indexOf(Math.max(...sizes))];
  }

  partChoice() {
    if (this.inputs === 1) return null;
    const options = this.partsHere().map((part) => [
      part,
      channelName(this.source, this.first + part),
    ]);
    const choose = (part) =>
      this.choose({ parts: new Map(this.chosen.parts).set(this.page.channel, part) });
    return el(
      "div",
      { class: "controls" },
      select("Of the kernel, the part for", options, this.part, choose),
    );
  }

  /** The input that a weight reads at each place, times the gradient there, and the sum. */
  terms(tap) {
    const [, width] = this.layer.details.kernel;
    const [, rows, columns] = this.layer.shape;
    const i = Math.floor(tap / width);
    const j = tap % width;
    const seen = new Float32Array(rows * columns);
    const products = new Float32Array(rows * columns);
    let sum = 0;
    for (let n = 0; n < seen.length; n++) {
      const [y, x] = met(this.layer, Math.floor(n / columns), n % columns, i, j);
      seen[n] = read(this.layer, this.source.output, this.first + this.part, y, x);
      products[n] = seen[n] * this.delta[n];
      sum += seen[n] * this.delta[n];
    }
    return { i, j, seen, products, sum };
  }

  draw() {
    const { page, layer } = this;
    const found = this.terms(this.tap);
    const [height, width] = layer.details.kernel;
    const name = channelName(this.source, this.first + this.part);
    const kernel = this.known
      ? this.ofPart(this.part)
      : Array.from({ length: height * width }, (_, tap) => this.terms(tap).sum);
    const press = (tap) => this.choose({ tap });
    const map = (title, values, reach, words) =>
      figure(title, new Grid({ label: title }).show(values, layer.shape[2], reach).node, words);
    return [
      el(
        "div",
        { class: "across five" },
        figure(
          "The kernel’s gradient",
          square(`∂loss/∂w of kernel ${page.channel}, ${name}`, kernel, width, {
            press,
            pressed: this.tap,
          }),
          `Kernel ${page.channel}, ${name}. Choose a weight.`,
        ),
        map(
          `What weight (${found.i}, ${found.j}) met`,
          found.seen,
          this.source.output.reach,
          `What this weight reads of ${name} at each place of the kernel.`,
        ),
        map(
          "× gradient of the output",
          this.delta,
          largest(this.delta),
          `∂loss/∂y of channel ${page.channel}.`,
        ),
        map(
          "= the product at each place",
          found.products,
          largest(found.products),
          `Added up: ${written(found.sum)}.`,
        ),
        this.inputGradient(),
      ),
      this.formula(found),
    ];
  }

  formula({ i, j, sum }) {
    const { channel } = this.page;
    const [, width] = this.layer.details.kernel;
    const [top, left] = met(this.layer, 0, 0, i, j);
    const [down, right] = this.layer.details.stride;
    const at = (letter, stride, shift) => {
      const times = stride === 1 ? letter : `${stride}${letter}`;
      return shift ? `${times} ${shift < 0 ? "−" : "+"} ${Math.abs(shift)}` : times;
    };
    const input = `${this.first + this.part}, ${at("r", down, top)}, ${at("q", right, left)}`;
    const engine = this.known && this.ofPart(this.part)[i * width + j];
    return el(
      "div",
      { class: "formula", "data-formula": "kernel-gradient" },
      el(
        "p",
        {},
        `∂loss/∂w[${channel}, ${this.part}, ${i}, ${j}] = Σ`,
        el("sub", {}, "r,q"),
        ` ∂loss/∂y[${channel}, r, q] · x[${input}] = `,
        el("strong", { "data-result": sum }, written(sum)),
      ),
      this.known && engineNote(engine),
      this.layer.bias &&
        el(
          "p",
          {},
          `∂loss/∂b[${channel}] = Σ ∂loss/∂y[${channel}, r, q] = ` +
            written(this.layer.biasGradient.values[channel]),
        ),
    );
  }

  /** The gradient of the input, channel by channel. */
  inputGradient() {
    const { page, source } = this;
    const { gradient } = source;
    const here = gradient.rows ?? Array.from({ length: source.shape[0] }, (_, n) => n);
    if (!here.length) return null;
    const others = page.net.readers(source) > 1 ? ", and the gradients from its other readers" : "";
    const options = here.map((n) => [n, channelName(source, n)]);
    const channel = here.includes(this.chosen.onwards) ? this.chosen.onwards : here[0];
    const name = channelName(source, channel);
    const grid = new Grid({ label: `gradient of the input, ${name}` });
    grid.show(gradient.part(channel), gradient.width, gradient.reach);
    return figure(
      "What the layer before gets",
      grid.node,
      here.length > 1
        ? select("Of", options, channel, (onwards) => this.choose({ onwards }))
        : null,
      ` ∂loss/∂x of ${name}: each input number gets, from every place of every kernel that saw ` +
        `it, weight × gradient there, added up${others}.`,
    );
  }
}
