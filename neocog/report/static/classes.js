// Precision, recall and F1 of each class, and the table that shows such scores.

import { bar, el } from "./dom.js";
import { percentage } from "./words.js";

const COLUMNS = ["class", "images", "precision", "recall", "F1"];
const TELLS = {
  precision: "of what was called this class, the part that is",
  recall: "of this class, the part that was found",
  F1: "the harmonic mean of both",
};

/** The section, or null without an evaluation. */
export function classes({ evaluation }) {
  if (!evaluation) return null;
  const left = evaluation.all_classes - evaluation.scores.length;
  return [
    el(
      "p",
      { class: "caption" },
      "Precision: of the images that were called a class, the part that is of it. Recall: of the images of a class, the part that was found. F1 is the harmonic mean of both.",
    ),
    scoreTable({
      label: "precision, recall and F1 of each class",
      columns: COLUMNS,
      tells: TELLS,
      rows: evaluation.scores.map((scores, n) => [evaluation.classes[n], ...scores]),
      mean: ["mean of the classes", evaluation.count, ...evaluation.macro],
    }),
    left > 0 ? el("p", { class: "hint" }, `and ${left.toLocaleString("en")} more classes`) : null,
  ];
}

/**
 * A table of scores in the order of whatever column is chosen.
 *
 * Each of `rows`, and `mean` below them, is a name, a count, and parts of 1 or null; `tells` has what
 * the columns mean.
 */
export function scoreTable({ label, columns, tells, rows, mean }) {
  const body = el("tbody");
  const heads = columns.map((name) =>
    el("th", { scope: "col", "aria-sort": "none", title: tells[name] ?? null }),
  );
  let [by, falling] = [null, false];
  const sort = (column) => {
    [by, falling] = [column, by === column ? !falling : column === 1];
    const order = [...rows].sort((a, b) => compare(a[by], b[by]) * (falling ? -1 : 1));
    body.replaceChildren(...order.map(row));
    heads.forEach((head, n) =>
      head.setAttribute("aria-sort", n !== by ? "none" : falling ? "descending" : "ascending"),
    );
  };
  heads.forEach((head, n) =>
    head.append(
      el("button", { type: "button", class: "sort", onclick: () => sort(n) }, columns[n]),
    ),
  );
  body.replaceChildren(...rows.map(row));
  return el(
    "div",
    { class: "card scroll tall", tabindex: "0", role: "region", "aria-label": label },
    el(
      "table",
      { class: "plain classes" },
      el("thead", {}, el("tr", {}, heads)),
      body,
      el("tfoot", {}, row(mean)),
    ),
  );
}

function row([name, images, ...scores]) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name),
    el("td", { class: "number" }, images.toLocaleString("en")),
    scores.map(score),
  );
}

function score(value) {
  if (value === null) return el("td", { class: "number" }, "–");
  return el(
    "td",
    { class: "number" },
    bar(value, 1),
    el("span", { class: "share" }, percentage(value)),
  );
}

/** By alphabet or size; what is unknown comes first. */
function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return (a ?? -1) - (b ?? -1);
}
