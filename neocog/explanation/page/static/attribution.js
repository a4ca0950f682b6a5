// Where in the image the network finds evidence for the label, by three methods, and how faithful each
// of them is.

import { quantity } from "./answers.js";
import { choice, el, figure, select, svg } from "./dom.js";
import { overImage } from "./linear.js";
import { written } from "./numbers.js";
import { paint } from "./picture.js";

const METHODS = [
  ["gradCam", "Grad-CAM"],
  ["occlusion", "occlusion"],
  ["gradientTimesInput", "gradient × input"],
];

const TELLS = {
  gradCam: (label, what, score, of) =>
    `It shows where the features of ${of} raise ${score}, with the resolution of that layer’s map. It leaves out what ${what === label ? "lowers" : "speaks against"} ${label}.`,
  occlusion: (label, what) =>
    `It shows where ${what} falls when a square is covered, so it needs no gradient. It misses evidence that is in two places, and the network may react to the gray square itself.`,
  gradientTimesInput: (label, what, score) =>
    `It shows each pixel’s share in ${score} if the network were linear around this image; it is noisy, and blind to pixels of the mean color, whose input is zero.`,
};

/** The section. */
export function attribution(page) {
  const { net } = page;
  const all = net.attributions;
  const label = net.className(net.label);
  const what = quantity(net, net.label);
  const score = net.kind === "number" ? label : `the score of ${label}`;
  const { method = "gradCam" } = page.kept;
  const layer = page.kept.cam in all.gradCam.layers ? page.kept.cam : all.gradCam.chosen;
  const found = method === "gradCam" ? all.gradCam.layers[layer] : all[method];
  const keep = (choice) => {
    Object.assign(page.kept, choice);
    page.section("looks");
  };
  const whole = found.map;
  const [height, width] = whole.shape;
  const best = whole.values.reduce((most, value, n) => (value > whole.values[most] ? n : most), 0);
  const where = `row ${Math.floor(best / width)}, column ${best % width}`;
  const layers = Object.keys(all.gradCam.layers).map((name) => [
    name,
    name === all.gradCam.chosen ? `${name} (default)` : name,
  ]);
  return [
    el(
      "div",
      { class: "controls" },
      choice("method", METHODS, method, (next) => keep({ method: next })),
      method === "gradCam" ? select("layer", layers, layer, (cam) => keep({ cam })) : null,
    ),
    el("p", { class: "caption" }, TELLS[method](label, what, score, layer)),
    el(
      "div",
      { class: "across" },
      figure(
        "The image",
        el("img", { class: "image", src: net.image.src, alt: "the image" }),
        `${height} × ${width} pixels.`,
      ),
      figure(
        `For ${label}`,
        overImage(net, whole.values, width),
        `Strongest at ${where}: ${written(whole.values[best])}.${net.photograph ? " The network sees what is not darkened." : ""}`,
      ),
      figure("How faithful it is", curves(net, found, all.chance), verdict(net, found, all.chance)),
      method === "gradCam" ? weights(net, layer, found) : null,
    ),
  ];
}

function verdict(net, found, chance) {
  const mean = net.kind === "number" ? "mean" : "mean probability";
  return `Covering the pixels that it ranks highest first leaves a ${mean} of ${written(found.deletion)} (deletion; in random order ${written(chance.deletion)}; lower is better). Uncovering them first gives ${written(found.insertion)} (insertion; in random order ${written(chance.insertion)}; higher is better).`;
}

/** The probability or number while pixels are covered and uncovered, in the map’s order and in random order. */
function curves(net, found, chance) {
  const all = [found.deleted, found.inserted, chance.deleted, chance.inserted];
  const numbers = all.flatMap((each) => Array.from(each.values));
  const [least, most] =
    net.kind === "number" ? [Math.min(...numbers), Math.max(...numbers)] : [0, 1];
  const height = (value) => 130 - (120 * (value - least)) / (most - least || 1);
  const path = (numbers) =>
    Array.from(
      numbers.values,
      (value, n) =>
        `${n ? "L" : "M"}${(10 + (180 * n) / (numbers.values.length - 1)).toFixed(1)} ${height(value).toFixed(1)}`,
    ).join("");
  const line = (numbers, kind) => svg("path", { d: path(numbers), class: `line ${kind}` });
  return el(
    "div",
    {},
    svg(
      "svg",
      {
        viewBox: "0 0 200 150",
        class: "curve",
        role: "img",
        "aria-label": `${quantity(net, net.label)} against the fraction of pixels covered or uncovered`,
      },
      svg("line", { x1: 10, x2: 190, y1: 130, y2: 130, class: "axis" }),
      svg("line", { x1: 10, x2: 10, y1: 10, y2: 130, class: "axis" }),
      line(chance.deleted, "faint"),
      line(chance.inserted, "faint"),
      line(found.deleted, "deleted"),
      line(found.inserted, "inserted"),
      svg("text", { x: 190, y: 144, "text-anchor": "end" }, "all pixels"),
      svg("text", { x: 14, y: 18 }, net.kind === "number" ? written(most) : "probability 1"),
      net.kind === "number" ? svg("text", { x: 14, y: 128 }, written(least)) : null,
    ),
    el(
      "p",
      { class: "legend" },
      el("span", { class: "key deleted" }),
      "deletion ",
      el("span", { class: "key inserted" }),
      "insertion ",
      el("span", { class: "key faint" }),
      "in random order",
    ),
  );
}

/** The channels that contribute most to Grad-CAM's sum. */
function weights(net, name, { channels, weights, maps }) {
  const item = (k, n) => {
    const canvas = el("canvas", { class: "thumbnail" });
    paint(canvas, maps.part(n), maps.width, maps.reach);
    return el("li", {}, canvas, el("span", {}, `α${sub(k)} = ${written(weights.values[n])}`));
  };
  return figure(
    "ReLU(Σ α · map)",
    el("ul", { class: "terms-list" }, channels.map(item)),
    `α is the mean of ∂${net.kind === "number" ? "z" : "score"}/∂map over the map’s places; shown ${channels.length === 1 ? "is the channel that adds" : `are the ${channels.length} channels that add`} most, of ${net.get(name).shape[0]}.`,
  );
}

const sub = (n) => [...String(n)].map((d) => "₀₁₂₃₄₅₆₇₈₉"[d]).join("");
