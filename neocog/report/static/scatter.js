// Numbers that were predicted against the true ones: a point an image, and the line where they agree.

import { scale } from "./chart.js";
import { el, svg } from "./dom.js";
import { written } from "./numbers.js";

const SIDE = 300,
  LEFT = 56,
  RIGHT = 12,
  TOP = 10,
  BOTTOM = 44;

/** The section, or null where there are no numbers. */
export function scatter({ targets }) {
  if (targets?.kind !== "numbers") return null;
  const shown = targets.outputs[0]?.target.length ?? 0;
  const some = shown < targets.count ? ` ${shown.toLocaleString("en")} of them are shown.` : "";
  return [
    el(
      "p",
      { class: "caption" },
      `Each point is an image: to the right its true number, upwards what the network said. On the line both are the same.${some}`,
    ),
    el("div", { class: "charts" }, targets.outputs.map(plot)),
  ];
}

function plot({ name, mae, r2, target, predicted }) {
  const all = [...target, ...predicted];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const across = scale(least, most, LEFT, SIDE - RIGHT);
  const up = scale(least, most, SIDE - BOTTOM, TOP);
  const known = r2 === null ? "" : `, R² ${written(r2)}`;
  const figures = `mean absolute error ${written(mae)}${known}`;
  const bottom = SIDE - BOTTOM;
  const drawing = svg(
    "svg",
    {
      viewBox: `0 0 ${SIDE} ${SIDE}`,
      class: "chart scatter",
      role: "img",
      "aria-label": `${name}: predicted against true numbers of ${target.length} images, ${figures}`,
    },
    up.ticks.map((value) => [
      svg("line", {
        class: "grid-line",
        x1: LEFT,
        x2: SIDE - RIGHT,
        y1: up(value),
        y2: up(value),
      }),
      svg("text", { x: LEFT - 6, y: up(value) + 4, "text-anchor": "end" }, written(value)),
    ]),
    across.ticks.map((value) =>
      svg("text", { x: across(value), y: bottom + 16, "text-anchor": "middle" }, written(value)),
    ),
    svg("line", { class: "axis", x1: LEFT, x2: SIDE - RIGHT, y1: bottom, y2: bottom }),
    svg("line", {
      class: "agreement",
      x1: across(least),
      x2: across(most),
      y1: up(least),
      y2: up(most),
    }),
    target.map((value, n) =>
      svg("circle", { class: "point", cx: across(value), cy: up(predicted[n]), r: 3 }),
    ),
    svg("text", { x: (LEFT + SIDE - RIGHT) / 2, y: SIDE - 8, "text-anchor": "middle" }, "true"),
    svg(
      "text",
      { transform: `translate(11 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      "predicted",
    ),
  );
  return el("div", { class: "card" }, el("h3", {}, name), drawing, el("p", {}, figures));
}
