// Curves in a frame with ticks, and the numbers under the pointer.

import { el, svg } from "./dom.js";
import { written } from "./numbers.js";

const WIDTH = 400,
  HEIGHT = 220;
const LEFT = 46,
  RIGHT = 10,
  TOP = 10,
  BOTTOM = 30;

/**
 * A chart.
 *
 * `series` is [{name, kind, x, y, low?, high?}, …], `kind` being a class of the style; `format`
 * writes a number of the vertical axis; `from` is where that begins at the latest, `log` whether it is
 * logarithmic; `across` is what the horizontal axis counts.
 */
export function chart({
  label,
  series,
  format = written,
  from = null,
  to = null,
  log = false,
  across = "epoch",
}) {
  const known = series.flatMap(({ y, low = [], high = [] }) =>
    [...y, ...low, ...high].filter((value) => value !== null && (!log || value > 0)),
  );
  const xs = series.flatMap(({ x }) => x);
  const horizontal = scale(Math.min(0, ...xs), Math.max(1, ...xs), LEFT, WIDTH - RIGHT);
  const bottom = Math.min(...known, from ?? Infinity),
    top = Math.max(...known, to ?? -Infinity);
  const vertical = log
    ? logarithmic(bottom, top, HEIGHT - BOTTOM, TOP)
    : scale(bottom, top, HEIGHT - BOTTOM, TOP);
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM });
  cursor.style.display = "none";
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": label },
    vertical.ticks.map((value) => [
      svg("line", {
        class: "grid-line",
        x1: LEFT,
        x2: WIDTH - RIGHT,
        y1: vertical(value),
        y2: vertical(value),
      }),
      svg("text", { x: LEFT - 6, y: vertical(value) + 4, "text-anchor": "end" }, format(value)),
    ]),
    horizontal.ticks
      .filter(Number.isInteger)
      .map((value) =>
        svg(
          "text",
          { x: horizontal(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" },
          String(value),
        ),
      ),
    svg("line", {
      class: "axis",
      x1: LEFT,
      x2: WIDTH - RIGHT,
      y1: HEIGHT - BOTTOM,
      y2: HEIGHT - BOTTOM,
    }),
    series.map((one) => drawn(one, horizontal, vertical)),
    cursor,
  );
  const readout = el("p", { class: "readout", "aria-hidden": "true" }, legend(series));
  const follow = (event) => {
    const box = drawing.getBoundingClientRect();
    const at = horizontal.back(((event.clientX - box.left) / box.width) * WIDTH);
    const found = series.map((one) => [one, nearest(one, at)]).filter(([, n]) => n !== null);
    if (!found.length) return;
    const x = found
      .map(([one, n]) => one.x[n])
      .reduce((best, each) => (Math.abs(each - at) < Math.abs(best - at) ? each : best));
    cursor.style.display = "";
    cursor.setAttribute("x1", horizontal(x));
    cursor.setAttribute("x2", horizontal(x));
    const near = found.filter(([one, n]) => Math.abs(one.x[n] - x) <= 0.5);
    readout.replaceChildren(
      `${across} ${written(Number(x.toPrecision(4)))}: `,
      ...near.map(([one, n]) => entry(one, `${one.name} ${format(one.y[n])}`)),
    );
  };
  const leave = () => {
    cursor.style.display = "none";
    readout.replaceChildren(...legend(series));
  };
  drawing.addEventListener("pointermove", follow);
  drawing.addEventListener("pointerdown", follow);
  drawing.addEventListener("pointerleave", leave);
  return el("div", { class: "chart-box" }, drawing, readout);
}

function legend(series) {
  return series.map((one) => entry(one, one.name));
}

function entry({ kind }, text) {
  return el("span", { class: "entry" }, el("span", { class: `key ${kind}` }), text);
}

/** One curve: its band from the least to the most, its line, and a dot where it is a single point. */
function drawn({ kind, x, y, low, high }, horizontal, vertical) {
  const place = (n, values) => `${horizontal(x[n]).toFixed(1)} ${vertical(values[n]).toFixed(1)}`;
  const numbers = Array.from(x.keys());
  const shown = numbers.filter((n) => y[n] !== null);
  const parts = [];
  if (low) {
    const banded = numbers.filter((n) => low[n] !== null && high[n] !== null);
    const way = [
      ...banded.map((n) => place(n, high)),
      ...banded.reverse().map((n) => place(n, low)),
    ];
    if (way.length) parts.push(svg("path", { class: `band ${kind}`, d: `M${way.join("L")}Z` }));
  }
  // A number that is missing breaks the line.
  const line = numbers.map((n) =>
    y[n] === null ? "" : `${n && y[n - 1] !== null ? "L" : "M"}${place(n, y)}`,
  );
  parts.push(svg("path", { class: `line ${kind}`, d: line.join("") }));
  if (shown.length <= 40 && kind !== "running")
    for (const n of shown)
      parts.push(
        svg("circle", { class: `dot ${kind}`, cx: horizontal(x[n]), cy: vertical(y[n]), r: 2.5 }),
      );
  return parts;
}

function nearest({ x, y }, at) {
  let best = null;
  for (let n = 0; n < x.length; n++)
    if (y[n] !== null && (best === null || Math.abs(x[n] - at) < Math.abs(x[best] - at))) best = n;
  return best;
}

/** A function from numbers to places, with round `ticks`, and `back` again. */
export function scale(least, most, begin, end) {
  const span = most - least || Math.abs(most) || 1;
  const step = round(span / 5);
  const first = Math.floor(least / step + 1e-9) * step;
  const last = most <= least ? first + step : Math.max(first + step, most);
  const place = (value) => begin + ((value - first) / (last - first)) * (end - begin);
  const ticks = [];
  for (let n = 0; first + n * step <= last + 1e-9 * step; n++)
    ticks.push(Number((first + n * step).toPrecision(12)));
  return Object.assign(place, {
    ticks,
    back: (at) => first + ((at - begin) / (end - begin)) * (last - first),
  });
}

/** The same with every factor of ten as long as the others. */
function logarithmic(least, most, begin, end) {
  const lowest = Math.log10(least),
    highest = Math.max(Math.log10(most), lowest + 0.1);
  const place = (value) =>
    begin + ((Math.log10(Math.max(value, least)) - lowest) / (highest - lowest)) * (end - begin);
  const ticks = [];
  const mantissas = highest - lowest > 2.5 ? [1] : [1, 2, 5];
  for (let power = Math.floor(lowest); power <= highest; power++)
    for (const mantissa of mantissas) {
      const value = mantissa * 10 ** power;
      if (value >= least && value <= most * 1.0001) ticks.push(Number(value.toPrecision(12)));
    }
  return Object.assign(place, { ticks });
}

/** The next of 1, 2 and 5 times a power of ten. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((mantissa) => mantissa * power >= value * 0.999) * power;
}
