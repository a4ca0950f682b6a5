// The outputs of several labels, each with a probability of its own, or of numbers, and their loss.

import { className, listed, named, reachOf, said } from "./answers.js";
import { bar, el, heads, put, wideTable } from "./dom.js";
import { percent, written } from "./numbers.js";

/** The view, forward and backward. */
export function targets(page) {
  const node = el("div");
  const update = () => put(node, (page.side === "backward" ? backward : forward)(page.net));
  update();
  return { node, update };
}

/** What is said above the view. */
export function targetsCaption(net, side) {
  const { kind, label, loss, targets: truth } = net;
  const y = net.probabilities.values;
  const name = net.className(label);
  if (side === "forward")
    return kind === "label"
      ? `Every label has a probability of its own, σ of its score, so they need not add up to one: ${name} gets ${percent(y[label])}. A label is given from ${percent(net.threshold)} on.`
      : `The outputs are the numbers themselves, in the unit of the true ones: ${name} is ${written(y[label])}.`;
  if (!truth)
    return `Nobody said what ${name} is, so there is no error. The gradients are those of the number itself: where it says loss, read ${name}. Everything on the way back begins with δ = 1 for it.`;
  return kind === "label"
    ? `Taken for true: ${named(net, truth.values, 0.5)}. The loss is the mean of every label’s binary cross-entropy, ${written(loss)}. Everything on the way back begins with δ = ${deltaOf(net, "y")}.`
    : `The true number${truth.values.length === 1 ? " is" : `s are`} ${listed(net)
        .map((n) => `${net.className(n)} ${written(truth.values[n])}`)
        .join(
          ", ",
        )}. The loss is the ${truth.values.length === 1 ? "" : "mean of the "}squared error, ${written(loss)}. Everything on the way back begins with δ = ${deltaOf(net, "z")}.`;
}

/** δ as a formula: of a mean over K outputs. */
function deltaOf({ kind, classes }, output) {
  const two = kind === "number" ? "2 " : "";
  const error = two || classes.length > 1 ? `(${output} − t)` : `${output} − t`;
  return `${two}${error}${classes.length > 1 ? ` / ${classes.length}` : ""}`;
}

const number = (value, given = written(value), data = {}) =>
  el("td", { class: "number", ...data }, given);

function forward(net) {
  const z = net.scores.values,
    y = net.probabilities.values,
    { label } = net;
  const ofLabels = net.kind === "label";
  const names = ofLabels ? ["z: score", "exp(−z)", "y: probability", "", ""] : ["z", ""];
  const rows = listed(net).map((n) =>
    el(
      "tr",
      { "data-class": n },
      className(net, n),
      number(z[n], written(z[n]), { "data-score": z[n] }),
      ofLabels
        ? [
            number(Math.exp(-z[n])),
            number(y[n], percent(y[n]), { "data-probability": y[n] }),
            el("td", {}, bar(y[n], 1)),
            el("td", {}, y[n] >= net.threshold ? "given" : "not given"),
          ]
        : el("td", {}, bar(z[n], reachOf(net, z))),
    ),
  );
  const table = wideTable(
    ofLabels ? "probability of every label" : "every number",
    heads(net.kind, ...names),
    el("tbody", {}, rows),
  );
  if (!ofLabels) return el("div", {}, table);
  const power = Math.exp(-z[label]);
  const result = 1 / (1 + power);
  return el(
    "div",
    {},
    table,
    el(
      "div",
      { class: "formula", "data-formula": "sigmoid" },
      el(
        "p",
        {},
        `y[${net.className(label)}] = σ(z) = 1 / (1 + exp(−z)) = 1 / (1 + ${written(power)}) = `,
        el("strong", { "data-result": result, "data-engine": y[label] }, percent(result)),
      ),
    ),
  );
}

function backward(net) {
  const { kind, targets: truth } = net;
  const y = net.probabilities.values,
    delta = net.delta.values;
  const reach = kind === "label" ? 1 / y.length : reachOf(net, delta);
  const output = kind === "label" ? "y" : "z";
  const names = truth
    ? [kind === "label" ? "y: probability" : "z", "t: truth", `δ = ${deltaOf(net, output)}`]
    : ["z", "δ"];
  const rows = listed(net).map((n) =>
    el(
      "tr",
      { "data-class": n },
      className(net, n),
      number(y[n], said(net, y[n])),
      truth ? number(truth.values[n]) : null,
      number(delta[n], written(delta[n]), { "data-delta": delta[n] }),
      el("td", {}, bar(delta[n], reach)),
    ),
  );
  return el(
    "div",
    {},
    wideTable(`δ of every ${kind}`, heads(kind, ...names, ""), el("tbody", {}, rows)),
    truth ? ofLoss(net, truth.values) : null,
  );
}

/** The loss as a sum over the outputs. */
function ofLoss(net, truth) {
  const z = net.scores.values;
  const term =
    net.kind === "label"
      ? (n) => Math.max(z[n], 0) - z[n] * truth[n] + Math.log1p(Math.exp(-Math.abs(z[n])))
      : (n) => (z[n] - truth[n]) ** 2;
  const sum = Array.from(truth.keys()).reduce((total, n) => total + term(n), 0);
  const formula = net.kind === "label" ? "−t · ln y − (1 − t) · ln(1 − y)" : "(z − t)²";
  const many = truth.length;
  const whole =
    many === 1
      ? `loss = ${formula} = `
      : `loss = 1 / ${many} · Σ (${formula}) = ${written(sum)} / ${many} = `;
  return el(
    "div",
    { class: "formula", "data-formula": "loss" },
    el(
      "p",
      {},
      whole,
      el("strong", { "data-result": sum / many, "data-engine": net.loss }, written(net.loss)),
    ),
    el(
      "p",
      { class: "note" },
      net.kind === "label"
        ? "Each label’s gradient is its own probability minus its target, whatever the others are: a step lowers the scores of labels that are not true and raises those of labels that are."
        : "The gradient grows with the error: a step moves each number toward the true one.",
    ),
  );
}
