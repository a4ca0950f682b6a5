// Settings, and what else there is to know of a run.

import { el, heads } from "./dom.js";

/** The settings, those that were chosen first; null without any. */
export function settings({ settings: rows, compared }) {
  if (!rows.length) return null;
  if (!compared) return table(rows, false);
  const chosen = rows.filter(([, , usual]) => usual !== null);
  const rest = rows.filter(([, , usual]) => usual === null);
  return [
    chosen.length
      ? table(chosen, true)
      : el("p", { class: "caption" }, "All settings are at their defaults."),
    rest.length
      ? el(
          "details",
          {},
          el("summary", {}, `${rest.length} more at their defaults`),
          table(rest, false),
        )
      : null,
  ];
}

function table(rows, usual) {
  return el(
    "div",
    {
      class: "card scroll",
      tabindex: "0",
      role: "region",
      "aria-label": usual ? "changed settings" : "table of settings",
    },
    el(
      "table",
      { class: "plain pairs-of-text" },
      usual ? heads("setting", "value", "default") : heads("setting", "value"),
      el(
        "tbody",
        {},
        rows.map(([name, value, other]) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, name),
            el("td", {}, usual ? el("b", {}, value) : value),
            usual ? el("td", { class: "usual" }, other) : null,
          ),
        ),
      ),
    ),
  );
}

/** Timings, the machine and so on, a card each; null without any. */
export function facts({ facts: tables }) {
  const shown = Object.entries(tables).filter(([, rows]) => rows.length);
  if (!shown.length) return null;
  return el(
    "div",
    { class: "facts" },
    shown.map(([title, rows]) =>
      el(
        "div",
        { class: "card" },
        el("h3", {}, title),
        el(
          "dl",
          { class: "pairs-of-words" },
          rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
        ),
      ),
    ),
  );
}
