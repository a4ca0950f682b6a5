// The confusion matrix, whose cells open the pictures in them.

import { el } from "./dom.js";
import { count } from "./numbers.js";
import { Sheet } from "./sheet.js";
import { nameOf, percentage } from "./words.js";

// Percent of the fullest color in a cell, on which text has enough contrast in both themes.
const FULLEST = 45;
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const READ_TABLE =
  "Each row is a true class, each column a predicted one. Choose a cell to see its images.";
const READ_PAIRS = "The pairs of classes that are confused most. Choose one to see its images.";

/** The section, or null without an evaluation. */
export function confusion({ evaluation, pictures }) {
  if (!evaluation) return null;
  const view = new Confusion(evaluation, pictures);
  return view.node;
}

class Confusion {
  constructor(evaluation, pictures) {
    this.classes = evaluation.classes;
    this.sheet = pictures ? new Sheet(pictures) : null;
    this.items = pictures?.items ?? [];
    this.buttons = new Map();
    this.panel = el("div", {
      class: "card opened",
      role: "region",
      "aria-live": "polite",
      "aria-label": "pictures of a cell",
    });
    const { table, pairs, different } = evaluation.confusion;
    const list = table ? this.table(table) : this.pairs(pairs, different);
    this.node = [
      el("p", { class: "caption" }, table ? READ_TABLE : READ_PAIRS),
      el("div", { class: "matrix-and-pictures" }, list, this.panel),
    ];
    const first = table ? largest(table) : pairs[0];
    if (first) this.open(...first);
    else this.panel.append(el("p", {}, "Nothing was taken for another class."));
  }

  name(number) {
    return this.classes[number] ?? `class ${number}`;
  }

  table(counts) {
    const wrong = counts.flatMap((row, k) => row.filter((_n, taken) => taken !== k));
    const most = Math.max(1, ...wrong);
    const totals = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const body = counts.map((row, k) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, this.name(k)),
        row.map((n, taken) => {
          if (!n)
            return el(
              "td",
              { class: taken === k ? "diagonal" : null },
              el("span", { class: "none" }, "0"),
            );
          const share = taken === k ? n / totals[k] : n / most;
          const color = taken === k ? "--accent" : "--plus";
          const strength = (FULLEST * (taken === k ? share : Math.sqrt(share))).toFixed(0);
          return el(
            "td",
            { style: `background: color-mix(in srgb, var(${color}) ${strength}%, var(--paper))` },
            this.button(k, taken, n, String(n), `${this.phrase(k, taken)}: ${count(n, "image")}`),
          );
        }),
      ),
    );
    const node = el(
      "table",
      { class: "matrix" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("td"),
          counts.map((_row, k) => el("th", { scope: "col" }, el("span", {}, this.name(k)))),
        ),
      ),
      el("tbody", {}, body),
    );
    node.addEventListener("keydown", (event) => this.key(event, counts.length));
    return el(
      "div",
      {
        class: "card scroll",
        tabindex: "0",
        role: "region",
        "aria-label": "counts of the confusion matrix",
      },
      node,
    );
  }

  pairs(pairs, different) {
    const rest = different - pairs.length;
    return el(
      "div",
      {
        class: "card scroll tall",
        tabindex: "0",
        role: "region",
        "aria-label": "most confused pairs of classes",
      },
      el(
        "ul",
        { class: "pairs" },
        pairs.map(([k, taken, n]) =>
          el(
            "li",
            {},
            this.button(k, taken, n, [
              el("span", {}, this.phrase(k, taken)),
              el("b", {}, n.toLocaleString("en")),
            ]),
          ),
        ),
      ),
      rest > 0
        ? el("p", { class: "hint" }, `and ${rest.toLocaleString("en")} more pairs of classes`)
        : null,
    );
  }

  phrase(k, taken) {
    return k === taken ? `${this.name(k)}, right` : `${this.name(k)} taken for ${this.name(taken)}`;
  }

  button(k, taken, n, content, label = null) {
    const button = el(
      "button",
      {
        type: "button",
        "aria-label": label,
        "aria-pressed": "false",
        onclick: () => {
          this.open(k, taken, n);
          // Where it is below, it may be out of sight.
          this.panel.scrollIntoView({ block: "nearest" });
        },
      },
      content,
    );
    this.buttons.set(`${k},${taken}`, button);
    return button;
  }

  /** The arrow keys go from cell to cell, over those that are empty. */
  key(event, size) {
    const step = ARROWS[event.key];
    const at = [...this.buttons].find(([, button]) => button === event.target)?.[0];
    if (!step || !at || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    let [row, column] = at.split(",").map(Number);
    do {
      row += step[0];
      column += step[1];
      if (row < 0 || column < 0 || row >= size || column >= size) return;
    } while (!this.buttons.has(`${row},${column}`));
    this.focusable(`${row},${column}`).focus();
  }

  /** Only one cell is a stop of the tabulator key; the arrow keys reach the others. */
  focusable(cell) {
    const chosen = this.buttons.get(cell);
    if (chosen.closest("table"))
      for (const button of this.buttons.values()) button.tabIndex = button === chosen ? 0 : -1;
    return chosen;
  }

  open(k, taken, n) {
    for (const [cell, button] of this.buttons)
      button.setAttribute("aria-pressed", String(cell === `${k},${taken}`));
    this.focusable(`${k},${taken}`);
    const found = Array.from(this.items.keys()).filter(
      (each) => this.items[each][0] === k && this.items[each][1] === taken,
    );
    this.panel.replaceChildren(
      el("h3", {}, this.phrase(k, taken)),
      el("p", { class: "hint" }, this.about(k, taken, n, found.length)),
      el(
        "ul",
        { class: "tiles" },
        found.map((each) => this.tile(each)),
      ),
    );
  }

  about(k, taken, n, shown) {
    if (!shown) return `${count(n, "image")}; this report holds no picture of them.`;
    if (shown === n) return count(n, "image");
    const which = k === taken ? "it was least sure of" : "it was surest of";
    return `${count(n, "image")}; shown are the ${shown} that ${which}.`;
  }

  tile(each) {
    const [, taken, sure, index, name] = this.items[each];
    const called = nameOf(name, index);
    const label = `${called}, taken for ${this.name(taken)} with ${percentage(sure)}`;
    return el(
      "li",
      { title: called },
      this.sheet.picture(each, label, this.sheet.pixelated ? 64 : 80),
      el("span", { class: "file" }, el("bdi", {}, called)),
      el("span", { class: "sure" }, percentage(sure)),
    );
  }
}

/** The cell of the most mistakes, [row, column, count]; null without any. */
function largest(counts) {
  let best = null;
  counts.forEach((row, k) =>
    row.forEach((n, taken) => {
      if (k !== taken && n > (best?.[2] ?? 0)) best = [k, taken, n];
    }),
  );
  return best;
}
