// The image, and flattening maps to a vector.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { frame } from "./frame.js";
import { Grid } from "./grid.js";
import { channelName } from "./network.js";
import { count, range, written } from "./numbers.js";
import { folded, inLines } from "./picture.js";

/** The image, and the gradient of the loss for it. */
export function image(page, layer) {
  const { net } = page;
  const back = page.side === "backward";
  const channels = new Channels(page, layer);
  const formula = el("div", { class: "formula", "data-formula": "image" });
  const grid = new Grid({
    label: back ? "gradient of the image" : "the image’s numbers",
    point: (row, column) => draw(row, column),
  });
  const words = { title: el("span"), range: el("span") };
  const picture = el("div");

  function update() {
    const { channel } = page;
    const { src, width, height } = net.image;
    const numbers = back ? layer.gradient : layer.output;
    channels.update();
    const alt = `the image, ${width} × ${height} pixels`;
    put(picture, el("img", { class: "image", src, alt }));
    grid.show(numbers.part(channel), numbers.width, numbers.reach);
    words.title.textContent = `${back ? "∂loss/∂x" : "As numbers"}: ${channelName(layer, channel)}`;
    words.range.textContent = `${range(numbers.part(channel))} Orange is above zero, blue below. Point at a number.`;
    draw(page.row, page.column);
  }

  function draw(row, column) {
    const { channel } = page;
    grid.at(row, column);
    page.remember({ row: grid.row, column: grid.column });
    const [mean, std] = [net.image.mean[channel], net.image.std[channel]];
    const at = `[${channel}, ${grid.row}, ${grid.column}]`;
    const engine = layer.output.at(channel, grid.row, grid.column);
    const byte = Math.round(255 * (engine * std + mean)); // exactly: a step is far from rounding
    const x = (byte / 255 - mean) / std;
    put(
      formula,
      el(
        "p",
        {},
        back
          ? `∂loss/∂x${at} = ${written(layer.gradient.at(channel, grid.row, grid.column))}`
          : [
              `x${at} = (byte / 255 − mean) / deviation = (${byte} / 255 − ${written(mean)}) / ${written(std)} = `,
              el("strong", { "data-result": x, "data-engine": engine }, written(x)),
            ],
      ),
    );
  }

  const figures = [
    figure("The image", picture, `${net.image.width} × ${net.image.height} pixels.`),
    figure(words.title, grid.node, words.range),
  ];
  return frame(channels, figures, formula, update);
}

/** Where each number goes when maps become a vector. */
export function flatten(page, layer) {
  const source = page.net.source(layer);
  const back = page.side === "backward";
  const [height, width] = page.net.map(layer) ?? page.net.folded(layer);
  const length = layer.shape[0];
  const wide = folded(length);
  const channels = new Channels(page, source);
  const words = { title: el("span"), range: el("span") };
  const formula = el("div", { class: "formula", "data-formula": "flatten" });
  const grid = new Grid({
    label: "map; point at a number to see where it goes",
    point: (row, column) => draw(row, column),
  });
  const line = new Grid({
    label: "the vector, in lines; point at a number to see where it comes from",
    point: (row, column) => {
      const n = Math.min(length - 1, row * wide + column);
      const to = { row: Math.floor(n / width) % height, column: n % width };
      const channel = Math.floor(n / (height * width));
      if (channel === shown) draw(to.row, to.column);
      else page.go({ ...to, channel });
    },
  });
  let maps, row, shown;

  function update() {
    channels.update();
    maps = back ? source.gradient : source.output;
    row = back ? layer.gradient : layer.output;
    shown = !maps.isMap ? 0 : maps.has(page.channel) ? page.channel : page.net.first(source);
    const values = maps.part(shown);
    grid.show(values, width, maps.reach);
    line.show(inLines(row.values, wide), wide, row.reach);
    words.title.textContent = `Channel ${shown}${back ? ", gradient" : ""}`;
    words.range.textContent = `${range(values)} Point at a number.`;
    draw(page.row, page.column);
  }

  function draw(r, c) {
    grid.at(r, c);
    page.remember({ row: grid.row, column: grid.column });
    const n = (shown * height + grid.row) * width + grid.column;
    line.at(Math.floor(n / wide), n % wide);
    const value = maps.isMap ? maps.at(shown, grid.row, grid.column) : maps.values[n];
    put(
      formula,
      el(
        "p",
        {},
        `n = (channel · ${height} + row) · ${width} + column = (${shown} · ${height} + ${grid.row}) · ${width} + ${grid.column} = ${n}; ${back ? "∂loss/∂y" : "y"}[${n}] = `,
        el(
          "strong",
          { "data-result": value, "data-engine": row.values[n] },
          written(row.values[n]),
        ),
      ),
    );
  }

  const figures = [
    figure(words.title, grid.node, words.range),
    figure(`The row of ${count(length, "number")}`, line.node, `Shown in lines of ${wide}.`),
  ];
  return frame(channels, figures, formula, update);
}
