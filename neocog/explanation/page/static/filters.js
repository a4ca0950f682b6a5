// Learned kernels: their weights as pictures, and the images that activate each most.

import { el, select } from "./dom.js";
import { largest } from "./data.js";
import { written } from "./numbers.js";
import { paint } from "./picture.js";

/** The section, for convolutions whose kernels are in this file. */
export function filters(page) {
  const { net } = page;
  const layers = net.layers.filter((layer) => layer.kind === "convolution");
  const own = layers.find((layer) => layer.name === page.layer);
  const layer =
    layers.find((each) => each.name === page.kept.filters) ??
    own ??
    layers.find((each) => net.filters[each.name]) ??
    layers[0];
  const topActivations = net.filters[layer.name];
  const found = Object.keys(topActivations?.channels ?? {}).map(Number);
  const channels = [...new Set([...layer.kernels, ...found])].sort((a, b) => a - b);
  const rgb = layer.weight.shape[1] === 3;
  const options = layers.map((each) => [each.name, each.name]);
  const choose = (name) => {
    page.kept.filters = name;
    page.section("filters");
  };
  const item = (channel) =>
    el(
      "li",
      {},
      layer.weight.has(channel) ? kernel(layer, channel, rgb) : null,
      el("span", {}, `kernel ${channel}`),
      topActivations
        ? el(
            "div",
            { class: "top-activations" },
            (topActivations.channels[channel] ?? []).map((found) => picture(topActivations, found)),
          )
        : null,
    );
  return [
    layers.length > 1
      ? el("div", { class: "controls" }, select("Layer", options, layer.name, choose))
      : null,
    el("p", { class: "caption" }, caption(layer, topActivations, channels, rgb)),
    el(
      "ul",
      { class: topActivations?.parts ? "filters photographs" : "filters" },
      channels.map(item),
    ),
  ];
}

function caption(layer, topActivations, channels, rgb) {
  const [, inputs, height, width] = layer.weight.shape;
  const some =
    channels.length < layer.shape[0]
      ? `${channels.length} of ${layer.shape[0]} kernels, those that matter most for the loss`
      : layer.shape[0] === 1
        ? "The one kernel"
        : `All ${layer.shape[0]} kernels`;
  const how = rgb
    ? "in the colors that they respond to; gray is zero"
    : inputs > 1
      ? `each by the input channel with the largest weights, of ${inputs}`
      : "orange above zero, blue below";
  const images = topActivations
    ? ` Beside each ${topActivations.parts ? "is what activates it most, parts of the" : "are the images that activate it most, of"} ${topActivations.images.toLocaleString("en")}${topActivations.parts ? " images that were looked at" : ""}; the frame is what the largest number depends on.`
    : "";
  return `${some} of ${height} × ${width}, ${how}.${images}`;
}

/** A kernel's picture: in colors for three input channels, else the channel with the largest weights. */
function kernel(layer, channel, rgb) {
  const weight = layer.weight.part(channel);
  const [, inputs, height, width] = layer.weight.shape;
  const size = height * width;
  const canvas = el("canvas", { class: "kernel", role: "img", "aria-label": `kernel ${channel}` });
  if (!rgb) {
    const part = (c) => weight.subarray(c * size, (c + 1) * size);
    let best = 0;
    for (let c = 1; c < inputs; c++) if (largest(part(c)) > largest(part(best))) best = c;
    paint(canvas, part(best), width, largest(weight));
    return canvas;
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const reach = largest(weight);
  for (let n = 0; n < size; n++) {
    for (let c = 0; c < 3; c++)
      picture.data[4 * n + c] = Math.round(
        127.5 + 127.5 * (reach ? weight[c * size + n] / reach : 0),
      );
    picture.data[4 * n + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** One of the images, with a frame around what the number depends on. */
function picture(topActivations, found) {
  const { height, width, columns, count } = topActivations;
  const rows = Math.ceil(count / columns);
  const [top, left, bottom, right] = found.box;
  const at = (n, of) => (of > 1 ? `${(100 * n) / (of - 1)}%` : "0");
  const of = found.name ?? `image ${found.index}`;
  return el(
    "span",
    {
      class: "top-activation",
      role: "img",
      "aria-label": `${of}: ${written(found.value)}`,
      title: `${of}: ${written(found.value)} at row ${found.row}, column ${found.column}`,
      style: `background-image: url(${topActivations.src}); background-size: ${100 * columns}% ${100 * rows}%; background-position: ${at(found.n % columns, columns)} ${at(Math.floor(found.n / columns), rows)}; aspect-ratio: ${width} / ${height}`,
    },
    el("span", {
      class: "frame",
      style: `top: ${100 * top}%; left: ${100 * left}%; height: ${100 * (bottom - top)}%; width: ${100 * (right - left)}%`,
    }),
  );
}
