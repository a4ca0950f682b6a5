// One training step on this image: gradient, velocity, and weight before and after, with two optimizers
// side by side, and how the step changes the probabilities.

import { className, listed, quantity, reachOf, said } from "./answers.js";
import { bar, el, heads, select, wideTable } from "./dom.js";
import { byEngine } from "./engine.js";
import { written } from "./numbers.js";

const LISTED = 6;

/** The section; it follows the chosen layer. */
export function learning(page) {
  const { net } = page;
  const names = Object.keys(net.steps.numbers);
  const own = names.find((name) => name.slice(0, name.lastIndexOf(".")) === page.layer);
  // The first choice, made for the user, stays too when the numbers change.
  const name = (page.kept.parameter ??=
    own ??
    names.reduce((best, each) =>
      net.steps.numbers[each].norm > net.steps.numbers[best].norm ? each : best,
    ));
  const of = net.steps.numbers[name];
  const place = (page.kept.place ??= of.places[0]);
  const keep = (choice) => {
    Object.assign(page.kept, choice);
    page.section("learning");
  };
  const number = numberAt(net, name, place);
  const options = of.places.map((each, n) => [
    each,
    `[${each.join(", ")}]: gradient ${written(of.gradient.values[n])}`,
  ]);
  if (number.n < 0) options.unshift([place, `[${place.join(", ")}]`]);
  const parameters = names.map((each) => [
    each,
    `${each} (${net.steps.numbers[each].shape.join(" × ")})`,
  ]);
  return [
    el(
      "div",
      { class: "controls" },
      select("Parameter", parameters, name, (parameter) => keep({ parameter, place: undefined })),
      select("the number at", options, options[Math.max(0, number.n)][0], (next) =>
        keep({ place: next }),
      ),
    ),
    el(
      "p",
      { class: "caption" },
      `${of.places.length === 1 ? "Its number with the largest gradient is" : `Its ${of.places.length} numbers with the largest gradients are`} here${of.places.length === 1 ? "" : ", the largest first"}. The norm of the whole gradient is ${written(of.norm)}.`,
    ),
    number.g === undefined
      ? el("p", { class: "note" }, `[${place.join(", ")}] is no longer among them.`)
      : el("div", { class: "across" }, sgd(net.steps.sgd, number), adam(net.steps.adam, number)),
    table(of, name),
    results(net),
  ];
}

/** One number of a parameter, its gradient, and its values after both steps if they are known. */
function numberAt(net, name, place) {
  const of = net.steps.numbers[name];
  const at = place.join(", ");
  const n = of.places.findIndex((each) => each.join(", ") === at);
  if (n >= 0) {
    const engine = (numbers) => numbers.values[n];
    return { n, at, g: engine(of.gradient), w: engine(of.before), of, engine };
  }
  // It was among the largest before; the layer may still have it.
  const [, layer, part] = name.match(/^(.*)\.(\w+)$/);
  const values = (numbers) => {
    if (!numbers?.has(place[0])) return undefined;
    const rest = place.slice(1).reduce((flat, i, k) => flat * numbers.shape[k + 1] + i, 0);
    return place.length === 1 ? numbers.values[place[0]] : numbers.part(place[0])[rest];
  };
  return {
    n,
    at,
    g: values(net.get(layer)[`${part}Gradient`]),
    w: values(net.get(layer)[part]),
    of,
    engine: () => undefined,
  };
}

const line = (...parts) => el("p", {}, parts);
const known = (value) => (value === undefined ? null : byEngine(value));

function sgd({ lr, momentum }, { g, w, at, of, engine }) {
  const velocity = g,
    after = w - lr * velocity;
  return el(
    "div",
    { class: "card formula", "data-formula": "sgd" },
    el("h4", {}, `SGD with momentum ${momentum}, rate ${lr}`),
    line(`g[${at}] = ${written(g)}`),
    line(
      `v ← ${momentum} · v + g = ${momentum} · 0 + (${written(g)}) = ${written(velocity)}`,
      known(engine(of.sgd.velocity)),
    ),
    line(
      `w ← w − ${lr} · v = ${written(w)} − ${lr} · (${written(velocity)}) = `,
      el("strong", { "data-result": after }, written(after)),
      known(engine(of.sgd.after)),
    ),
    el(
      "p",
      { class: "note" },
      "Before the first step the velocity is 0. While gradients keep their sign it grows with each step, up to ten times one gradient with a momentum of 0.9; gradients of changing sign cancel out.",
    ),
  );
}

function adam({ lr, betas: [first, second], eps }, { g, w, at, of, engine }) {
  const mean = (1 - first) * g,
    square = (1 - second) * g * g;
  const step = (lr * (mean / (1 - first))) / (Math.sqrt(square / (1 - second)) + eps);
  return el(
    "div",
    { class: "card formula", "data-formula": "adam" },
    el("h4", {}, `Adam, an adaptive rate, from ${lr}`),
    line(`g[${at}] = ${written(g)}`),
    line(
      `m ← ${first} · m + ${written(1 - first)} · g = ${written(mean)}`,
      known(engine(of.adam.mean)),
    ),
    line(
      `s ← ${second} · s + ${written(1 - second)} · g² = ${written(square)}`,
      known(engine(of.adam.square)),
    ),
    line(
      `w ← w − ${lr} · m̂ / (√ŝ + ε) = ${written(w)} − (${written(step)}) = `,
      el("strong", { "data-result": w - step }, written(w - step)),
      known(engine(of.adam.after)),
    ),
    el(
      "p",
      { class: "note" },
      `m̂ = m / (1 − ${first}) and ŝ = s / (1 − ${second}) correct for the start from zero. In the first step m̂ / √ŝ is the gradient’s sign, so every weight moves by the rate, ${lr}, however small its gradient.`,
    ),
  );
}

function table(of, name) {
  const head = ["", "gradient", "before", "after SGD", "after Adam"];
  const rows = of.places.slice(0, LISTED).map((each, n) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, `[${each.join(", ")}]`),
      [of.gradient, of.before, of.sgd.after, of.adam.after].map((numbers) =>
        el("td", { class: "number" }, written(numbers.values[n])),
      ),
    ),
  );
  return wideTable(`changes of ${name}`, heads(...head), el("tbody", {}, rows));
}

function results(net) {
  const { sgd: one, adam: two } = net.steps;
  const before = net.probabilities.values;
  const after = (step) => said(net, step.probabilities.values[net.label]);
  // Without a true number the loss is the number itself.
  const losses = net.targets
    ? `; the loss from ${written(net.loss)} to ${written(one.loss)} and ${written(two.loss)}`
    : ": the step goes against the gradients of the number itself";
  const unit =
    net.kind === "number"
      ? " It is a step in the unit of the numbers; neocog train learns them standardized, where steps have another size."
      : "";
  const words = `One step on this image alone takes ${quantity(net, net.label)} from ${said(net, before[net.label])} to ${after(one)} with SGD and to ${after(two)} with Adam${losses}.${unit}`;
  const steps = [before, one.probabilities.values, two.probabilities.values];
  const reach = Math.max(...steps.map((values) => reachOf(net, values)));
  const rows = listed(net).map((n) =>
    el(
      "tr",
      { "data-class": n },
      className(net, n),
      steps.map((values) => [
        el("td", { class: "number" }, said(net, values[n])),
        el("td", {}, bar(values[n], reach)),
      ]),
    ),
  );
  const head = [net.kind, "before", "", "after SGD", "", "after Adam", ""];
  return el(
    "div",
    { "data-results": "step" },
    el("h3", {}, "How the step changes the prediction"),
    el("p", { class: "caption" }, words),
    wideTable("prediction before and after the step", heads(...head), el("tbody", {}, rows)),
  );
}
