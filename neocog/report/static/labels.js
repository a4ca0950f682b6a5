// Precision, recall, F1 and average precision of each label, of which an image may have several.

import { scoreTable } from "./classes.js";
import { el } from "./dom.js";
import { percentage } from "./words.js";

const COLUMNS = ["label", "images", "precision", "recall", "F1", "average precision"];
const TELLS = {
  precision: "of the images that were given this label, the part that has it",
  recall: "of the images with this label, the part that was found",
  F1: "the harmonic mean of both",
  "average precision": "the mean precision over all thresholds, by recall",
};

/** The section, or null where there are no labels. */
export function labels({ targets }) {
  if (targets?.kind !== "labels") return null;
  const left = targets.all_labels - targets.scores.length;
  return [
    el(
      "p",
      { class: "caption" },
      `A label is given from a probability of ${percentage(targets.threshold)} on. Precision: of the images that were given a label, the part that has it. Recall: of the images with a label, the part that was found. F1 is the harmonic mean of both. Average precision does not depend on the threshold.`,
    ),
    scoreTable({
      label: "precision, recall, F1 and average precision of each label",
      columns: COLUMNS,
      tells: TELLS,
      rows: targets.scores.map((scores, n) => [targets.names[n], ...scores]),
      mean: ["mean of the labels", targets.count, ...targets.means],
    }),
    left > 0 ? el("p", { class: "hint" }, `and ${left.toLocaleString("en")} more labels`) : null,
  ];
}
