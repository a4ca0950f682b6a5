// Pooling: the largest number of a region or its mean, and where its gradient goes.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { frame } from "./frame.js";
import { Grid } from "./grid.js";
import { square } from "./square.js";
import { count, range, written } from "./numbers.js";

// Regions with more numbers than this are not written out.
const MOST_CELLS = 81;

/** One region: its numbers inside the map, [{row, column, value}], and the largest of them. */
export function region(net, layer, channel, row, column) {
  const { rows, columns } = layer.details;
  const input = net.source(layer).output;
  const found = [];
  for (let y = rows[row][0]; y < rows[row][1]; y++) {
    for (let x = columns[column][0]; x < columns[column][1]; x++) {
      const outside = y < 0 || x < 0 || y >= input.height || x >= input.width;
      found.push({ row: y, column: x, value: input.at(channel, y, x), outside });
    }
  }
  let winner = -1;
  found.forEach((each, n) => {
    if (!each.outside && (winner < 0 || each.value > found[winner].value)) winner = n;
  });
  return { found, winner };
}

/** The first of the windows along a side that contain a place, or else the last before it. */
function windowOf(windows, place) {
  const after = windows.findIndex(([, end]) => end > place);
  return after < 0 ? windows.length - 1 : after;
}

/** The view, forward and backward. */
export function pooling(page, layer) {
  const { net } = page;
  const source = net.source(layer);
  const back = page.side === "backward";
  const { rows, columns, most, padded, divisor } = layer.details;
  const [top, left] = layer.details.before;
  const channels = new Channels(page, layer);
  const border = [top, left, top, left];
  const input = new Grid({
    label: back ? "gradient of the input" : "input map; point at a number to see its region",
    border,
    point: (row, column) => output.move(windowOf(rows, row), windowOf(columns, column)),
  });
  const output = new Grid({
    label: back
      ? "gradient of the output; point at a number to see where it goes"
      : "output map; point at a number to see its region",
    point: (row, column) => draw(row, column),
  });
  const words = { input: el("span"), output: el("span") };
  const numbers = el("div"),
    formula = el("div", { class: "formula", "data-formula": "pooling" });

  function draw(row, column) {
    const { channel } = page;
    page.remember({ row, column });
    const { found, winner } = region(net, layer, channel, row, column);
    const [above, below] = rows[row],
      [before, after] = columns[column];
    input.at(Math.max(0, above), Math.max(0, before));
    input.frame(above, before, below - above, after - before);
    if (most) input.winner(found[winner].row, found[winner].column);
    put(
      numbers,
      found.length > MOST_CELLS
        ? el("p", {}, `The region has ${below - above} × ${after - before} numbers.`)
        : square(
            "the region’s numbers",
            found.map((each) => each.value),
            after - before,
            {
              reach: source.output.reach,
              outside: found.map((each) => each.outside),
              winner: most ? winner : -1,
            },
          ),
    );
    const value = layer.output.at(channel, row, column);
    const gradient = layer.gradient.has(channel) ? layer.gradient.at(channel, row, column) : 0;
    const inside = found.filter((each) => !each.outside).length;
    const many = divisor ?? (padded ? found.length : inside);
    const best = most && found[winner];
    const forward = most
      ? [
          `y[${channel}, ${row}, ${column}] = max of ${count(found.length, "number")} = `,
          el("strong", { "data-result": best.value, "data-engine": value }, written(best.value)),
          ` from row ${best.row}, column ${best.column}`,
        ]
      : [
          `y[${channel}, ${row}, ${column}] = (${found.length <= 9 ? found.map((each) => written(each.value)).join(" + ") : `sum of ${count(divisor ? inside : many, "number")}`}) / ${many} = `,
          el(
            "strong",
            {
              "data-result": found.reduce((s, each) => s + each.value, 0) / many,
              "data-engine": value,
            },
            written(value),
          ),
        ];
    const backward = most
      ? `∂loss/∂y[${channel}, ${row}, ${column}] = ${written(gradient)} goes to row ${best.row}, column ${best.column}, the largest number; the others of its region get nothing from it.`
      : `∂loss/∂y[${channel}, ${row}, ${column}] = ${written(gradient)} is shared: each of ${count(divisor ? inside : many, "number")} gets ${written(gradient / many)}.`;
    put(formula, el("p", {}, back ? backward : forward));
  }

  function update() {
    const { channel } = page;
    channels.update();
    const before = back ? source.gradient : source.output;
    const after = back ? layer.gradient : layer.output;
    input.show(before.part(channel), before.width, before.reach);
    output.show(after.part(channel), after.width, after.reach);
    const frame = most
      ? "The frame is the region, the ring its largest number."
      : "The frame is the region.";
    words.input.textContent = `${range(before.part(channel))} ${frame}`;
    words.output.textContent = `${range(after.part(channel))} Point at a number.`;
    output.at(page.row, page.column);
    draw(output.row, output.column);
  }

  const shown = [
    figure(back ? "Gradient of the input" : "Input", input.node, words.input),
    figure(
      "The region’s numbers",
      numbers,
      most ? "The largest is framed." : "All have the same share.",
    ),
    figure(back ? "Gradient of the output" : "Output", output.node, words.output),
  ];
  return frame(channels, back ? shown.reverse() : shown, formula, update);
}
