// Small tables of numbers, each cell in its number's color.

import { el } from "./dom.js";
import { brief, written } from "./numbers.js";
import { cellStyle } from "./picture.js";
import { largest } from "./data.js";

// Characters that fit in a cell at its usual font size.
const LONG = 5;

/**
 * A table of numbers, `width` a row.
 *
 * `outside[n]` marks padding. With `press(n)` the cells are buttons, and `pressed` is the chosen one.
 */
export function square(
  label,
  values,
  width,
  { reach = largest(values), outside = [], press = null, pressed = -1, winner = -1 } = {},
) {
  const cell = (value, n) => {
    const text = brief(value);
    const long = text.length > LONG && "long";
    const kinds = [outside[n] && "outside", n === winner && "winner", long]
      .filter(Boolean)
      .join(" ");
    const style = cellStyle(reach ? value / reach : 0);
    const title = outside[n] ? "padding: zero" : written(value);
    if (!press) return el("td", { style, title, class: kinds || null, "data-value": value }, text);
    const button = {
      type: "button",
      style,
      title,
      class: kinds || null,
      "aria-pressed": String(n === pressed),
      onclick: () => press(n),
      "data-value": value,
      "aria-label": `${text} at row ${Math.floor(n / width)}, column ${n % width}`,
    };
    return el("td", {}, el("button", button, text));
  };
  const rows = [];
  for (let at = 0; at < values.length; at += width) {
    rows.push(
      el(
        "tr",
        {},
        Array.from(values.slice(at, at + width), (value, n) => cell(value, at + n)),
      ),
    );
  }
  return el(
    "table",
    { class: "square", style: `--columns: ${width}` },
    el("caption", { class: "hidden" }, label),
    el("tbody", {}, rows),
  );
}
