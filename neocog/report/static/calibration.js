// How often predictions are right, by how sure the network is of them.

import { el, heads, svg } from "./dom.js";
import { percentage } from "./words.js";

const LEFT = 40,
  TOP = 10,
  SIDE = 230,
  BELOW = 60;

/** The section, or null without an evaluation. */
export function calibration({ evaluation }) {
  if (!evaluation) return null;
  const found = evaluation.calibration;
  return el(
    "div",
    { class: "across calibration" },
    el("div", { class: "card" }, diagram(found)),
    el(
      "div",
      { class: "words" },
      el("p", {}, verdict(found)),
      el(
        "p",
        { class: "hint" },
        `Each bar holds the predictions of one range of confidence; its height is the part of them that is right. A bar below the diagonal means overconfidence. The small bars count the predictions. ECE, the expected calibration error, is the mean distance from the diagonal: ${percentage(found.ece)}.`,
        evaluation.temperature === 1
          ? null
          : ` Probabilities are softmax(scores / ${Number(evaluation.temperature.toPrecision(4))}).`,
      ),
      table(found.bins),
    ),
  );
}

function verdict({ ece, confidence, accuracy }) {
  const means = `The mean confidence is ${percentage(confidence)}, the accuracy ${percentage(accuracy)}`;
  if (Math.abs(confidence - accuracy) < 0.01 && ece < 0.02)
    return `${means}: the probabilities are well calibrated.`;
  return `${means}: the network is ${confidence > accuracy ? "overconfident" : "underconfident"}.`;
}

function diagram({ bins, ece }) {
  const x = (value) => LEFT + SIDE * value,
    y = (value) => TOP + SIDE * (1 - value);
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const base = TOP + SIDE + BELOW;
  const bars = bins
    .filter((bin) => bin.count)
    .map((bin) => {
      const [left, right] = [x(bin.low) + 0.7, x(bin.high) - 0.7];
      const gap = Math.abs(bin.confidence - bin.accuracy);
      const top = Math.max(bin.confidence, bin.accuracy);
      return [
        svg("rect", {
          class: "right",
          x: left,
          width: right - left,
          y: y(bin.accuracy),
          height: SIDE * bin.accuracy,
        }),
        svg("rect", { class: "gap", x: left, width: right - left, y: y(top), height: SIDE * gap }),
        svg("rect", {
          class: "many",
          x: left,
          width: right - left,
          y: base - 34 * (bin.count / most),
          height: Math.max(0.7, 34 * (bin.count / most)),
        }),
      ];
    });
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return svg(
    "svg",
    {
      viewBox: `0 0 ${LEFT + SIDE + 20} ${base + 6}`,
      class: "reliability",
      role: "img",
      "aria-label": `Reliability diagram; the expected calibration error is ${percentage(ece)}. The table beside it has the numbers.`,
    },
    ticks.map((tick) => [
      svg("line", { class: "grid-line", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      svg("text", { x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, `${100 * tick} %`),
      svg("text", { x: x(tick), y: y(0) + 14, "text-anchor": "middle" }, `${100 * tick} %`),
    ]),
    bars,
    svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
  );
}

function table(bins) {
  const rows = bins.filter((bin) => bin.count);
  return el(
    "details",
    {},
    el("summary", {}, "The bars as a table"),
    el(
      "table",
      { class: "plain" },
      heads("confidence", "predictions", "mean confidence", "accuracy"),
      el(
        "tbody",
        {},
        rows.map((bin) =>
          el(
            "tr",
            {},
            el(
              "th",
              { scope: "row" },
              `${(100 * bin.low).toFixed(0)}–${percentage(Math.round(100 * bin.high) / 100)}`,
            ),
            el("td", { class: "number" }, bin.count.toLocaleString("en")),
            el("td", { class: "number" }, percentage(bin.confidence)),
            el("td", { class: "number" }, percentage(bin.accuracy)),
          ),
        ),
      ),
    ),
  );
}
