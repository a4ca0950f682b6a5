// Functions of one number: activations, also with a learned slope, and a constant factor.

import { Channels } from "./channels.js";
import { el, figure, put, svg } from "./dom.js";
import { byEngine, passedOn } from "./engine.js";
import { frame } from "./frame.js";
import { Maps } from "./maps.js";
import { range, written } from "./numbers.js";

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
  LeakyReLU: ({ slope }) => leaky(slope),
  PReLU: ({ slopes }, own) => leaky(slopes.values[slopes.values.length === 1 ? 0 : own]),
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
    slope: (x) => Math.tanh(softplus(x)) + x * sigmoid(x) * (1 - Math.tanh(softplus(x)) ** 2),
    text: "x · tanh(log(1 + exp(x)))",
  }),
  Scale: ({ factor }) => ({
    f: (x) => factor * x,
    slope: () => factor,
    text: `${written(factor)} · x`,
  }),
};

function leaky(a) {
  return {
    f: (x) => (x > 0 ? x : a * x),
    slope: (x) => (x > 0 ? 1 : a),
    text: `x if x > 0, else ${written(a)} · x`,
  };
}

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
  const { details } = layer;
  const back = page.side === "backward";
  const channels = new Channels(page, layer);
  const labels = back ? ["gradient that arrives", "gradient of the input"] : ["input", "output"];
  const maps = new Maps(page, labels, draw);
  const title = el("span");
  const graph = el("div");
  const formula = el("div", { class: "formula" });
  const number = (result) => el("strong", { "data-result": result }, written(result));

  function update() {
    channels.update();
    const shown = back ? [layer.gradient, source.gradient] : [source.output, layer.output];
    maps.show(shown, (values, n) => {
      if (n === 0) return `${range(values)} Point at a number.`;
      const zeros = values.reduce((sum, value) => sum + (value === 0), 0);
      return `${range(values)} ${zeros} of ${values.length} are zero.`;
    });
  }

  function draw() {
    // Of learned slopes each channel has its own, or each number of a vector.
    const own = layer.output.isMap ? page.channel : maps.index(layer.output.values.length);
    const { f, slope, text } = FUNCTIONS[details.function](details, own);
    const x = maps.number(source.output);
    const curve = new Curve(back ? slope : f, Math.max(1e-6, source.output.reach));
    curve.mark(x);
    graph.replaceChildren(curve.node);
    title.textContent = back ? `The slope of ${layer.type}` : `f(x) = ${text}`;
    put(formula, back ? [gradient(x, slope), slopeGradient(own)] : output(x, f, text));
  }

  function output(x, f, text) {
    return el(
      "p",
      { "data-formula": "activation" },
      `y${maps.place(layer.output)} = f(${written(x)}) = ${text.replaceAll(/\bx\b/g, `(${written(x)})`)} = `,
      number(f(x)),
      byEngine(maps.number(layer.output)),
    );
  }

  function gradient(x, slope) {
    const arrives = maps.number(layer.gradient);
    return el(
      "p",
      { "data-formula": "activation" },
      `∂loss/∂x${maps.place(source.output)} = ∂loss/∂y · f′(x) = ${written(arrives)} · f′(${written(x)}) = ${written(arrives)} · ${written(slope(x))} = `,
      number(arrives * slope(x)),
      passedOn(net, source, maps.number(source.gradient)),
    );
  }

  /** The gradient of a learned slope, if all numbers are here that it is a sum over. */
  function slopeGradient(own) {
    const { slopes, slope_gradients: engines } = details;
    if (!slopes) return null;
    const shared = slopes.values.length === 1;
    if (shared && layer.gradient.rows) return null;
    const mine = (numbers) =>
      shared ? numbers.values : numbers.isMap ? numbers.part(own) : [numbers.values[own]];
    const [x, g] = [source.output, layer.gradient].map(mine);
    const sum = x.reduce((total, value, n) => total + (value > 0 ? 0 : value * g[n]), 0);
    const which = shared ? 0 : own;
    return el(
      "p",
      { "data-formula": "slope-gradient" },
      `∂loss/∂a[${which}] = Σ ∂loss/∂y · x over all x ≤ 0 = `,
      number(sum),
      byEngine(engines.values[which]),
    );
  }

  const figures = [
    maps.figure(0, back ? "Gradient of the output" : "Input"),
    figure(
      title,
      graph,
      back
        ? "The dot is the number’s input: its gradient is multiplied by the slope there."
        : "The dot is the number that you point at.",
    ),
    maps.figure(1, back ? "Gradient of the input" : "Output"),
  ];
  return frame(channels, figures, formula, update);
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
