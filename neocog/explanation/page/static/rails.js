// What feeds what in a row of layers that is no chain: lines in lanes above it, which split and join.

import { svg } from "./dom.js";

// Pixels between two lanes; in a cell's own coordinates its width, and how far lines reach beyond it,
// so that no gap is seen between two cells.
const APART = 14;
const WIDE = 100;
const OVER = 0.5;

const height = (lane) => APART * (lane + 0.5);

/**
 * The lines in the cell above each column.
 *
 * `reads` has for each column the earlier ones that it reads. A cell has the lane of its column, those
 * of what it reads, those that only pass through, and whether its column is read later.
 */
export function cellsOf(reads) {
  const last = reads.map((_, column) => reads.findLastIndex((each) => each.includes(column)));
  const running = []; // for each lane the column whose output is in it
  const lanes = [];
  return reads.map((sources, column) => {
    const ending = sources.filter((source) => last[source] === column);
    for (const source of ending) running[lanes[source]] = undefined;
    const through = [...running.keys()].filter((lane) => running[lane] !== undefined);
    const free = [...running, undefined].findIndex((source) => source === undefined);
    const own = ending.length ? Math.min(...ending.map((source) => lanes[source])) : free;
    const isRead = last[column] > column;
    lanes[column] = own;
    running[own] = isRead ? column : undefined;
    return { own, from: sources.map((source) => lanes[source]), through, isRead };
  });
}

/** Whether a column reads the one before it and nothing else, as in a chain. */
export function readsPrevious(reads, column) {
  return !column || (reads[column].length === 1 && reads[column][0] === column - 1);
}

/** Drawings of the cells, all of one height. */
export function rails(reads) {
  const cells = cellsOf(reads);
  const lanes = Math.max(...cells.map((cell) => Math.max(cell.own, ...cell.through))) + 1;
  return cells.map((cell) => drawing(cell, APART * lanes));
}

function drawing({ own, from, through, isRead }, tall) {
  const [middle, y] = [WIDE / 2, height(own)];
  const start = (lane) => `M${-OVER} ${height(lane)} H`;
  const curve = (lane) =>
    `${start(lane)}0 C${middle / 2} ${height(lane)} ${middle / 2} ${y} ${middle} ${y}`;
  const lines = [
    ...through.map((lane) => `${start(lane)}${WIDE + OVER}`),
    ...from.map(curve),
    ...(isRead ? [`M${middle} ${y} H${WIDE + OVER}`] : []),
  ];
  return svg(
    "svg",
    {
      class: "rails",
      viewBox: `0 0 ${WIDE} ${tall}`,
      preserveAspectRatio: "none",
      height: tall,
      "aria-hidden": "true",
    },
    svg("path", { d: lines.join(" ") }),
    svg("path", { class: "dot", d: `M${middle} ${y} h0` }),
  );
}
