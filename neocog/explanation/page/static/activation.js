// Functions of one number: activations, and a constant factor.

import { Channels } from "./channels.js";
import { el, figure, put, svg } from "./dom.js";
import { byEngine } from "./engine.js";
import { Grid } from "./grid.js";
import { range, written } from "./numbers.js";
import { folded, inLines } from "./picture.js";

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

function erf(x) {
  // The power series near zero. Far from it the continued fraction of erfc, where the series would
  // lose all digits to rounding (Abramowitz and Stegun, 7.1.5 and 7.1.14).
  const size = Math.abs(x);
  if (size > 2) {
    let fraction = size;
    for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
    return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * fraction));
  }
  let term = x,
    sum = x;
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const FUNCTIONS = {
  ReLU: () => ({ f: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0), text: "max(0, x)" }),
  LeakyReLU: ({ slope }) => ({
    f: (x) => (x > 0 ? x : slope * x),
    slope: (x) => (x > 0 ? 1 : slope),
    text: `x if x > 0, else ${slope} · x`,
  }),
  Sigmoid: () => ({
    f: sigmoid,
    slope: (x) => sigmoid(x) * (1 - sigmoid(x)),
    text: "1 / (1 + exp(−x))",
  }),
  Tanh: () => ({ f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2, text: "tanh x" }),
  SiLU: () => ({
    f: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    text: "x / (1 + exp(−x))",
  }),
  GELU: ({ tanh }) =>
    tanh
      ? smoothGelu()
      : {
          f: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
          slope: (x) =>
            (1 + erf(x / Math.SQRT2)) / 2 + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
          text: "x · (1 + erf(x / √2)) / 2",
        },
  ReLU6: () => ({
    f: (x) => Math.min(Math.max(0, x), 6),
    slope: (x) => (x > 0 && x < 6 ? 1 : 0),
    text: "min(max(0, x), 6)",
  }),
  Hardsigmoid: () => ({
    f: (x) => Math.min(Math.max(0, x + 3), 6) / 6,
    slope: (x) => (x > -3 && x < 3 ? 1 / 6 : 0),
    text: "min(max(0, x + 3), 6) / 6",
  }),
  Hardswish: () => ({
    f: (x) => (x * Math.min(Math.max(0, x + 3), 6)) / 6,
    slope: (x) => (x <= -3 ? 0 : x < 3 ? x / 3 + 0.5 : 1),
    text: "x · min(max(0, x + 3), 6) / 6",
  }),
  ELU: ({ alpha }) => ({
    f: (x) => (x > 0 ? x : alpha * Math.expm1(x)),
    slope: (x) => (x > 0 ? 1 : alpha * Math.exp(x)),
    text: `x if x > 0, else ${written(alpha)} · (exp(x) − 1)`,
  }),
  Softplus: ({ beta, threshold }) => ({
    f: (x) => (beta * x > threshold ? x : softplus(beta * x) / beta),
    slope: (x) => (beta * x > threshold ? 1 : sigmoid(beta * x)),
    text: beta === 1 ? "log(1 + exp(x))" : `log(1 + exp(${written(beta)} · x)) / ${written(beta)}`,
  }),
  Mish: () => ({
    f: (x) => x * Math.tanh(softplus(x)),
    slope: (x) =>
      Math.tanh(softplus(x)) + x * sigmoid(x) * (1 - Math.tanh(softplus(x)) ** 2),
    text: "x · tanh(log(1 + exp(x)))",
  }),
  Scale: ({ factor }) => ({
    f: (x) => factor * x,
    slope: () => factor,
    text: `${written(factor)} · x`,
  }),
};

function smoothGelu() {
  const a = Math.sqrt(2 / Math.PI);
  const inner = (x) => Math.tanh(a * (x + 0.044715 * x ** 3));
  return {
    f: (x) => (x * (1 + inner(x))) / 2,
    slope: (x) =>
      (1 + inner(x)) / 2 + (x * (1 - inner(x) ** 2) * a * (1 + 3 * 0.044715 * x * x)) / 2,
    text: "x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2",
  };
}

/** The view, forward and backward. */
export function activation(page, layer) {
  const { net } = page;
  const source = net.source(layer);
  const { f, slope, text } = FUNCTIONS[layer.details.function](layer.details);
  const back = page.side === "backward";
  const map = layer.output.isMap;
  const width = map ? layer.output.width : folded(layer.output.values.length);
  const channels = new Channels(page, layer);
  const move = (row, column) => draw(row, column);
  const first = new Grid({ label: back ? "gradient that arrives" : "input", point: move });
  const second = new Grid({ label: back ? "gradient of the input" : "output", point: move });
  const words = { first: el("span"), second: el("span") };
  const formula = el("div", { class: "formula", "data-formula": "activation" });
  const graph = el("div");
  const others = net.readers(source) > 1;
  let before, after, given, passed, curve;

  function update() {
    channels.update();
    const all = (numbers) => (map ? numbers.part(page.channel) : inLines(numbers.values, width));
    const shown = back ? [layer.gradient, source.gradient] : [source.output, layer.output];
    const [left, right] = shown.map(all);
    before = all(source.output);
    after = all(layer.output);
    [given, passed] = back ? [left, right] : [];
    first.show(left, width, shown[0].reach);
    second.show(right, width, shown[1].reach);
    words.first.textContent = `${range(left)} Point at a number.`;
    const zeros = right.reduce((sum, value) => sum + (value === 0), 0);
    words.second.textContent = `${range(right)} ${zeros} of ${right.length} are zero.`;
    curve = new Curve(back ? slope : f, Math.max(1e-6, source.output.reach));
    graph.replaceChildren(curve.node);
    draw(page.row, page.column);
  }

  function draw(row, column) {
    for (const grid of [first, second]) grid.at(row, column);
    page.remember({ row: first.row, column: first.column });
    const n = first.row * width + first.column;
    const x = before[n];
    curve.mark(x);
    const where = map ? `[${page.channel}, ${first.row}, ${first.column}]` : `[${n}]`;
    put(
      formula,
      el(
        "p",
        {},
        back
          ? [
              `∂loss/∂x${where} = ∂loss/∂y · f′(x) = ${written(given[n])} · f′(${written(x)}) = ${written(given[n])} · ${written(slope(x))} = `,
              el("strong", { "data-result": given[n] * slope(x) }, written(given[n] * slope(x))),
              others
                ? ` from this layer; with the gradients from its other readers, ${written(passed[n])}`
                : byEngine(passed[n]),
            ]
          : [
              `y${where} = f(${written(x)}) = ${text.replaceAll(/\bx\b/g, `(${written(x)})`)} = `,
              el("strong", { "data-result": f(x) }, written(f(x))),
              byEngine(after[n]),
            ],
      ),
    );
  }

  const node = el(
    "div",
    {},
    channels.node,
    el(
      "div",
      { class: "across" },
      figure(back ? "Gradient of the output" : "Input", first.node, words.first),
      figure(
        back ? `The slope of ${layer.type}` : `f(x) = ${text}`,
        graph,
        back
          ? "The dot is the number’s input: its gradient is multiplied by the slope there."
          : "The dot is the number that you point at.",
      ),
      figure(back ? "Gradient of the input" : "Output", second.node, words.second),
    ),
    formula,
  );
  update();
  return { node, update };
}

/** A function's graph from −span to span, and a dot on it. */
class Curve {
  constructor(f, span) {
    this.f = f;
    this.span = span;
    const xs = Array.from({ length: 201 }, (_, n) => span * (n / 100 - 1));
    const ys = xs.map(f);
    this.low = Math.min(0, ...ys);
    this.high = Math.max(1e-9, ...ys);
    const path = xs
      .map((x, n) => `${n ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(ys[n]).toFixed(1)}`)
      .join("");
    this.dot = svg("circle", { r: 5, class: "dot" });
    this.node = svg(
      "svg",
      {
        viewBox: "0 0 200 140",
        class: "curve",
        role: "img",
        "aria-label": "graph of the function",
      },
      svg("line", { x1: 0, x2: 200, y1: this.y(0), y2: this.y(0), class: "axis" }),
      svg("line", { x1: 100, x2: 100, y1: 0, y2: 140, class: "axis" }),
      svg("path", { d: path, class: "line" }),
      this.dot,
      svg("text", { x: 198, y: this.y(0) - 4, "text-anchor": "end" }, written(span)),
      svg("text", { x: 104, y: 12 }, written(this.high)),
    );
  }

  x(value) {
    return 100 + (96 * value) / this.span;
  }
  y(value) {
    return 132 - (124 * (value - this.low)) / (this.high - this.low);
  }

  mark(value) {
    this.dot.setAttribute("cx", this.x(value));
    this.dot.setAttribute("cy", this.y(this.f(value)));
  }
}
