// Padding and upsampling: every number of the output is a copy of one of the input, or zero.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { frame } from "./frame.js";
import { Grid } from "./grid.js";
import { count, range, written } from "./numbers.js";

/** How often a place of the input is copied. */
function copiesOf({ rows, columns }, row, column) {
  const times = (sources, place) => sources.filter((source) => source === place).length;
  return times(rows, row) * times(columns, column);
}

/** The view, forward and backward. */
export function copies(page, layer) {
  const { net } = page;
  const source = net.source(layer);
  const back = page.side === "backward";
  const { rows, columns } = layer.details;
  const channels = new Channels(page, layer);
  const input = new Grid({
    label: back
      ? "gradient of the input; point at a number to see one of its copies"
      : "input map; point at a number to see one of its copies",
    point: (row, column) => output.move(rows.indexOf(row), columns.indexOf(column)),
  });
  const output = new Grid({
    label: back
      ? "gradient of the output; point at a number to see where it goes"
      : "output map; point at a number to see where it comes from",
    point: (row, column) => draw(row, column),
  });
  const words = { input: el("span"), output: el("span") };
  const formula = el("div", { class: "formula", "data-formula": "copies" });

  function draw(row, column) {
    const { channel } = page;
    page.remember({ row, column });
    const [r, c] = [rows[row], columns[column]];
    const copied = r >= 0 && c >= 0;
    if (copied) input.at(r, c);
    const value = copied ? source.output.at(channel, r, c) : 0;
    const engine = layer.output.at(channel, row, column);
    const gradient = layer.gradient.has(channel) ? layer.gradient.at(channel, row, column) : 0;
    const from = copied ? `x[${channel}, ${r}, ${c}] = ` : "";
    const forward = [
      `y[${channel}, ${row}, ${column}] = ${from}`,
      el("strong", { "data-result": value, "data-engine": engine }, written(value)),
    ];
    const others = copied ? copiesOf(layer.details, r, c) - 1 : 0;
    const added = others
      ? `, with the gradients of ${count(others, "other copy", "other copies")}`
      : "";
    const to = copied
      ? `goes to row ${r}, column ${c}${added}`
      : "goes nowhere: zeros are no copies";
    const backward = `∂loss/∂y[${channel}, ${row}, ${column}] = ${written(gradient)} ${to}.`;
    put(formula, el("p", {}, back ? backward : forward));
  }

  function update() {
    const { channel } = page;
    channels.update();
    const before = back ? source.gradient : source.output;
    const after = back ? layer.gradient : layer.output;
    input.show(before.part(channel), before.width, before.reach);
    output.show(after.part(channel), after.width, after.reach);
    words.input.textContent = `${range(before.part(channel))} The frame is the number that is copied.`;
    words.output.textContent = `${range(after.part(channel))} Point at a number.`;
    output.at(page.row, page.column);
    draw(output.row, output.column);
  }

  const shown = [
    figure(back ? "Gradient of the input" : "Input", input.node, words.input),
    figure(back ? "Gradient of the output" : "Output", output.node, words.output),
  ];
  return frame(channels, back ? shown.reverse() : shown, formula, update);
}
