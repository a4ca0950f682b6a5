// Live training: its controls, its curves, and the batch of the latest step.

import { named } from "./answers.js";
import { act, getBinary, getJson } from "./api.js";
import { bar, el, put, svg } from "./dom.js";
import { largest, split } from "./data.js";
import { NumberBox } from "./number.js";
import { count, percent, written } from "./numbers.js";
import { paint } from "./picture.js";

export class Training {
  constructor(run, network) {
    this.run = run;
    this.network = network;
    this.points = [];
    const { limits } = network;
    const set = (field) => (value) => run(act("/api/training", { [field]: value }));
    this.boxes = {
      rate: { name: "learning rate", low: 0, high: limits.rate },
      momentum: { name: "momentum", low: 0, high: 1, below: true },
      batch_size: { name: "batch size", low: 1, high: limits.batch_size, whole: true },
    };
    for (const [field, options] of Object.entries(this.boxes))
      this.boxes[field] = new NumberBox(run, { ...options, change: set(field) });
    this.start = el(
      "button",
      {
        type: "button",
        class: "main",
        onclick: () => run(act(`/api/training/${this.running ? "pause" : "start"}`)),
      },
      "▶ Start",
    );
    this.step = el(
      "button",
      { type: "button", onclick: () => run(act("/api/training/step")) },
      "One step",
    );
    this.seed = 0;
    this.reset = el(
      "button",
      {
        type: "button",
        onclick: () =>
          run(act("/api/training/reset", { seed: this.seed })).then(() => {
            this.seed += 1;
          }),
      },
      "New weights",
    );
    this.back = el(
      "button",
      { type: "button", onclick: () => run(act("/api/training/reset", { seed: null })) },
      "First weights",
    );
    this.undo = el(
      "button",
      { type: "button", onclick: () => run(act("/api/training/undo")) },
      "Undo",
    );
    this.save = el("a", { download: "" }, "Save the network");
    this.said = el("p", { class: "caption progress", role: "status" });
    this.chart = el("div");
    this.batch = el("div");
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "Training"),
      network.data
        ? [
            el(
              "div",
              { class: "controls" },
              this.start,
              this.step,
              el("label", {}, "rate ", this.boxes.rate.node),
              el("label", {}, "momentum ", this.boxes.momentum.node),
              el("label", {}, "batch ", this.boxes.batch_size.node),
              this.reset,
              this.back,
              this.undo,
              this.save,
            ),
            this.said,
            el("div", { class: "across" }, this.chart, this.batch),
          ]
        : el("p", {}, "There are no data to train on. Start neocog explore with --data."),
    );
  }

  async update(state) {
    const { instance, training, curve, undo } = state;
    if (!training) return;
    // The instance keeps another explorer with this address from sending its own network.
    this.save.href = `/api/model.safetensors?instance=${instance}`;
    this.undo.disabled = !undo;
    this.undo.textContent = undo ? `Undo: back to ${whereTo(undo)}` : "Undo";
    this.running = training.running;
    this.start.textContent = training.running ? "❚❚ Pause" : "▶ Start";
    this.step.disabled = training.running;
    for (const [field, box] of Object.entries(this.boxes)) box.set(training[field]);
    await this.follow(curve);
    const last = this.points.at(-1);
    const accuracy = this.points.findLast((point) => point[2] !== null);
    const steps = count(training.steps, "step");
    const sample = accuracy
      ? `, accuracy ${percent(accuracy[2])} on a sample of the ${this.network.data.part} images`
      : "";
    // A screen reader could not keep up with four updates a second.
    this.said.setAttribute("aria-live", training.running ? "off" : "polite");
    this.said.textContent = last
      ? `${steps}, epoch ${training.epoch}: loss ${written(last[1])}${sample}, ${count(Math.round(last[3]), "image")} a second.`
      : training.steps
        ? `${steps}.`
        : "No step yet. Start, and watch the filters and maps below change.";
    if (training.has_batch && (!training.running || performance.now() - (this.looked ?? 0) > 1000))
      await this.showBatch(training);
    if (!training.has_batch) this.batch.replaceChildren();
  }

  /** Append the newest point, or get all points if some were missed. */
  async follow(curve) {
    if (curve.number === this.number && curve.count === this.points.length) return;
    if (curve.number === this.number && curve.count === this.points.length + 1) {
      this.points.push(curve.last);
    } else {
      const whole = await getJson("/api/curve");
      this.number = whole.number;
      this.points = whole.points;
    }
    this.draw();
  }

  draw() {
    const points = sparse(this.points);
    if (points.length < 2) {
      this.chart.replaceChildren();
      return;
    }
    const most = points.at(-1)[0],
      least = points[0][0];
    const top = Math.max(...points.map((point) => point[1]));
    const x = (steps) => 34 + (350 * (steps - least)) / Math.max(1, most - least);
    const path = (chosen, y) =>
      chosen
        .map((point, n) => `${n ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point).toFixed(1)}`)
        .join("");
    // Of numbers there is no accuracy.
    const isRated = this.network.kind !== "number";
    const rated = points.filter((point) => point[2] !== null);
    const last = points.at(-1);
    put(
      this.chart,
      svg(
        "svg",
        {
          viewBox: "0 0 420 170",
          class: "curve wide",
          role: "img",
          "aria-label": `loss${isRated ? " and accuracy" : ""} over ${count(most, "step")}`,
        },
        svg("line", { x1: 34, x2: 384, y1: 150, y2: 150, class: "axis" }),
        svg("line", { x1: 34, x2: 34, y1: 10, y2: 150, class: "axis" }),
        svg("path", {
          d: path(points, (point) => 150 - (140 * point[1]) / top),
          class: "line deleted",
        }),
        svg("path", { d: path(rated, (point) => 150 - 140 * point[2]), class: "line inserted" }),
        svg("text", { x: 30, y: 16, "text-anchor": "end" }, written(top)),
        isRated ? svg("text", { x: 388, y: 16 }, "100 %") : null,
        svg("text", { x: 30, y: 153, "text-anchor": "end" }, "0"),
        svg("text", { x: 384, y: 164, "text-anchor": "end" }, count(most, "step")),
      ),
      el(
        "p",
        { class: "legend" },
        el("span", { class: "key deleted" }),
        `loss ${written(last[1])} `,
        isRated
          ? [
              el("span", { class: "key inserted" }),
              `accuracy ${rated.length ? percent(rated.at(-1)[2]) : "not yet"}`,
            ]
          : null,
      ),
    );
  }

  /** The images of the latest batch, and the gradients of the parameters. */
  async showBatch(training) {
    const key = `${training.steps}`;
    if (this.shown === key) return;
    this.shown = key;
    this.looked = performance.now();
    const batch = split(await getBinary("/api/batch"));
    const { images, labels, gradients } = batch;
    const names = labels.map((label) => truth(this.network, label));
    const norms = Object.entries(gradients);
    const reach = Math.max(...norms.map(([, of]) => of.norm));
    const kernels = norms.find(([, of]) => of.shape.length === 4 && of.values);
    const rows = Math.ceil(images.shown / images.columns);
    put(
      this.batch,
      el(
        "div",
        {},
        el(
          "h4",
          {},
          `The batch of step ${batch.steps.toLocaleString("en")}: loss ${written(batch.loss)}`,
        ),
        el("img", {
          class: "batch",
          src: images.png,
          alt: `images of the batch: ${names.slice(0, images.shown).join(", ")}`,
          style: `width: ${Math.min(images.columns * images.width, 384)}px; aspect-ratio: ${images.columns * images.width} / ${rows * images.height}`,
        }),
        el(
          "p",
          { class: "hint" },
          names.slice(0, 8).join(", ") +
            (labels.length > 8 ? ` and ${labels.length - 8} more` : ""),
        ),
        kernels
          ? [
              el("p", { class: "hint" }, `Its mean gradient for ${kernels[0]}:`),
              el("div", { class: "kernels" }, kernelPictures(kernels[1])),
            ]
          : null,
        el(
          "table",
          { class: "plain" },
          el(
            "tbody",
            {},
            norms
              .slice(0, 6)
              .map(([name, of]) =>
                el(
                  "tr",
                  {},
                  el("th", { scope: "row" }, name),
                  el("td", { class: "number" }, written(of.norm)),
                  el("td", {}, bar(of.norm, reach)),
                ),
              ),
          ),
        ),
        el(
          "p",
          { class: "hint" },
          `Norm of each parameter’s gradient${norms.length > 6 ? `, the first 6 of ${norms.length}` : ""}.`,
        ),
      ),
    );
  }
}

/** What an image of the data shows: its class, its labels, or its numbers. */
function truth(network, label) {
  if (network.kind === "class") return network.classes[label];
  return network.kind === "label"
    ? named(network, label, 0.5).replaceAll(", ", " + ")
    : label.map(written).join(" and ");
}

/** What undoing a reset brings back, in words. */
function whereTo({ steps, changes }) {
  const changed = changes ? count(changes, "changed weight") : "";
  return [steps ? count(steps, "step") : "", changed].filter(Boolean).join(" and ");
}

/** Points of several steps: those of single steps, after each start, are mostly noise. */
function sparse(points) {
  const apart = (points.at(-1)?.[0] - points[0]?.[0]) / 100;
  const kept = [];
  for (const point of points.toReversed())
    if (!kept.length || kept[0][0] - point[0] >= apart) kept.unshift(point);
  return kept;
}

/** A gradient's kernels, their first input channel. */
function kernelPictures(of) {
  const [count, inputs, height, width] = of.shape;
  const reach = largest(of.values.values);
  return Array.from({ length: Math.min(16, count) }, (_, k) => {
    const canvas = el("canvas", { class: "kernel" });
    paint(
      canvas,
      of.values.values.subarray(k * inputs * height * width, (k * inputs + 1) * height * width),
      width,
      reach,
    );
    return canvas;
  });
}
