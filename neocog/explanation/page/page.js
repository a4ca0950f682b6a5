// The page: what is looked at, and the parts that show it.

import { activation } from "./activation.js";
import { attribution } from "./attribution.js";
import { convolution } from "./convolution.js";
import { convolutionGradient } from "./convolution_gradient.js";
import { bar, choice, el } from "./dom.js";
import { filters } from "./filters.js";
import { learning } from "./learning.js";
import { linear } from "./linear.js";
import { Network } from "./network.js";
import { normalization } from "./normalization.js";
import { onColours, percent, written } from "./picture.js";
import { pooling } from "./pooling.js";
import { flatten, image, sum } from "./simple.js";
import { softmax } from "./softmax.js";
import { Strip } from "./strip.js";

const VIEWS = {
  image,
  flatten,
  sum,
  softmax,
  linear,
  pooling,
  activation,
  normalization,
  convolution: (page, layer) =>
    (page.side === "backward" ? convolutionGradient : convolution)(page, layer),
};

/** Layers that keep the channels of what they read, so that one can be followed through them. */
const KEEPING = ["activation", "pooling", "normalization", "sum"];

export class Page {
  constructor(root, structure) {
    this.root = root;
    this.side = "forward";
    /** What was chosen in the parts, which are drawn anew again and again. */
    this.kept = {};
    this.read(location.hash);
    this.build(structure);
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.address()) {
        this.read(location.hash);
        this.go({});
      }
    });
    onColours(() => this.redraw());
  }

  /** Show another explanation, of the same network or another, at the same place if it has it. */
  replace(structure) {
    this.net = new Network(structure);
    if (!this.net.get(this.layer)) this.layer = this.opening();
    if (this.strip?.fits(this.net)) {
      this.strip.net = this.net; // the same buttons, so that one with the focus keeps it
    } else {
      this.strip = new Strip(this.net, (layer) => this.go({ layer }));
      this.parts.strip.replaceChildren(this.strip.node);
      this.strip.mark(this.layer);
    }
    this.strip.paint(this.side);
    this.parts.answer.replaceChildren(...this.answer());
    this.fit();
    this.show();
    this.sections();
  }

  /** Whether somebody chooses from a list of this part, which must not go away under their hands. */
  isBusy(part) {
    return part.contains(document.activeElement) && document.activeElement.matches("select");
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
      "attribution",
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
          el("p", { class: "hint" }, "Choose a layer; the arrow keys go from one to the next."),
        ),
        this.parts.strip,
        el("div", { class: "card view" }, this.parts.head, this.parts.caption, this.parts.view),
      ),
      section("learning", "One step of learning", this.parts.learning),
      section("looks", "What it looks at", this.parts.attribution),
      section("filters", "Learned filters", this.parts.filters),
    );
    this.replace(structure);
  }

  /** The layer to begin with: the first convolution. */
  opening() {
    return (this.net.layers.find((layer) => layer.kind === "convolution") ?? this.net.layers[0])
      .name;
  }

  /** Go somewhere: layer, side, channel, row, column or output. */
  go(to) {
    const before = this.layer,
      side = this.side;
    Object.assign(this, to);
    if (to.layer && to.layer !== before) {
      this.follow(this.net.get(before), this.net.get(this.layer));
      const keeps =
        KEEPING.includes(this.net.get(this.layer).kind) ||
        this.net.get(this.layer).kind === "flatten";
      if (!keeps) this.channel = undefined;
      this.output = undefined;
    }
    if (side !== this.side) {
      this.sides.set(this.side);
      this.strip.paint(this.side);
    }
    this.strip.mark(this.layer);
    this.fit();
    this.show();
    if (to.layer && to.layer !== before) this.sections(true);
  }

  /** Keep to the same part of the image in a map of another size. */
  follow(from, to) {
    const [rows, columns] = [from, to]
      .map((layer) => (layer.kind === "flatten" ? this.net.source(layer) : layer).shape.slice(1))
      .reduce((a, b) => [0, 1].map((n) => (a[n] && b[n] ? b[n] / a[n] : undefined)));
    this.row = rows === undefined ? undefined : Math.floor((this.row + 0.5) * rows);
    this.column = columns === undefined ? undefined : Math.floor((this.column + 0.5) * columns);
  }

  /** Keep the place that is looked at, for the address and for the next layer. */
  remember(place) {
    Object.assign(this, place);
    // A notebook's frame has no address of its own.
    if (location.protocol === "about:") return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => history.replaceState(null, "", `#${this.address()}`), 300);
  }

  address() {
    return [this.side, this.layer, this.channel, this.row, this.column]
      .map(encodeURIComponent)
      .join("/");
  }

  read(hash) {
    const [side, layer, channel, row, column] = hash.slice(1).split("/").map(decodeURIComponent);
    if (side !== "forward" && side !== "backward") return;
    const number = (text) => (/^\d+$/.test(text) ? Number(text) : undefined);
    Object.assign(this, {
      side,
      layer,
      channel: number(channel),
      row: number(row),
      column: number(column),
    });
    this.sides?.set(side);
  }

  /** Make channel and place ones that the layer has. */
  fit() {
    if (!this.net.get(this.layer)) this.layer = this.opening();
    const layer = this.net.get(this.layer);
    const channels = (layer.kind === "flatten" ? this.net.source(layer) : layer).shape[0];
    if (!(this.channel < channels))
      this.channel = this.net.first(layer.kind === "flatten" ? this.net.source(layer) : layer);
    this.row ??= Math.floor((layer.shape[1] ?? 1) / 2);
    this.column ??= Math.floor((layer.shape[2] ?? 1) / 2);
  }

  /** Draw the view of the layer that is looked at. */
  show() {
    const layer = this.net.get(this.layer);
    const focus =
      this.parts.view.contains(document.activeElement) &&
      document.activeElement.getAttribute("aria-label");
    const parameters = layer.parameters
      ? `, ${layer.parameters.toLocaleString("en")} parameters`
      : "";
    this.parts.head.replaceChildren(
      el(
        "h3",
        {},
        layer.name,
        el(
          "span",
          { class: "what" },
          ` ${layer.type}${layer.text ? `: ${layer.text}` : ""} → ${layer.shape.join(" × ")}${parameters}`,
        ),
      ),
    );
    this.parts.caption.replaceChildren(
      el("p", { class: "caption" }, layer.caption ? layer.caption[this.side] : this.ofSoftmax()),
    );
    this.parts.view.replaceChildren(VIEWS[layer.kind](this, layer));
    // What had the focus was drawn anew.
    if (focus)
      this.parts.view
        .querySelector(`[aria-label="${CSS.escape(focus)}"]`)
        ?.focus({ preventScroll: true });
  }

  ofSoftmax() {
    const { probabilities, predicted, label, loss } = this.net;
    return this.side === "forward"
      ? `Exponentials make every score positive, and dividing by their sum makes them add up to one: ${this.net.className(predicted)} gets ${percent(probabilities.values[predicted])}.`
      : `The label is ${this.net.className(label)}, which got ${percent(probabilities.values[label])}: a loss of ${written(loss)}. Everything on the way back begins with δ = y − t.`;
  }

  /** Draw what stands below; only what follows the layer, if it is only that. */
  sections(following = false) {
    const draw = (name, section, there, make) => {
      document.getElementById(section).hidden = !there;
      if (there && !this.isBusy(this.parts[name])) this.parts[name].replaceChildren(make(this));
    };
    if (following) this.kept = { method: this.kept.method, cam: this.kept.cam };
    draw("learning", "learning", true, learning);
    draw(
      "filters",
      "filters",
      this.net.layers.some((layer) => layer.kind === "convolution"),
      filters,
    );
    if (!following) draw("attribution", "looks", this.net.attributions, attribution);
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
    const best = Array.from(y.keys())
      .sort((a, b) => y[b] - y[a])
      .slice(0, 5);
    const words = right
      ? `${net.name} takes this image for ${net.className(net.predicted)}, with ${percent(y[net.predicted])}. The loss for that label is ${written(net.loss)}.`
      : `${net.name} takes this image for ${net.className(net.predicted)}, with ${percent(y[net.predicted])}. The label says ${net.className(net.label)}, which gets ${percent(y[net.label])}: a loss of ${written(net.loss)}.`;
    return [
      el(
        "header",
        {},
        el("img", { class: "picture", src: net.image.src, alt: "the image that is explained" }),
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
            `${net.parameters.toLocaleString("en")} parameters. Every number below is the network’s own, for this image. Point at any to see what made it; change to backward to see what a training step would do to it.`,
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
                el("th", { scope: "row" }, net.className(n)),
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
