// Scores to probabilities, and δ = y − t.

import { className, listed } from "./answers.js";
import { bar, el, heads, put, wideTable } from "./dom.js";
import { percent, written } from "./numbers.js";

/** The view, forward and backward. */
export function softmax(page) {
  const node = el("div");
  const update = () => put(node, content(page));
  update();
  return { node, update };
}

/** What is said above the view. */
export function softmaxCaption(
  { classes, probabilities, predicted, label, loss, calibrated },
  side,
) {
  const y = probabilities.values;
  const scaled = calibrated
    ? ` Predictions divide the scores by the temperature ${written(calibrated.temperature)} first, which gives ${percent(calibrated.probability)}.`
    : "";
  return side === "forward"
    ? `Exponentials make every score positive, and dividing by their sum makes them add up to one: ${classes[predicted]} gets ${percent(y[predicted])}.${scaled}`
    : `The label is ${classes[label]}, which got ${percent(y[label])}: a loss of ${written(loss)}. Everything on the way back begins with δ = y − t.`;
}

function content(page) {
  const { net } = page;
  const z = net.scores.values,
    y = net.probabilities.values,
    delta = net.delta.values;
  const highest = Math.max(...z);
  const powers = Array.from(z, (score) => Math.exp(score - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  const rows = listed(net);
  const number = (value, given = written(value), data = {}) =>
    el("td", { class: "number", ...data }, given);
  if (page.side === "backward") {
    return el(
      "div",
      {},
      wideTable(
        "δ of every class",
        heads("class", "y: probability", "t: truth", "δ = y − t", ""),
        el(
          "tbody",
          {},
          rows.map((n) =>
            el(
              "tr",
              { "data-class": n },
              className(net, n),
              number(y[n]),
              number(net.targets.values[n]),
              number(delta[n], written(delta[n]), { "data-delta": delta[n] }),
              el("td", {}, bar(delta[n], 1)),
            ),
          ),
        ),
      ),
      el(
        "div",
        { class: "formula", "data-formula": "loss" },
        el(
          "p",
          {},
          `loss = −ln y[${net.className(net.label)}] = −ln ${written(y[net.label])} = `,
          el(
            "strong",
            { "data-result": -Math.log(y[net.label]), "data-engine": net.loss },
            written(net.loss),
          ),
        ),
        el(
          "p",
          { class: "note" },
          "The gradient of cross-entropy after softmax is simple: probability minus target. A step lowers the scores that are too high and raises the label’s, and all δ add up to zero.",
        ),
      ),
    );
  }
  const top = Array.from(y.keys()).reduce((best, n) => (y[n] > y[best] ? n : best), 0);
  return el(
    "div",
    {},
    wideTable(
      "probability of every class",
      heads("class", "z: score", "z − max", "exp(z − max)", "y: probability", ""),
      el(
        "tbody",
        {},
        rows.map((n) =>
          el(
            "tr",
            { "data-class": n },
            className(net, n),
            number(z[n], written(z[n]), { "data-score": z[n] }),
            number(z[n] - highest),
            number(powers[n]),
            number(y[n], percent(y[n]), { "data-probability": y[n] }),
            el("td", {}, bar(y[n], 1)),
          ),
        ),
      ),
      el(
        "tfoot",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "row" }, "sum"),
          el("td"),
          el("td"),
          number(sum),
          number(1, "100 %"),
          el("td"),
        ),
      ),
    ),
    el(
      "div",
      { class: "formula", "data-formula": "softmax" },
      el(
        "p",
        {},
        `y[${net.className(top)}] = exp(z − max) / Σ exp(z − max) = ${written(powers[top])} / ${written(sum)} = `,
        el(
          "strong",
          { "data-result": powers[top] / sum, "data-engine": y[top] },
          percent(powers[top] / sum),
        ),
      ),
      el(
        "p",
        { class: "note" },
        "The largest score is subtracted first. It cancels in every quotient, and keeps every exponential at most 1.",
      ),
    ),
  );
}
