// Normalization by the image's own numbers: of groups of channels, or of the channels of a place.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { byEngine } from "./engine.js";
import { Grid } from "./grid.js";
import { range, written } from "./numbers.js";

/** The view, forward and backward. */
export function imageNormalization(page, layer) {
  const source = page.net.source(layer);
  const back = page.side === "backward";
  const { details } = layer;
  const channels = new Channels(page, layer);
  const move = (row, column) => draw(row, column);
  const first = new Grid({ label: back ? "gradient that arrives" : "input", point: move });
  const second = new Grid({ label: back ? "gradient of the input" : "output", point: move });
  const words = { first: el("span"), numbers: el("span"), second: el("span") };
  const table = el("div");
  const formula = el("div", { class: "formula", "data-formula": "normalization" });
  const others = page.net.readers(source) > 1;

  function update() {
    const { channel } = page;
    channels.update();
    const shown = back ? [layer.gradient, source.gradient] : [source.output, layer.output];
    [first, second].forEach((grid, n) =>
      grid.show(shown[n].part(channel), shown[n].width, shown[n].reach),
    );
    words.first.textContent = range(shown[0].part(channel));
    words.second.textContent = range(shown[1].part(channel));
    draw(page.row, page.column);
  }

  function draw(row, column) {
    for (const grid of [first, second]) grid.at(row, column);
    page.remember({ row: first.row, column: first.column });
    const at = [page.channel, first.row, first.column];
    const here = at.join(", ");
    const width = source.output.width;
    const place = details.per === "channel" ? page.channel : first.row * width + first.column;
    const [mean, deviation, throughMean, throughVariance] = [
      "mean",
      "deviation",
      "through_mean",
      "through_variance",
    ].map((name) => details[name].values[place]);
    const [weight, bias] = ["weight", "bias"].map((name) => details[name].values[page.channel]);
    const numbers = [
      ["mean", mean],
      ["√(variance + eps)", deviation],
      ...(back
        ? [
            ["mean of g", throughMean],
            ["mean of g · x̂", throughVariance],
          ]
        : []),
      ["weight", weight],
      ["bias", bias],
    ];
    words.numbers.textContent =
      details.per === "channel"
        ? `The numbers of channel ${page.channel} and its group`
        : `The numbers of row ${first.row}, column ${first.column}`;
    const rows = numbers.map(([name, value]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, written(value))),
    );
    put(table, el("table", { class: "plain" }, el("tbody", {}, rows)));
    const normalized = (source.output.at(...at) - mean) / deviation;
    const y = normalized * weight + bias;
    const g = back ? layer.gradient.at(...at) * weight : 0;
    const dx = (g - throughMean - normalized * throughVariance) / deviation;
    put(
      formula,
      el(
        "p",
        {},
        back
          ? [
              `∂loss/∂x[${here}] = (g − mean of g − x̂ · mean of g · x̂) / √(variance + eps) with g = ∂loss/∂y · weight = ${written(g)} and x̂ = ${written(normalized)}: `,
              el("strong", { "data-result": dx }, written(dx)),
              others ? ` from this layer` : byEngine(source.gradient.at(...at)),
            ]
          : [
              `y[${here}] = (x − mean) / √(variance + eps) · weight + bias = (${written(source.output.at(...at))} − (${written(mean)})) / ${written(deviation)} · ${written(weight)} + (${written(bias)}) = `,
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
      figure(words.numbers, table, "Mean and variance are those of this image."),
      figure(back ? "Gradient of the input" : "After", second.node, words.second),
    ),
    formula,
  );
  update();
  return { node, update };
}
