// The filters of the first convolution as small pictures.

import { largest } from "./data.js";
import { el } from "./dom.js";
import { paint } from "./picture.js";

/** The section, or null without a convolution. */
export function firstFilters({ filters }) {
  if (!filters) return null;
  const { layer, count, inputs, weight } = filters;
  const [shown, , height, width] = weight.shape;
  const some =
    shown < count
      ? `The first ${shown} of ${count.toLocaleString("en")}`
      : shown === 1
        ? "The one"
        : `All ${shown}`;
  const how =
    inputs === 3
      ? "Each is shown in the colors that it answers to; gray is zero."
      : `Orange is above zero, blue below${inputs > 1 ? `; of their ${inputs} inputs the first is shown` : ""}.`;
  return [
    el(
      "p",
      { class: "caption" },
      `${some} ${count === 1 ? "filter" : "filters"} of ${layer}, ${height} × ${width} pixels. ${how}`,
    ),
    el(
      "ul",
      { class: "kernels card" },
      Array.from({ length: shown }, (_, n) => el("li", {}, kernel(weight, n))),
    ),
  ];
}

function kernel(weight, n) {
  const [, inputs, height, width] = weight.shape;
  const values = weight.values.subarray(
    n * inputs * height * width,
    (n + 1) * inputs * height * width,
  );
  const canvas = el("canvas", { class: "kernel", role: "img", "aria-label": `filter ${n}` });
  const reach = largest(values);
  if (inputs !== 3) {
    paint(canvas, values, width, reach);
    return canvas;
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const size = height * width;
  for (let at = 0; at < size; at++) {
    for (let c = 0; c < 3; c++)
      picture.data[4 * at + c] = Math.round(
        127.5 + 127.5 * (reach ? values[c * size + at] / reach : 0),
      );
    picture.data[4 * at + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
