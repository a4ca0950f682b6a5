// Normalization: each channel or place is shifted and scaled, by numbers of the image or of training.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { byEngine, passedOn } from "./engine.js";
import { frame } from "./frame.js";
import { Maps } from "./maps.js";
import { range, written } from "./numbers.js";

function statistics(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return `Here: mean ${written(mean)}, deviation ${written(Math.sqrt(square))}.`;
}

/** The view, forward and backward. */
export function normalization(page, layer) {
  const source = page.net.source(layer);
  const back = page.side === "backward";
  const { details } = layer;
  const ofImage = "through_mean" in details;
  const channels = new Channels(page, layer);
  const labels = back ? ["gradient that arrives", "gradient of the input"] : ["input", "output"];
  const maps = new Maps(page, labels, draw);
  const title = el("span");
  const table = el("div");
  const formula = el("div", { class: "formula", "data-formula": "normalization" });

  function update() {
    channels.update();
    const shown = back ? [layer.gradient, source.gradient] : [source.output, layer.output];
    maps.show(shown, back ? range : statistics);
  }

  function draw() {
    const { channel } = page;
    const place = details.per === "channel" ? channel : maps.row * maps.width + maps.column;
    const [mean, deviation, ofG, ofProduct] = [
      "mean",
      "deviation",
      "through_mean",
      "through_variance",
    ].map((name) => details[name]?.values[place]);
    const [weight, bias] = ["weight", "bias"].map((name) => details[name].values[channel]);
    const numbers = [
      [ofImage ? "mean" : "mean (running)", mean],
      ["√(variance + eps)", deviation],
      back && ofImage && ["mean of g", ofG],
      back && ofImage && ["mean of g · x̂", ofProduct],
      ["weight", weight],
      ["bias", bias],
    ];
    const rows = numbers
      .filter(Boolean)
      .map(([name, value]) =>
        el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, written(value))),
      );
    put(table, el("table", { class: "plain" }, el("tbody", {}, rows)));
    title.textContent =
      details.per === "place"
        ? `The numbers of row ${maps.row}, column ${maps.column}`
        : `The numbers of channel ${channel}${ofImage ? " and its group" : ""}`;
    const x = maps.number(source.output);
    const normalized = (x - mean) / deviation;
    put(
      formula,
      el("p", {}, back ? gradient(normalized, deviation, weight, ofG, ofProduct) : output()),
    );

    function output() {
      const y = normalized * weight + bias;
      return [
        `y${maps.place(layer.output)} = (x − mean) / √(variance + eps) · weight + bias = (${written(x)} − (${written(mean)})) / ${written(deviation)} · ${written(weight)} + (${written(bias)}) = `,
        el("strong", { "data-result": y }, written(y)),
        byEngine(maps.number(layer.output)),
      ];
    }
  }

  function gradient(normalized, deviation, weight, ofG = 0, ofProduct = 0) {
    const arrives = maps.number(layer.gradient);
    const g = arrives * weight;
    const dx = (g - ofG - normalized * ofProduct) / deviation;
    const how = ofImage
      ? `(g − mean of g − x̂ · mean of g · x̂) / √(variance + eps) with g = ∂loss/∂y · weight = ${written(g)} and x̂ = ${written(normalized)}: `
      : `∂loss/∂y · weight / √(variance + eps) = ${written(arrives)} · ${written(weight)} / ${written(deviation)} = `;
    return [
      `∂loss/∂x${maps.place(source.output)} = ${how}`,
      el("strong", { "data-result": dx }, written(dx)),
      passedOn(page.net, source, maps.number(source.gradient)),
    ];
  }

  const whose = ofImage
    ? "Mean and variance are those of this image."
    : "Learned from all training images; they are constant when the network predicts.";
  const figures = [
    maps.figure(0, back ? "Gradient that arrives" : "Before"),
    figure(title, table, whose),
    maps.figure(1, back ? "Gradient of the input" : "After"),
  ];
  return frame(channels, figures, formula, update);
}
