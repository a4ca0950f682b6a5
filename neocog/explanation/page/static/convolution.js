// A convolution, number by number: the patch, the kernel, their products, the sum.

import { Channels } from "./channels.js";
import { choice, el, figure, put, select } from "./dom.js";
import { engineNote } from "./engine.js";
import { Grid } from "./grid.js";
import { inputsOf } from "./needs.js";
import { channelName } from "./network.js";
import { largest } from "./data.js";
import { biasOf, borderOf, group, met, parts, span, trueMap } from "./products.js";
import { square } from "./square.js";
import { count, written } from "./numbers.js";

// Input channels whose products are written out; the others are added up in one line.
const WRITTEN = 3;

// The most columns of a kernel whose tables fit between the maps.
const WIDEST = 3;

// Milliseconds between two steps.
const SPEEDS = { slow: 400, fast: 25 };

/** The view. */
export function convolution(page, layer) {
  return new View(page, layer);
}

class View {
  constructor(page, layer) {
    this.page = page;
    this.layer = layer;
    this.source = page.net.source(layer);
    /** The choices here, kept after this view is left: speed, flipped, and the input's channel. */
    this.chosen = page.chosen(layer, {
      speed: "fast",
      flipped: false,
      input: null, // the one that adds most
    });
    this.filling = false;
    this.channels = new Channels(page, layer);
    this.inputs = el("span");
    this.input = new Grid({
      label: "input map; point at a number to see the output that it is in the middle of",
      border: borderOf(layer),
      point: (row, column) => this.output.move(...this.middle(row, column)),
    });
    this.output = new Grid({
      label: "output map; point at a number to see its products",
      point: (row, column) => this.look(row, column),
    });
    this.words = Object.fromEntries(
      ["input", "tables", "output", "sum"].map((name) => [name, el("span")]),
    );
    const label = "patch, kernel and products of each input channel";
    const region = { class: "tables scroll", tabindex: "0", role: "region", "aria-label": label };
    this.tables = el("div", layer.details.kernel[1] > WIDEST ? region : { class: "tables" });
    this.formula = el("div", { class: "formula", "data-formula": "convolution" });
    this.node = this.build();
    this.update();
  }

  /** Show the page's channel and place, with the current numbers. */
  update() {
    this.channels.update();
    put(this.inputs, this.inputChoice());
    this.input.channel = undefined;
    this.showOutput();
    this.output.at(this.page.row, this.page.column);
    if (this.filling) this.output.reveal(this.place + 1);
    this.draw();
  }

  build() {
    const { layer } = this;
    const padded = borderOf(layer).some(Boolean);
    const { mode } = layer.details;
    const around = mode === "zeros" ? "zeros" : `copies of the map’s numbers (${mode})`;
    const frame = `The frame is the patch that one number is computed from${padded ? `; outside the dashed line is padding, ${around}` : ""}.`;
    return el(
      "div",
      {},
      this.channels.node,
      this.controls(),
      el(
        "div",
        { class: `across worked ${layer.details.kernel[1] > WIDEST ? "wide" : ""}` },
        figure(this.words.input, this.input.node, this.inputChoice() ? this.inputs : frame),
        figure("Patch × kernel", this.tables, this.words.tables),
        figure(this.words.output, this.output.node, this.words.sum),
      ),
      this.formula,
    );
  }

  controls() {
    const button = (text, does) => el("button", { type: "button", onclick: does }, text);
    const stepping = (by) => () => {
      this.pause();
      this.step(by);
    };
    this.play = button("▶ Play", () => (this.timer ? this.pause() : this.start()));
    this.play.classList.add("play");
    const speeds = Object.keys(SPEEDS).map((name) => [name, name]);
    const kinds = [
      [false, "as networks do"],
      [true, "true convolution"],
    ];
    const { output } = this.source;
    const absent = inputsOf(this.layer, this.page.channel).some((n) => !output.has(n));
    if (absent) this.chosen.flipped = false; // it would take all maps
    return el(
      "div",
      { class: "controls" },
      button("← Step back", stepping(-1)),
      button("Step →", stepping(1)),
      this.play,
      choice("speed", speeds, this.chosen.speed, (speed) => {
        this.chosen.speed = speed;
        if (this.timer) this.start();
      }),
      !absent &&
        choice("which convolution", kinds, this.chosen.flipped, (flipped) => {
          this.chosen.flipped = flipped;
          this.showOutput();
          this.draw();
        }),
    );
  }

  /** Which input channel is shown, if there are many. */
  inputChoice() {
    const [, inputs] = group(this.layer, this.page.channel);
    if (inputs <= WRITTEN) return null;
    const all = inputsOf(this.layer, this.page.channel)
      .filter((n) => this.source.output.has(n))
      .map((n) => [n, `channel ${n}`]);
    const options = [[null, "the one that contributes most"], ...all];
    if (!options.some(([channel]) => channel === this.chosen.input)) this.chosen.input = null;
    return select("Input shown:", options, this.chosen.input, (channel) => {
      this.chosen.input = channel;
      this.draw();
    });
  }

  /** The place in the output whose patch has this place of the input in its middle. */
  middle(row, column) {
    const [top, left] = met(this.layer, 0, 0);
    const [height, width] = span(this.layer);
    const [down, right] = this.layer.details.stride;
    return [
      Math.round((row - top - (height - 1) / 2) / down),
      Math.round((column - left - (width - 1) / 2) / right),
    ];
  }

  showInput(channel) {
    this.words.input.textContent = `Input: ${channelName(this.source, channel)}`;
    if (this.input.channel === channel) return;
    const { output } = this.source;
    this.input.channel = channel;
    this.input.show(output.part(channel), output.width, output.reach);
  }

  showOutput() {
    const { page, layer } = this;
    const { flipped } = this.chosen;
    const map = flipped ? trueMap(page.net, layer, page.channel) : layer.output.part(page.channel);
    const how = flipped ? ", by true convolution" : "";
    this.words.output.textContent = `Output: channel ${page.channel}${how}`;
    this.output.show(map, layer.shape[2], Math.max(layer.output.reach, largest(map)));
  }

  // Moving

  get place() {
    return this.output.row * this.layer.shape[2] + this.output.column;
  }

  get places() {
    return this.layer.shape[1] * this.layer.shape[2];
  }

  /** Show the place that is pointed at, and the whole map. */
  look() {
    if (this.filling) {
      this.filling = false;
      this.pause();
      this.output.reveal(Infinity);
    }
    this.draw();
  }

  /** Move on by some places; while the map fills in, only the numbers before the place are shown. */
  step(by) {
    const next = (this.place + by + this.places) % this.places;
    const width = this.layer.shape[2];
    this.output.at(Math.floor(next / width), next % width);
    if (this.filling) this.output.reveal(next + 1);
    this.draw();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "▶ Play";
  }

  start() {
    clearInterval(this.timer);
    const isAtEnd = () => this.place === this.places - 1;
    if (isAtEnd()) this.output.at(0, 0);
    this.filling = true;
    this.output.reveal(this.place + 1);
    const go = () => (isAtEnd() || !this.output.node.isConnected ? this.pause() : this.step(1));
    this.timer = setInterval(go, SPEEDS[this.chosen.speed]);
    this.play.textContent = "❚❚ Pause";
  }

  // Drawing

  /** Write out the number at the output's cursor. */
  draw() {
    const { page, layer, source } = this;
    const { row, column } = this.output;
    page.remember({ row, column });
    const all = parts(page.net, layer, page.channel, row, column, this.chosen.flipped);
    const bias = biasOf(layer, page.channel);
    const sum = all.reduce((total, part) => total + part.sum, bias);
    const absent = group(layer, page.channel)[1] - all.length;
    const total = absent ? layer.output.at(page.channel, row, column) : sum;
    const bySize = (a, b) => Math.abs(b.sum) - Math.abs(a.sum);
    const strongest = all.length > WRITTEN ? [...all].sort(bySize).slice(0, WRITTEN) : all;
    if (all.length) this.showInput(this.chosen.input ?? strongest[0].channel);
    const [top, left] = met(layer, row, column);
    this.input.at(
      Math.min(source.shape[1] - 1, Math.max(0, top)),
      Math.min(source.shape[2] - 1, Math.max(0, left)),
    );
    this.input.frame(top, left, ...span(layer));
    put(this.tables, this.terms(strongest));
    const rest = all.filter((part) => !strongest.includes(part));
    const found = { strongest, others: rest.length, bias, total, absent, unseen: total - sum };
    found.rest = rest.reduce((part, each) => part + each.sum, 0);
    this.say(all, found);
    put(
      this.formula,
      this.symbols(row, column),
      this.sum(found),
      absent ? this.unseen(found) : this.note(total),
    );
  }

  /** Patch × kernel = products, a row for each part. */
  terms(strongest) {
    const [, width] = this.layer.details.kernel;
    const weights = largest(this.layer.weight.part(this.page.channel));
    const products = Math.max(...strongest.map((part) => largest(part.products)));
    const sign = (text) => el("span", { class: "sign" }, text);
    const kernel = this.chosen.flipped ? "kernel, turned by 180°" : "kernel";
    return strongest.map((part) =>
      el(
        "div",
        { class: "terms", "data-channel": part.channel },
        el("span", { class: "which" }, channelName(this.source, part.channel)),
        square("patch", part.patch, width, {
          reach: this.source.output.reach,
          outside: part.outside,
        }),
        sign("×"),
        square(kernel, part.kernel, width, { reach: weights }),
        sign("="),
        square("products", part.products, width, { reach: products }),
        el("span", { class: "sum" }, `Σ = ${written(part.sum)}`),
      ),
    );
  }

  say(all, { strongest, others, rest, total, absent, unseen }) {
    const { row, column } = this.output;
    const sums = strongest.map((part) => written(part.sum)).join(", ");
    const left = `${count(absent, "other input channel")}, whose maps are not in this file, ${absent === 1 ? "adds" : "add"} ${written(unseen)}${absent === 1 ? "" : " together"}.`;
    const both = all.length + absent;
    const [height, width] = this.layer.details.kernel;
    this.words.tables.textContent = absent
      ? `${all.length} of ${both} input channels${all.length ? "" : " are in this file"}; ${left}`
      : others
      ? `The ${strongest.length} of ${all.length} input channels that contribute most here; ` +
        `${others === 1 ? "the other adds" : "the others add"} ${written(rest)}${others === 1 ? "" : " together"}.`
      : `What ${all.length === 1 ? "the input channel" : `each of ${all.length} input channels`} adds: ${sums}.`;
    this.words.sum.textContent =
      `Row ${row}, column ${column}: ${count(height * width * both, "product")} and ` +
      `${this.layer.bias ? "a bias" : "no bias"} make ${written(total)}.`;
  }

  /** The formula, with the indices of this place. */
  symbols(row, column) {
    const { channel } = this.page;
    const [first] = group(this.layer, channel);
    const [top, left] = met(this.layer, row, column);
    const [down, right] = this.layer.details.dilation;
    const at = (begin, times, letter) => {
      const moved = times === 1 ? letter : `${times}${letter}`;
      return begin ? `${begin < 0 ? "−" : ""}${Math.abs(begin)} + ${moved}` : moved;
    };
    const input = `${first ? `${first} + c` : "c"}, ${at(top, down, "i")}, ${at(left, right, "j")}`;
    return el(
      "p",
      {},
      `y[${channel}, ${row}, ${column}] = Σ`,
      el("sub", {}, "c,i,j"),
      ` w[${channel}, c, i, j] · x[${input}]${this.layer.bias ? ` + b[${channel}]` : ""}`,
    );
  }

  sum({ strongest, others, rest, bias, total, absent, unseen }) {
    return el(
      "p",
      {},
      "= ",
      strongest.map((part) => `(${written(part.sum)})`).join(" + "),
      others ? ` + (${written(rest)} from ${count(others, "other channel")})` : "",
      absent ? `${strongest.length ? " + " : ""}(${written(unseen)} from ${absent} not here)` : "",
      this.layer.bias ? ` + bias (${written(bias)})` : "",
      " = ",
      el("strong", absent ? { "data-engine": total } : { "data-result": total }, written(total)),
    );
  }

  /** Which part of the sum is a difference and no sum of products. */
  unseen({ absent }) {
    return el(
      "p",
      { class: "note" },
      `The result is the engine’s; what ${absent === 1 ? "the channel" : "the channels"} that ${absent === 1 ? "is" : "are"} not here ${absent === 1 ? "adds" : "add"} is the difference. neocog explore shows all of them.`,
    );
  }

  note(total) {
    const engine = this.layer.output.at(this.page.channel, this.output.row, this.output.column);
    if (!this.chosen.flipped) return engineNote(engine);
    return el(
      "p",
      { class: "note" },
      "True convolution rotates the kernel by 180° before it slides over the input; here it would give " +
        `${written(total)}. Networks leave it as it is and got ${written(engine)}: the kernel is ` +
        "learned, so a turned one would be learned turned.",
    );
  }
}
