// Batch normalization in a prediction: each channel is shifted and scaled.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { byEngine } from "./engine.js";
import { Grid } from "./grid.js";
import { range, written } from "./numbers.js";

function statistics(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return `mean ${written(mean)}, deviation ${written(Math.sqrt(square))}`;
}

/** The view, forward and backward. */
export function normalization(page, layer) {
  const source = page.net.source(layer);
  const back = page.side === "backward";
  const channels = new Channels(page, layer);
  const move = (row, column) => draw(row, column);
  const first = new Grid({ label: back ? "gradient that arrives" : "input", point: move });
  const second = new Grid({ label: back ? "gradient of the input" : "output", point: move });
  const words = { first: el("span"), four: el("span"), second: el("span") };
  const table = el("div");
  const formula = el("div", { class: "formula", "data-formula": "normalization" });
  const others = page.net.readers(source) > 1;
  let mean, deviation, weight, bias;

  function update() {
    const { channel } = page;
    channels.update();
    const ofChannel = (name) => layer.details[name].values[channel];
    [mean, weight, bias] = ["mean", "weight", "bias"].map(ofChannel);
    deviation = Math.sqrt(ofChannel("variance") + layer.details.eps);
    const shown = back ? [layer.gradient, source.gradient] : [source.output, layer.output];
    [first, second].forEach((grid, n) =>
      grid.show(shown[n].part(channel), shown[n].width, shown[n].reach),
    );
    const tell = back ? range : (values) => `Here: ${statistics(values)}.`;
    words.first.textContent = tell(shown[0].part(channel));
    words.second.textContent = tell(shown[1].part(channel));
    words.four.textContent = `The four numbers of channel ${channel}`;
    const four = [
      ["mean (running)", mean],
      ["√(variance + eps)", deviation],
      ["weight", weight],
      ["bias", bias],
    ];
    const rows = four.map(([name, value]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, written(value))),
    );
    put(table, el("table", { class: "plain" }, el("tbody", {}, rows)));
    draw(page.row, page.column);
  }

  function draw(row, column) {
    for (const grid of [first, second]) grid.at(row, column);
    page.remember({ row: first.row, column: first.column });
    const at = [page.channel, first.row, first.column];
    const here = at.join(", ");
    const x = source.output.at(...at);
    const y = ((x - mean) / deviation) * weight + bias;
    const g = back ? layer.gradient.at(...at) : 0;
    const dx = (g * weight) / deviation;
    put(
      formula,
      el(
        "p",
        {},
        back
          ? [
              `∂loss/∂x[${here}] = ∂loss/∂y · weight / √(variance + eps) = ${written(g)} · ${written(weight)} / ${written(deviation)} = `,
              el("strong", { "data-result": dx }, written(dx)),
              others ? ` from this layer` : byEngine(source.gradient.at(...at)),
            ]
          : [
              `y[${here}] = (x − mean) / √(variance + eps) · weight + bias = (${written(x)} − (${written(mean)})) / ${written(deviation)} · ${written(weight)} + (${written(bias)}) = `,
              el("strong", { "data-result": y }, written(y)),
              byEngine(layer.output.at(...at)),
            ],
      ),
    );
  }

  const node = el(
    "div",
    {},
    channels.node,
    el(
      "div",
      { class: "across" },
      figure(back ? "Gradient that arrives" : "Before", first.node, words.first),
      figure(
        words.four,
        table,
        "Learned from all training images; they are constant when the network predicts.",
      ),
      figure(back ? "Gradient of the input" : "After", second.node, words.second),
    ),
    formula,
  );
  update();
  return { node, update };
}
