// One step of learning from this image: gradient, velocity, weight before and after, by two
// optimisers side by side, and what the step does to the probabilities.

import { bar, el, heads, select } from "./dom.js";
import { byEngine } from "./engine.js";
import { listed } from "./softmax.js";
import { percent, written } from "./picture.js";

const LISTED = 6;

/** The section; it follows the layer that is looked at. */
export function learning(page) {
  const { net } = page;
  const names = Object.keys(net.steps.numbers);
  const own = names.find((name) => name.slice(0, name.lastIndexOf(".")) === page.layer);
  let name =
    page.kept.parameter ??
    own ??
    names.reduce((best, each) =>
      net.steps.numbers[each].norm > net.steps.numbers[best].norm ? each : best,
    );
  let n = page.kept.number ?? 0;
  const holder = el("div");

  function draw() {
    const of = net.steps.numbers[name];
    const value = (numbers) => numbers.values[n];
    const g = value(of.gradient),
      w = value(of.before);
    const place = of.places[n].join(", ");
    holder.replaceChildren(
      el(
        "div",
        { class: "controls" },
        select(
          "Parameter",
          names.map((each) => [each, `${each} (${net.steps.numbers[each].shape.join(" × ")})`]),
          name,
          (next) => {
            page.kept.parameter = name = next;
            page.kept.number = n = 0;
            draw();
          },
        ),
        select(
          "the number at",
          of.places.map((each, k) => [
            k,
            `[${each.join(", ")}]: gradient ${written(of.gradient.values[k])}`,
          ]),
          n,
          (next) => {
            page.kept.number = n = next;
            draw();
          },
        ),
      ),
      el(
        "p",
        { class: "caption" },
        `Its ${of.places.length} numbers with the largest gradients are here, the largest first. The norm of the whole gradient is ${written(of.norm)}.`,
      ),
      el(
        "div",
        { class: "across" },
        sgd(net.steps.sgd, of, g, w, place, value),
        adam(net.steps.adam, of, g, w, place, value),
      ),
      table(of, name),
    );
  }
  draw();
  return el("div", {}, holder, results(net));
}

const line = (...parts) => el("p", {}, parts);
function sgd({ lr, momentum }, of, g, w, place, value) {
  const velocity = g,
    after = w - lr * velocity;
  return el(
    "div",
    { class: "card formula", "data-formula": "sgd" },
    el("h4", {}, `SGD with momentum ${momentum}, rate ${lr}`),
    line(`g[${place}] = ${written(g)}`),
    line(
      `v ← ${momentum} · v + g = ${momentum} · 0 + (${written(g)}) = ${written(velocity)}`,
      byEngine(value(of.sgd.velocity)),
    ),
    line(
      `w ← w − ${lr} · v = ${written(w)} − ${lr} · (${written(velocity)}) = `,
      el("strong", { "data-result": after }, written(after)),
      byEngine(value(of.sgd.after)),
    ),
    el(
      "p",
      { class: "note" },
      "Before the first step the velocity is 0. Where gradients keep their sign it grows step by step, to ten times one gradient with a momentum of 0.9; where they change it they cancel.",
    ),
  );
}

function adam({ lr, betas: [first, second], eps }, of, g, w, place, value) {
  const mean = (1 - first) * g,
    square = (1 - second) * g * g;
  const step = (lr * (mean / (1 - first))) / (Math.sqrt(square / (1 - second)) + eps);
  return el(
    "div",
    { class: "card formula", "data-formula": "adam" },
    el("h4", {}, `Adam, an adaptive rate, from ${lr}`),
    line(`g[${place}] = ${written(g)}`),
    line(
      `m ← ${first} · m + ${written(1 - first)} · g = ${written(mean)}`,
      byEngine(value(of.adam.mean)),
    ),
    line(
      `s ← ${second} · s + ${written(1 - second)} · g² = ${written(square)}`,
      byEngine(value(of.adam.square)),
    ),
    line(
      `w ← w − ${lr} · m̂ / (√ŝ + ε) = ${written(w)} − (${written(step)}) = `,
      el("strong", { "data-result": w - step }, written(w - step)),
      byEngine(value(of.adam.after)),
    ),
    el(
      "p",
      { class: "note" },
      `m̂ = m / (1 − ${first}) and ŝ = s / (1 − ${second}) undo the start from zero. In the first step m̂ / √ŝ is the gradient’s sign, so every weight moves by the rate, ${lr}, however small its gradient.`,
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
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `changes of ${name}` },
    el("table", { class: "plain" }, heads(...head), el("tbody", {}, rows)),
  );
}

function results(net) {
  const { sgd: one, adam: two } = net.steps;
  const label = net.className(net.label);
  const before = net.probabilities.values;
  const words = `One step from this image alone takes the probability of ${label} from ${percent(before[net.label])} to ${percent(one.probabilities.values[net.label])} with SGD and to ${percent(two.probabilities.values[net.label])} with Adam; the loss from ${written(net.loss)} to ${written(one.loss)} and ${written(two.loss)}.`;
  const rows = listed(net).map((n) =>
    el(
      "tr",
      { "data-class": n },
      el("th", { scope: "row", class: n === net.label ? "label" : null }, net.className(n)),
      [before, one.probabilities.values, two.probabilities.values].map((values) => [
        el("td", { class: "number" }, percent(values[n])),
        el("td", {}, bar(values[n], 1)),
      ]),
    ),
  );
  const head = ["class", "before", "", "after SGD", "", "after Adam", ""];
  return el(
    "div",
    { "data-results": "step" },
    el("h3", {}, "What that step does to the answer"),
    el("p", { class: "caption" }, words),
    el(
      "div",
      {
        class: "scroll",
        tabindex: "0",
        role: "region",
        "aria-label": "probabilities before and after the step",
      },
      el("table", { class: "plain" }, heads(...head), el("tbody", {}, rows)),
    ),
  );
}
