// Pooling: the largest number of a region or its mean, and where its gradient goes.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { Grid } from "./grid.js";
import { square } from "./square.js";
import { count, range, written } from "./numbers.js";

// Regions with more numbers than this are not written out.
const MOST_CELLS = 81;

/** One region: its numbers inside the map, [{row, column, value}], and the largest of them. */
export function region(net, layer, channel, row, column) {
  const {
    kernel: [kh, kw],
    stride: [sh, sw],
    before: [top, left],
  } = layer.details;
  const input = net.source(layer).output;
  const found = [];
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++) {
      const y = row * sh - top + i,
        x = column * sw - left + j;
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

/** The view, forward and backward. */
export function pooling(page, layer) {
  const { net } = page;
  const source = net.source(layer);
  const back = page.side === "backward";
  const {
    kernel: [kh, kw],
    stride: [sh, sw],
    before: [top, left],
    most,
    padded,
  } = layer.details;
  const channels = new Channels(page, layer);
  const border = [top, left, top, left];
  const input = new Grid({
    label: back ? "gradient of the input" : "input map; point at a number to see its region",
    border,
    point: (row, column) =>
      output.move(Math.floor((row + top) / sh), Math.floor((column + left) / sw)),
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
    input.at(Math.max(0, row * sh - top), Math.max(0, column * sw - left));
    input.frame(row * sh - top, column * sw - left, kh, kw);
    if (most) input.winner(found[winner].row, found[winner].column);
    put(
      numbers,
      found.length > MOST_CELLS
        ? el("p", {}, `The region is the whole map of ${kh} × ${kw}.`)
        : square(
            "the region’s numbers",
            found.map((each) => each.value),
            kw,
            {
              reach: source.output.reach,
              outside: found.map((each) => each.outside),
              winner: most ? winner : -1,
            },
          ),
    );
    const value = layer.output.at(channel, row, column);
    const gradient = layer.gradient.has(channel) ? layer.gradient.at(channel, row, column) : 0;
    const many = padded ? found.length : found.filter((each) => !each.outside).length;
    const best = most && found[winner];
    const forward = most
      ? [
          `y[${channel}, ${row}, ${column}] = max of ${count(found.length, "number")} = `,
          el("strong", { "data-result": best.value, "data-engine": value }, written(best.value)),
          ` from row ${best.row}, column ${best.column}`,
        ]
      : [
          `y[${channel}, ${row}, ${column}] = (${found.length <= 9 ? found.map((each) => written(each.value)).join(" + ") : `sum of ${count(many, "number")}`}) / ${many} = `,
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
      : `∂loss/∂y[${channel}, ${row}, ${column}] = ${written(gradient)} is shared: each of ${count(many, "number")} gets ${written(gradient / many)}.`;
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
  const node = el(
    "div",
    {},
    channels.node,
    el("div", { class: "across" }, back ? shown.reverse() : shown),
    formula,
  );
  update();
  return { node, update };
}
