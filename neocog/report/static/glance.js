// What the run reached, as a row of numbers.

import { el } from "./dom.js";
import { written } from "./numbers.js";
import { duration, percentage } from "./words.js";

/** The numbers, or null where there are none. */
export function glance({ evaluation, targets, history }) {
  const items = [...ofEvaluation(evaluation), ...ofTargets(targets), ...ofHistory(history)];
  if (!items.length) return null;
  return el(
    "dl",
    { class: "glance" },
    items.map(([name, value, note]) =>
      el(
        "div",
        { class: "card" },
        el("dt", {}, name),
        el("dd", { class: "value" }, value),
        note ? el("dd", { class: "note" }, note) : null,
      ),
    ),
  );
}

function ofEvaluation(evaluation) {
  if (!evaluation) return [];
  const { part, accuracy, interval, count, loss, calibration, top_k } = evaluation;
  const wrong = Math.round((1 - accuracy) * count);
  const of = part === "all" ? "Accuracy" : `${part[0].toUpperCase()}${part.slice(1)} accuracy`;
  return [
    [of, percentage(accuracy), `95\u00a0% interval: ${span(...interval)}`],
    ["Mistakes", wrong.toLocaleString("en"), `of ${count.toLocaleString("en")} images`],
    ...(top_k ? [[`Top-${top_k[0]} accuracy`, percentage(top_k[1]), null]] : []),
    ["Loss", written(loss), "mean cross-entropy"],
    ["Calibration error", percentage(calibration.ece), "ECE; 0\u00a0% is best"],
  ];
}

function ofTargets(targets) {
  if (!targets) return [];
  const { kind, part, count, loss } = targets;
  const of = `on ${count.toLocaleString("en")} ${part === "all" ? "" : `${part} `}images`;
  if (kind === "numbers")
    return [
      ["Mean absolute error", written(targets.mae), of],
      ["RMSE", written(targets.rmse), "root of the mean squared error"],
      ["R²", score(targets.r2, written), "1 is perfect; 0 is no better than the mean"],
    ];
  return [
    ["Mean F1", score(targets.f1, percentage), of],
    ["Mean average precision", score(targets.mean_precision, percentage), "mAP; at all thresholds"],
    ["Labels right", percentage(targets.accuracy), "of all labels of all images"],
    ["Loss", written(loss), "mean binary cross-entropy"],
  ];
}

function score(value, write) {
  return value === null ? "–" : write(value);
}

function ofHistory(history) {
  if (!history?.steps) return [];
  const { epochs, steps, seconds, interrupted, stopped } = history;
  const end = interrupted ? "interrupted" : stopped ? "stopped early" : null;
  const number = epochs.at(-1)?.[0] ?? 0;
  return [
    ["Epochs", number.toLocaleString("en"), end ?? `${steps.toLocaleString("en")} steps`],
    ["Training time", duration(seconds), `${duration(seconds / steps)} a step`],
  ];
}

/** "50.3–52.3 %" */
function span(low, high) {
  // On one line, whatever the room.
  return `${percentage(low).replace("\u00a0%", "")}\u2060–\u2060${percentage(high)}`;
}
