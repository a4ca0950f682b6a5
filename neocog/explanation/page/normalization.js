// Batch normalisation as it predicts: each channel shifted and scaled.

import { channelRow } from "./channels.js";
import { el, figure } from "./dom.js";
import { byEngine } from "./engine.js";
import { Grid } from "./grid.js";
import { range, written } from "./picture.js";

function statistics(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return `mean ${written(mean)}, deviation ${written(Math.sqrt(square))}`;
}

/** Both ways. */
export function normalization(page, layer) {
  const source = page.net.source(layer);
  const { channel } = page;
  const back = page.side === "backward";
  const chooser = channelRow(layer, page.side, channel, (next) => page.go({ channel: next }));
  if (!(layer.gradient.has(channel) && source.gradient.has(channel)))
    return el("div", {}, chooser, "This channel’s gradient was left out to keep this file small.");
  const [mean, variance, weight, bias] = ["mean", "variance", "weight", "bias"].map(
    (name) => layer.how[name].values[channel],
  );
  const deviation = Math.sqrt(variance + layer.how.eps);
  const from = back ? layer.gradient : source.output,
    to = back ? source.gradient : layer.output;
  const move = (row, column) => draw(row, column);
  const first = new Grid({ label: back ? "gradient that arrives" : "input", point: move });
  const second = new Grid({ label: back ? "gradient that goes on" : "output", point: move });
  first.show(from.part(channel), from.width, from.reach);
  second.show(to.part(channel), to.width, to.reach);
  const formula = el("div", { class: "formula", "data-formula": "normalization" });
  const others = page.net.readers(source) > 1;
  function draw(row, column) {
    for (const grid of [first, second]) grid.at(row, column);
    page.remember({ row, column });
    const at = [channel, first.row, first.column];
    const x = source.output.at(...at),
      g = layer.gradient.at(...at);
    const y = ((x - mean) / deviation) * weight + bias,
      dx = (g * weight) / deviation;
    formula.replaceChildren(
      el(
        "p",
        {},
        back
          ? [
              `∂loss/∂x[${at.join(", ")}] = ∂loss/∂y · weight / √(variance + eps) = ${written(g)} · ${written(weight)} / ${written(deviation)} = `,
              el("strong", { "data-result": dx }, written(dx)),
              others ? ` from this layer` : byEngine(source.gradient.at(...at)),
            ]
          : [
              `y[${at.join(", ")}] = (x − mean) / √(variance + eps) · weight + bias = (${written(x)} − (${written(mean)})) / ${written(deviation)} · ${written(weight)} + (${written(bias)}) = `,
              el("strong", { "data-result": y }, written(y)),
              byEngine(layer.output.at(...at)),
            ],
      ),
    );
  }
  const table = el(
    "table",
    { class: "plain" },
    el(
      "tbody",
      {},
      [
        ["mean (running)", mean],
        ["√(variance + eps)", deviation],
        ["weight", weight],
        ["bias", bias],
      ].map(([name, value]) =>
        el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, written(value))),
      ),
    ),
  );
  const view = el(
    "div",
    {},
    chooser,
    el(
      "div",
      { class: "across" },
      figure(
        back ? "Gradient that arrives" : "Before",
        first.node,
        back ? range(from.part(channel)) : `Here: ${statistics(source.output.part(channel))}.`,
      ),
      figure(
        `The four numbers of channel ${channel}`,
        table,
        "Learned from all training images; they stand still when the network predicts.",
      ),
      figure(
        back ? "Gradient that goes on" : "After",
        second.node,
        back ? range(to.part(channel)) : `Here: ${statistics(layer.output.part(channel))}.`,
      ),
    ),
    formula,
  );
  draw(page.row, page.column);
  return view;
}
