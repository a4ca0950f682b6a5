// A linear layer: what contributes most to one of its outputs, shown over the map that it read.

import { bar, el, figure, put, select } from "./dom.js";
import { byEngine, engineNote } from "./engine.js";
import { Grid } from "./grid.js";
import { outputOf } from "./needs.js";
import { range, written } from "./numbers.js";
import { folded, inLines, paintVeil } from "./picture.js";
import { largest } from "./data.js";

const LISTED = 10;

/** The shape of the map that a linear layer's inputs come from; [n, 1, 1] if they are a vector. */
function mapOf(layer) {
  const [channels, height = 1, width = 1] = layer.details.map;
  return [channels, height, width];
}

const outputName = (net, layer, n) =>
  net.layers.at(-2) === layer ? net.className(n) : `output ${n}`;

/** The products of one output, and their sum. */
export function products(net, layer, output) {
  const x = net.source(layer).output.values,
    w = layer.weight.part(output);
  return Float64Array.from(w, (weight, n) => weight * x[n]);
}

function where(layer, n) {
  const [channels, height, width] = mapOf(layer);
  if (height * width === 1 || channels * height * width === 1) return `input ${n}`;
  return `channel ${Math.floor(n / (height * width))}, row ${Math.floor(n / width) % height}, column ${n % width}`;
}

/** The largest, as a list with bars. */
function list(layer, terms, describe) {
  const best = Array.from(terms.keys())
    .sort((a, b) => Math.abs(terms[b]) - Math.abs(terms[a]))
    .slice(0, LISTED);
  const reach = Math.abs(terms[best[0]] ?? 0);
  return el(
    "table",
    { class: "plain" },
    el(
      "tbody",
      {},
      best.map((n) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, where(layer, n)),
          el("td", {}, describe(n)),
          el("td", { class: "number" }, written(terms[n])),
          el("td", {}, bar(terms[n], reach)),
        ),
      ),
    ),
  );
}

/** Terms added up over channels, a number for each place. */
function overMap(layer, terms) {
  const [channels, height, width] = mapOf(layer);
  const size = height * width;
  const map = new Float32Array(size);
  for (let c = 0; c < channels; c++) for (let n = 0; n < size; n++) map[n] += terms[c * size + n];
  return { map, width, size };
}

/** The view, forward and backward. */
export function linear(page, layer) {
  const node = el("div");
  const update = () => put(node, content(page, layer));
  update();
  return { node, update };
}

function content(page, layer) {
  const { net } = page;
  const back = page.side === "backward";
  const output = outputOf(net, layer, page.output);
  const options = Array.from({ length: layer.shape[0] }, (_, n) => [
    n,
    outputName(net, layer, n),
  ]).filter(([n]) => page.more || layer.weight.has(n));
  const isScore = layer === net.layers.at(-2) && net.kind !== "number";
  const chosen = layer.weight.has(output) ? output : outputOf(net, layer);
  const chooser = el(
    "div",
    { class: "controls" },
    select(isScore ? "Score of" : "Of", options, chosen, (next) => page.go({ output: next })),
  );
  const x = net.source(layer).output.values,
    w = layer.weight.part(chosen);
  const delta = layer.gradient.values[chosen];
  return el(
    "div",
    {},
    chooser,
    back ? backward(page, layer, chosen, x, delta) : forward(page, layer, chosen, x, w),
  );
}

function forward(page, layer, chosen, x, w) {
  const { net } = page;
  const terms = products(net, layer, chosen);
  const bias = layer.bias ? layer.bias.values[chosen] : 0;
  let plus = 0,
    minus = 0;
  for (const term of terms)
    if (term > 0) plus += term;
    else minus += term;
  const total = plus + minus + bias,
    engine = layer.output.values[chosen];
  const { map, width, size } = overMap(layer, terms);
  const name = outputName(net, layer, chosen);
  const scores = layer.output.values;
  return el(
    "div",
    {},
    el(
      "div",
      { class: "across" },
      size > 1
        ? figure(
            "Over the image",
            overImage(net, map, width),
            `What each place contributes to ${name}, all channels together: orange speaks for it, blue against.`,
          )
        : null,
      figure(
        `What contributes most to ${name}`,
        list(layer, terms, (n) => `${written(w[n])} · ${written(x[n])}`),
        "Weight · input = what it adds.",
      ),
      scores.length <= 20
        ? figure(
            "All outputs",
            el(
              "table",
              { class: "plain" },
              el(
                "tbody",
                {},
                Array.from(scores, (value, n) =>
                  el(
                    "tr",
                    { class: n === chosen ? "chosen" : null },
                    el("th", { scope: "row" }, outputName(net, layer, n)),
                    el("td", { class: "number" }, written(value)),
                    el("td", {}, bar(value, largest(scores))),
                  ),
                ),
              ),
            ),
            range(scores),
          )
        : null,
    ),
    el(
      "div",
      { class: "formula", "data-formula": "linear" },
      el(
        "p",
        {},
        `z[${chosen}] = Σ w · x + b = ${written(plus)} (what speaks for it) + (${written(minus)}) (against)`,
        layer.bias ? ` + bias (${written(bias)})` : "",
        " = ",
        el("strong", { "data-result": total }, written(total)),
      ),
      engineNote(engine),
    ),
  );
}

function backward(page, layer, chosen, x, delta) {
  const { net } = page;
  const source = net.source(layer);
  const name = outputName(net, layer, chosen);
  const terms = Float64Array.from(x, (value) => delta * value);
  const known = layer.weightGradient.has(chosen);
  const best = terms.reduce(
    (most, value, n) => (Math.abs(value) > Math.abs(terms[most]) ? n : most),
    0,
  );
  const passed = source.gradient.values;
  const { map, width, size } = overMap(layer, passed.map(Math.abs));
  const wide = folded(passed.length);
  return el(
    "div",
    {},
    el(
      "div",
      { class: "across" },
      figure(
        `Gradients of the weights of ${name}`,
        list(layer, terms, (n) => `${written(delta)} · ${written(x[n])}`),
        "δ · input, the largest first.",
      ),
      figure(
        "What the layer before gets",
        new Grid({ label: "gradient of the inputs" }).show(
          size > 1 ? map : inLines(passed, wide),
          size > 1 ? width : wide,
          size > 1 ? largest(map) : largest(passed),
        ).node,
        size > 1
          ? "For each place the sum of the magnitudes of its channels’ gradients: Σ weight · δ over all outputs."
          : "Σ weight · δ over all outputs, one number for each input.",
      ),
    ),
    el(
      "div",
      { class: "formula", "data-formula": "linear-gradient" },
      el(
        "p",
        {},
        `∂loss/∂w[${chosen}, ${best}] = δ[${chosen}] · x[${best}] = ${written(delta)} · ${written(x[best])} = `,
        el("strong", { "data-result": terms[best] }, written(terms[best])),
        known ? byEngine(layer.weightGradient.part(chosen)[best]) : "",
      ),
      layer.bias
        ? el(
            "p",
            {},
            `∂loss/∂b[${chosen}] = δ[${chosen}] = ${written(layer.biasGradient.values[chosen])}`,
          )
        : null,
    ),
  );
}

/** A map laid over the image in gray; over the whole photograph, if the image is a part of one. */
export function overImage(net, map, width) {
  const { photograph } = net;
  const [left, top, wide, tall] = (photograph?.box ?? [0, 0, 1, 1]).map((part) => `${100 * part}%`);
  const style = `left: ${left}; top: ${top}; width: ${wide}; height: ${tall}`;
  const canvas = el("canvas", { style });
  paintVeil(canvas, map, width, largest(map));
  return el(
    "div",
    {
      class: photograph ? "grid over photograph" : "grid over",
      role: "img",
      "aria-label": photograph ? "the map over the photograph" : "the map over the image",
    },
    el("img", { src: (photograph ?? net.image).src, alt: "" }),
    photograph && el("div", { class: "seen", style }),
    canvas,
  );
}
