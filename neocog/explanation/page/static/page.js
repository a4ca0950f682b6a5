// The page: the chosen layer and place, and the parts that show it.

import { activation } from "./activation.js";
import { attribution } from "./attribution.js";
import { channelCopies } from "./channel_copies.js";
import { convolution } from "./convolution.js";
import { convolutionGradient } from "./convolution_gradient.js";
import { bar, choice, el, put } from "./dom.js";
import { Focus } from "./focus.js";
import { filters } from "./filters.js";
import { learning } from "./learning.js";
import { linear } from "./linear.js";
import { product, sum } from "./merging.js";
import { Network } from "./network.js";
import { normalization } from "./normalization.js";
import { copies } from "./copies.js";
import { count, percent, written } from "./numbers.js";
import { onColors } from "./picture.js";
import { pooling } from "./pooling.js";
import { missing } from "./products.js";
import { flatten, image } from "./simple.js";
import { className, mostProbable, softmax } from "./softmax.js";
import { Strip } from "./strip.js";

/** By kind of layer: (page, layer) → {node, update}; `update` shows the current numbers and place. */
const VIEWS = {
  image,
  flatten,
  sum,
  product,
  channelCopies,
  softmax,
  linear,
  pooling,
  copies,
  activation,
  normalization,
  convolution: (page, layer) =>
    (page.side === "backward" ? convolutionGradient : convolution)(page, layer),
};

/** Layers that keep the channels of their input, so that one channel can be followed through them. */
const KEEPING = ["activation", "pooling", "copies", "normalization", "sum", "product", "flatten"];

/** The sections below: whether a network has them, and what draws them. */
const SECTIONS = {
  learning: { is: () => true, draw: learning },
  looks: { is: (net) => net.attributions, draw: attribution },
  filters: { is: (net) => net.layers.some((each) => each.kind === "convolution"), draw: filters },
};

const SIDES = ["forward", "backward"];

export class Page {
  constructor(root, structure) {
    this.root = root;
    this.side = "forward";
    /** The choices in the sections, which are redrawn often. */
    this.kept = {};
    /** The choices at each layer. */
    this.choices = new Map();
    /** The last place at each layer, and how many moves there had been until then. */
    this.places = new Map();
    this.moves = 0;
    Object.assign(this, placeOf(location.hash));
    this.build(structure);
    addEventListener("hashchange", () => this.jump(placeOf(location.hash)));
    onColors(() => this.redraw());
  }

  /** Show another explanation, of the same network or another, at the same place if it has it. */
  replace(structure) {
    this.still(() => {
      if (!this.net?.renew(structure)) {
        this.net = new Network(structure);
        this.view = null;
        this.choices.clear();
        this.places.clear();
        this.lastMap = undefined;
        if (!this.net.get(this.layer)) this.begin();
        this.strip = new Strip(this.net, (layer) => this.go({ layer }));
        this.parts.strip.replaceChildren(this.strip.node);
        this.strip.mark(this.layer);
      }
      this.strip.paint(this.side);
      put(this.parts.answer, this.answer());
      this.fit();
      this.show();
      this.sections();
    });
  }

  /** Redraw without moving the part that has the pointer or the focus. */
  still(draw) {
    const part = Object.values(this.parts).find((each) => each.matches(":hover, :focus-within"));
    const before = part?.getBoundingClientRect().top;
    draw();
    const moved = part ? part.getBoundingClientRect().top - before : 0;
    if (moved) scrollBy({ top: moved, behavior: "instant" });
  }

  build(structure) {
    const section = (id, title, ...content) =>
      el(
        "section",
        { id, "aria-labelledby": `${id}-title` },
        el("h2", { id: `${id}-title` }, title),
        content,
      );
    this.parts = {};
    for (const name of [
      "answer",
      "strip",
      "head",
      "view",
      "caption",
      "learning",
      "looks",
      "filters",
    ])
      this.parts[name] = el("div", { class: `part-${name}` });
    this.sides = choice(
      "direction",
      [
        ["forward", "Forward →"],
        ["backward", "← Backward"],
      ],
      this.side,
      (side) => this.go({ side }),
    );
    this.root.replaceChildren(
      this.parts.answer,
      section(
        "way",
        "The way through",
        el(
          "div",
          { class: "controls" },
          this.sides,
          el("p", { class: "hint" }, "Choose a layer. The arrow keys go from one to the next."),
        ),
        this.parts.strip,
        el("div", { class: "card view" }, this.parts.head, this.parts.caption, this.parts.view),
      ),
      section("learning", "One step of learning", this.parts.learning),
      section("looks", "What it looks at", this.parts.looks),
      section("filters", "Learned filters", this.parts.filters),
    );
    this.replace(structure);
  }

  /** Begin at the first convolution. */
  begin() {
    const first = this.net.layers.find((layer) => layer.kind === "convolution");
    this.layer = (first ?? this.net.layers[0]).name;
    this.channel = this.row = this.column = this.output = undefined;
  }

  /** The choices at a layer, kept here for the layer's view; `first` are those to begin with. */
  chosen(layer, first) {
    const kept = this.choices.get(layer.name) ?? {};
    this.choices.set(layer.name, kept);
    return Object.assign(kept, { ...first, ...kept });
  }

  /** Go somewhere: layer, side, channel, row, column or output. */
  go(to) {
    if (to.layer && to.layer !== this.layer) {
      this.leave();
      this.layer = to.layer;
      this.arrive(this.net.get(to.layer));
    } else if (!to.side) this.moves += 1;
    this.look({ ...to, following: Boolean(to.layer) });
  }

  /** Go to the place in an address, if there is such a place. */
  jump(place) {
    if (place && this.net.get(place.layer) && addressOf(place) !== this.address()) {
      this.leave();
      this.moves += 1;
      const following = place.layer !== this.layer;
      this.look({ ...place, following });
    }
    this.write();
  }

  look({ following, ...place }) {
    const { side } = this;
    Object.assign(this, place);
    if (side !== this.side) {
      this.sides.set(this.side);
      this.strip.paint(this.side);
    }
    this.strip.mark(this.layer);
    this.fit();
    this.show();
    if (following) this.sections(true);
    this.write();
  }

  leave() {
    const { channel, row, column, output, moves } = this;
    this.places.set(this.layer, { channel, row, column, output, moves });
    if (this.net.map(this.net.get(this.layer))) this.lastMap = this.layer;
  }

  /** Return to the last place at a layer; after moves elsewhere, to the same part of the image. */
  arrive(to) {
    const kept = this.places.get(to.name);
    if (kept?.moves === this.moves) {
      Object.assign(this, kept);
      return;
    }
    const last = this.lastMap && this.places.get(this.lastMap);
    const sizes = [this.net.map(this.net.get(this.lastMap)), this.net.map(to)];
    const scaled = (n, place) => Math.floor(((place + 0.5) * sizes[1][n]) / sizes[0][n]);
    const follows = last && sizes[1];
    this.row = follows ? scaled(0, last.row) : undefined;
    this.column = follows ? scaled(1, last.column) : undefined;
    if (!KEEPING.includes(to.kind)) this.channel = kept?.channel;
    this.output = kept?.output;
  }

  /** Keep the current place, for the address and for the next layer. */
  remember({ row, column }) {
    if (row !== this.row || column !== this.column) this.moves += 1;
    Object.assign(this, { row, column });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.write(), 300);
  }

  /** Write this place into the address. */
  write() {
    // A notebook's frame has no address of its own.
    if (location.protocol === "about:") return;
    clearTimeout(this.waiting);
    const address = `#${this.address()}`;
    if (location.hash !== address) history.replaceState(null, "", address);
  }

  address() {
    return addressOf(this);
  }

  /** Change channel and place to ones that the layer has. */
  fit() {
    const layer = this.net.get(this.layer);
    const maps = layer.kind === "flatten" ? this.net.source(layer) : layer;
    if (maps.shape.length === 3 && !(this.channel < maps.shape[0]))
      this.channel = this.net.first(maps);
    const [rows, columns] = this.net.map(layer) ?? this.net.folded(layer);
    const within = (place, size) => Math.min(place ?? Math.floor(size / 2), size - 1);
    this.row = within(this.row, rows);
    this.column = within(this.column, columns);
  }

  /** The arrays that the view needs; large networks' files have only some channels of them. */
  needed(layer) {
    if (this.side === "forward") return layer.kind === "convolution" ? [layer.weight] : [];
    if (layer.kind === "flatten") return [];
    const lanes = KEEPING.includes(layer.kind) ? this.net.sources(layer) : [];
    return [layer, ...lanes].map((each) => each.gradient).filter((each) => each.isMap);
  }

  /** Show the chosen layer. */
  show() {
    const layer = this.net.get(this.layer);
    const parameters = layer.parameters ? `, ${count(layer.parameters, "parameter")}` : "";
    const what = ` ${layer.type}${layer.text ? `: ${layer.text}` : ""} → ${layer.shape.join(" × ")}${parameters}`;
    put(this.parts.head, el("h3", {}, layer.name, el("span", { class: "what" }, what)));
    const caption = layer.caption ? layer.caption[this.side] : this.ofSoftmax();
    put(this.parts.caption, el("p", { class: "caption" }, caption));
    const lacks = this.needed(layer).some((numbers) => !numbers.has(this.channel));
    const key = JSON.stringify([this.side, layer.name, lacks]);
    if (this.view?.key === key) {
      this.view.update();
      return;
    }
    const focus = new Focus(this.parts.view);
    this.view = lacks ? missing(this, layer) : VIEWS[layer.kind](this, layer);
    this.view.key = key;
    this.parts.view.replaceChildren(this.view.node);
    focus.restore();
  }

  ofSoftmax() {
    const { probabilities, predicted, label, loss, calibrated } = this.net;
    const scaled = calibrated
      ? ` Predictions divide the scores by the temperature ${written(calibrated.temperature)} first, which gives ${percent(calibrated.probability)}.`
      : "";
    return this.side === "forward"
      ? `Exponentials make every score positive, and dividing by their sum makes them add up to one: ${this.net.className(predicted)} gets ${percent(probabilities.values[predicted])}.${scaled}`
      : `The label is ${this.net.className(label)}, which got ${percent(probabilities.values[label])}: a loss of ${written(loss)}. Everything on the way back begins with δ = y − t.`;
  }

  /** Draw the sections below; with `following`, only those that follow the layer. */
  sections(following = false) {
    if (following) this.kept = { method: this.kept.method, cam: this.kept.cam };
    this.section("learning");
    this.section("filters");
    if (!following) this.section("looks");
  }

  /** Redraw one of the sections, for example after a choice in it. */
  section(id) {
    const { is, draw } = SECTIONS[id];
    const there = is(this.net);
    document.getElementById(id).hidden = !there;
    if (there) put(this.parts[id], draw(this));
  }

  redraw() {
    this.strip.paint(this.side);
    this.show();
    this.sections();
  }

  answer() {
    const { net } = this;
    const y = net.probabilities.values;
    const right = net.predicted === net.label;
    const best = mostProbable(net, y, 5);
    const words = right
      ? `${net.name} predicts ${net.className(net.predicted)} with ${percent(y[net.predicted])}. The loss for that label is ${written(net.loss)}.`
      : `${net.name} predicts ${net.className(net.predicted)} with ${percent(y[net.predicted])}. The label is ${net.className(net.label)}, with ${percent(y[net.label])}: a loss of ${written(net.loss)}.`;
    return [
      el(
        "header",
        {},
        el("img", { class: "picture", src: net.image.src, alt: "the explained image" }),
        el(
          "div",
          {},
          el(
            "h1",
            {},
            net.className(net.predicted),
            " ",
            el("small", {}, percent(y[net.predicted])),
          ),
          el("p", {}, words),
          el(
            "p",
            { class: "hint" },
            `${count(net.parameters, "parameter")}. Every number below is the network’s own, for this image. Point at one to see how it was computed; choose Backward to see its gradient, which a training step would follow.`,
          ),
        ),
        el(
          "table",
          { class: "plain answers" },
          el(
            "tbody",
            {},
            best.map((n) =>
              el(
                "tr",
                {},
                className(net, n),
                el("td", { class: "number" }, percent(y[n])),
                el("td", {}, bar(y[n], 1)),
              ),
            ),
          ),
        ),
      ),
    ];
  }
}

/** The address of a place. */
function addressOf({ side, layer, channel, row, column, output }) {
  return [side, layer, channel, row, column, output]
    .map((part) => encodeURIComponent(part ?? ""))
    .join("/")
    .replace(/\/+$/, "");
}

/** The place in an address, or null; the network may not have it. */
function placeOf(hash) {
  try {
    const [side, layer, ...numbers] = hash.slice(1).split("/").map(decodeURIComponent);
    if (!SIDES.includes(side) || !layer) return null;
    const [channel, row, column, output] = [0, 1, 2, 3].map((n) =>
      /^\d+$/.test(numbers[n]) ? Number(numbers[n]) : undefined,
    );
    return { side, layer, channel, row, column, output };
  } catch {
    return null; // a percent sign that begins nothing
  }
}
