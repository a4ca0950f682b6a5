// The page: the chosen layer and place, and the parts that show it.

import { activation } from "./activation.js";
import { attribution } from "./attribution.js";
import { channelCopies } from "./channel_copies.js";
import { convolution } from "./convolution.js";
import { convolutionGradient } from "./convolution_gradient.js";
import { choice, el, put } from "./dom.js";
import { Focus } from "./focus.js";
import { filters } from "./filters.js";
import { header } from "./header.js";
import { learning } from "./learning.js";
import { linear } from "./linear.js";
import { product, sum } from "./merging.js";
import { Network } from "./network.js";
import { normalization } from "./normalization.js";
import { copies } from "./copies.js";
import { count } from "./numbers.js";
import { onColors } from "./picture.js";
import { missing } from "./missing.js";
import { KEEPING, lacking, outputOf } from "./needs.js";
import { pooling } from "./pooling.js";
import { flatten, image } from "./simple.js";
import { softmax, softmaxCaption } from "./softmax.js";
import { Strip } from "./strip.js";
import { targets, targetsCaption } from "./targets.js";

/** By kind of layer: (page, layer) → {node, update}; `update` shows the current numbers and place. */
const VIEWS = {
  image,
  flatten,
  sum,
  product,
  channelCopies,
  softmax,
  targets,
  linear,
  pooling,
  copies,
  activation,
  normalization,
  convolution: (page, layer) =>
    (page.side === "backward" ? convolutionGradient : convolution)(page, layer),
};

/** What is said above the views of the answer, (net, side). */
const CAPTIONS = { softmax: softmaxCaption, targets: targetsCaption };

/** The sections below: whether a network has them, and what draws them. */
const SECTIONS = {
  learning: { is: () => true, draw: learning },
  looks: { is: (net) => net.attributions, draw: attribution },
  filters: { is: (net) => net.layers.some((each) => each.kind === "convolution"), draw: filters },
};

const SIDES = ["forward", "backward"];

export class Page {
  /** `more(layer, channel, output)` fetches what a file would lack, {layers, serial}. */
  constructor(root, structure, more = null) {
    this.root = root;
    this.more = more;
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
      put(this.parts.answer, [header(this.net, !this.net.partial || this.more)]);
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

  /** Fetch what the view lacks, where there is somebody to ask; then show it. */
  async fetch(layer) {
    const { net, channel = 0 } = this;
    const output = layer.kind === "linear" ? outputOf(net, layer, this.output) : 0;
    const wanted = JSON.stringify([layer.name, channel, output]);
    if (this.fetching === wanted) return;
    this.fetching = wanted;
    const found = await this.more(layer.name, channel, output);
    if (this.fetching === wanted) this.fetching = null;
    if (!found || net !== this.net || !net.add(found)) return;
    if (this.layer === layer.name) this.show();
  }

  /** Show the chosen layer. */
  show() {
    const layer = this.net.get(this.layer);
    const parameters = layer.parameters ? `, ${count(layer.parameters, "parameter")}` : "";
    const what = ` ${layer.type}${layer.text ? `: ${layer.text}` : ""} → ${layer.shape.join(" × ")}${parameters}`;
    put(this.parts.head, el("h3", {}, layer.name, el("span", { class: "what" }, what)));
    const caption = layer.caption?.[this.side] ?? CAPTIONS[layer.kind](this.net, this.side);
    put(this.parts.caption, el("p", { class: "caption" }, caption));
    const lacks = lacking(this, layer);
    const key = JSON.stringify([this.side, layer.name, lacks]);
    if (this.more && (lacks.everything || lacks.some)) this.fetch(layer);
    if (this.view?.key === key) {
      this.view.update();
      return;
    }
    const focus = new Focus(this.parts.view);
    this.view = lacks.everything ? missing(this, layer) : VIEWS[layer.kind](this, layer);
    this.view.key = key;
    this.parts.view.replaceChildren(this.view.node);
    focus.restore();
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
