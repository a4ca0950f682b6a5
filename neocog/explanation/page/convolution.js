// A convolution, number by number: the patch, the kernel, their products, the sum; and back, the
// kernel's gradient as a sum over places.

import { channelRow } from "./channels.js";
import { choice, el, figure, select } from "./dom.js";
import { Grid } from "./grid.js";
import { channelName } from "./network.js";
import { largest } from "./data.js";
import { square } from "./square.js";
import { written } from "./picture.js";

// Input channels whose products are written out; the others are added up in one line.
const WRITTEN = 3;

const SPEEDS = { slow: 400, fast: 25 };

/** The input channels that an output channel sees: the first of them and how many. */
function group(layer, channel) {
  const inputs = layer.weight.shape[1];
  return [Math.floor(channel / (layer.shape[0] / layer.how.groups)) * inputs, inputs];
}

/** What one output number is made of: for each input channel {channel, patch, kernel, products, sum, outside}. */
export function parts(net, layer, channel, row, column, flipped = false) {
  const { kernel: [kh, kw], stride: [sh, sw], dilation: [dh, dw], before: [top, left] } = layer.how;
  const input = net.source(layer).output;
  const weight = layer.weight.part(channel);
  const [first, inputs] = group(layer, channel);
  const found = [];
  for (let c = 0; c < inputs; c++) {
    const patch = [], kernel = [], products = [], outside = [];
    let sum = 0;
    for (let i = 0; i < kh; i++) {
      for (let j = 0; j < kw; j++) {
        const y = row * sh + i * dh - top, x = column * sw + j * dw - left;
        const value = input.at(first + c, y, x);
        const w = weight[(c * kh + (flipped ? kh - 1 - i : i)) * kw + (flipped ? kw - 1 - j : j)];
        patch.push(value);
        kernel.push(w);
        products.push(value * w);
        outside.push(y < 0 || x < 0 || y >= input.height || x >= input.width);
        sum += value * w;
      }
    }
    found.push({ channel: first + c, patch, kernel, products, sum, outside });
  }
  return found;
}

/** One channel's whole map, as the page's own arithmetic gives it. */
function mapOf(net, layer, channel, flipped) {
  const [, height, width] = layer.shape;
  const bias = layer.bias ? layer.bias.values[channel] : 0;
  const map = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      map[row * width + column] = parts(net, layer, channel, row, column, flipped)
        .reduce((sum, part) => sum + part.sum, bias);
    }
  }
  return map;
}

const bordered = (layer) => [...layer.how.before, ...layer.how.after];

/** The view on the way forward. */
export function convolutionForward(page, layer) {
  const { net } = page;
  const { kernel: [kh, kw], stride: [sh, sw], dilation: [dh, dw], before: [top, left] } = layer.how;
  const [, height, width] = layer.shape;
  const source = net.source(layer);
  const [first] = group(layer, page.channel);
  let flipped = page.kept.flipped ?? false, inputChannel = null, timer = null, map = null;

  const input = new Grid({
    label: "what the convolution reads; point at a number to see its own", border: bordered(layer),
    point: (row, column) => output.move(Math.round((row + top - dh * (kh - 1) / 2) / sh), Math.round((column + left - dw * (kw - 1) / 2) / sw)),
  });
  const output = new Grid({ label: "output map; point at a number to see what it is made of", point: (row, column) => look(row, column) });
  const tables = el("div", { class: "tables" });
  const formula = el("div", { class: "formula", "data-formula": "convolution" });
  const tablesWords = el("span"), inputTitle = el("span"), outputTitle = el("span"), words = el("span");

  function draw(row, column) {
    page.remember({ row, column });
    const channel = page.channel;
    const all = parts(net, layer, channel, row, column, flipped);
    const bias = layer.bias ? layer.bias.values[channel] : 0;
    const total = all.reduce((sum, part) => sum + part.sum, bias);
    const strongest = all.length > WRITTEN
      ? [...all].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)).slice(0, WRITTEN) : all;
    showInput(inputChannel ?? strongest[0].channel);
    input.at(Math.min(source.shape[1] - 1, Math.max(0, row * sh - top)), Math.min(source.shape[2] - 1, Math.max(0, column * sw - left)));
    input.frame(row * sh - top, column * sw - left, dh * (kh - 1) + 1, dw * (kw - 1) + 1);
    const reachOfWeights = largest(layer.weight.part(channel));
    const reachOfProducts = Math.max(...strongest.map((part) => largest(part.products)));
    tables.replaceChildren(...strongest.map((part) => el(
      "div", { class: "terms", "data-channel": part.channel },
      el("span", { class: "which" }, channelName(source, part.channel)),
      square("patch", part.patch, kw, { reach: source.output.reach, outside: part.outside }),
      el("span", { class: "sign" }, "×"),
      square(flipped ? "kernel, turned by 180°" : "kernel", part.kernel, kw, { reach: reachOfWeights }),
      el("span", { class: "sign" }, "="),
      square("products", part.products, kw, { reach: reachOfProducts }),
      el("span", { class: "sign" }, `Σ = ${written(part.sum)}`),
    )));
    const others = all.length - strongest.length;
    const rest = all.filter((part) => !strongest.includes(part)).reduce((sum, part) => sum + part.sum, 0);
    tablesWords.textContent = others ? `The ${strongest.length} of ${all.length} input channels that add most here; the others add ${written(rest)} together.` : `What each of ${all.length} input ${all.length === 1 ? "channel adds" : "channels adds"}: ${strongest.map((part) => written(part.sum)).join(", ")}.`;
    const engine = layer.output.at(channel, row, column);
    formula.replaceChildren(
      el("p", {}, `y[${channel}, ${row}, ${column}] = Σ`, el("sub", {}, "c,i,j"), ` w[${channel}, c, i, j] · x[${first ? `${first} + c` : "c"}, ${index(row, sh, dh, "i", top)}, ${index(column, sw, dw, "j", left)}]${layer.bias ? ` + b[${channel}]` : ""}`),
      el(
        "p", {}, "= ", strongest.map((part, n) => `${n ? " + " : ""}(${written(part.sum)})`),
        others ? ` + (${written(rest)} from ${others} other ${others === 1 ? "channel" : "channels"})` : "",
        layer.bias ? ` + bias (${written(bias)})` : "", " = ",
        el("strong", { "data-result": total }, written(total)),
      ),
      flipped
        ? el("p", { class: "note" }, `True convolution turns the kernel by 180° before it slides; here it would give ${written(total)}. Networks leave it as it is and got ${written(engine)}: the kernel is learned, so a turned one would be learned turned.`)
        : el("p", { class: "note" }, "The engine computed ", el("span", { "data-engine": engine }, written(engine)), "."),
    );
    words.textContent = `Row ${row}, column ${column}: ${kh * kw * all.length} products and ${layer.bias ? "a bias" : "no bias"} make ${written(total)}.`;
  }

  function showInput(channel) {
    inputTitle.textContent = `Input: ${channelName(source, channel)}`;
    if (input.channel !== channel) {
      input.channel = channel;
      input.show(source.output.part(channel), source.output.width, source.output.reach);
    }
  }

  function showOutput() {
    map = flipped ? mapOf(net, layer, page.channel, true) : layer.output.part(page.channel);
    outputTitle.textContent = `Output: channel ${page.channel}${flipped ? ", by true convolution" : ""}`;
    output.show(map, width, Math.max(layer.output.reach, largest(map)));
  }

  const place = () => output.row * width + output.column;

  /** Show what is pointed at; the whole map is there again. */
  function look(row, column) {
    if (filling) {
      filling = false;
      pause();
      output.reveal(Infinity);
    }
    draw(row, column);
  }

  /** Go some places on; while the map fills in, it is there as far as the square has come. */
  function step(by) {
    const next = (place() + by + height * width) % (height * width);
    output.at(Math.floor(next / width), next % width);
    if (filling) output.reveal(next + 1);
    draw(output.row, output.column);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  }

  function start() {
    clearInterval(timer);
    if (place() === height * width - 1) output.at(0, 0);
    filling = true;
    output.reveal(place() + 1);
    timer = setInterval(() => (place() === height * width - 1 || !output.node.isConnected ? pause() : step(1)), SPEEDS[speed]);
    play.textContent = "❚❚ Pause";
  }

  let speed = "fast", filling = false;
  const play = el("button", { type: "button", onclick: () => (timer ? pause() : start()) }, "▶ Play");
  const controls = el(
    "div", { class: "controls" },
    el("button", { type: "button", onclick: () => { pause(); step(-1); } }, "← Step back"),
    el("button", { type: "button", onclick: () => { pause(); step(1); } }, "Step →"),
    play,
    choice("speed", [["slow", "slow"], ["fast", "fast"]], speed, (value) => { speed = value; if (timer) start(); }),
    choice("which convolution", [[false, "as networks do"], [true, "true convolution"]], flipped, (value) => { page.kept.flipped = flipped = value; showOutput(); draw(output.row, output.column); }),
  );
  const inputs = group(layer, page.channel);
  const pick = inputs[1] > WRITTEN && select(
    "Input shown:",
    [[null, "the one that adds most"], ...Array.from({ length: inputs[1] }, (_, n) => [inputs[0] + n, `channel ${inputs[0] + n}`])],
    null, (value) => { inputChannel = value; draw(output.row, output.column); },
  );
  if (!layer.weight.has(page.channel)) return missing(page, layer);
  showOutput();
  output.at(page.row, page.column);
  const view = el(
    "div", {},
    channelRow(layer, "forward", page.channel, (channel) => page.go({ channel })),
    controls,
    el(
      "div", { class: "across" },
      figure(inputTitle, input.node, pick || `The frame is what one number sees${bordered(layer).some(Boolean) ? "; beyond the line lies padding, zeros" : ""}.`),
      figure("Patch × kernel", tables, tablesWords),
      figure(outputTitle, output.node, words),
    ),
    formula,
  );
  draw(output.row, output.column);
  return view;
}

function index(at, stride, dilation, letter, padding) {
  const begin = at * stride - padding;
  const times = dilation === 1 ? letter : `${dilation}${letter}`;
  return begin ? `${begin < 0 ? "−" : ""}${Math.abs(begin)} + ${times}` : times;
}

function missing(page, layer) {
  return el(
    "div", {},
    channelRow(layer, page.side, page.channel, (channel) => page.go({ channel })),
    el("p", { class: "note" }, `The kernel of channel ${page.channel} was left out to keep this file small; those of channels ${layer.weight.rows.join(", ")} are here.`),
  );
}

/** The view on the way back. */
export function convolutionBackward(page, layer) {
  const { net } = page;
  const { kernel: [kh, kw], stride: [sh, sw], dilation: [dh, dw], before: [top, left] } = layer.how;
  const [, height, width] = layer.shape;
  const source = net.source(layer);
  if (!layer.gradient.has(page.channel)) return missing(page, layer);
  const [first, inputs] = group(layer, page.channel);
  const delta = layer.gradient.part(page.channel);
  const known = layer.weightGradient.has(page.channel);
  let tap = Math.floor(kh * kw / 2);
  let c = known ? strongestInput() : 0;

  function gradientOf(channel) {
    return layer.weightGradient.part(page.channel).subarray(channel * kh * kw, (channel + 1) * kh * kw);
  }
  function strongestInput() {
    let best = 0;
    for (let n = 1; n < inputs; n++) if (largest(gradientOf(n)) > largest(gradientOf(best))) best = n;
    return best;
  }
  function terms() {
    const i = Math.floor(tap / kw), j = tap % kw;
    const seen = new Float32Array(height * width), products = new Float32Array(height * width);
    let sum = 0;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const n = row * width + column;
        seen[n] = source.output.at(first + c, row * sh + i * dh - top, column * sw + j * dw - left);
        products[n] = seen[n] * delta[n];
        sum += seen[n] * delta[n];
      }
    }
    return { i, j, seen, products, sum };
  }

  const holder = el("div"), onwards = inputGradient(page, layer);
  function draw() {
    const { i, j, seen, products, sum } = terms();
    const of = (title, values, reach, ...words) => figure(title, new Grid({ label: title }).show(values, width, reach).node, ...words);
    const engine = known ? gradientOf(c)[tap] : null;
    const kernel = known ? gradientOf(c) : Array.from({ length: kh * kw }, (_, n) => { const kept = tap; tap = n; const s = terms().sum; tap = kept; return s; });
    holder.replaceChildren(
      el(
        "div", { class: "across five" },
        figure("The kernel’s gradient", square(`∂loss/∂w of kernel ${page.channel}, ${channelName(source, first + c)}`, kernel, kw, { press: (n) => { tap = n; draw(); }, pressed: tap }), `Kernel ${page.channel}, ${channelName(source, first + c)}. Choose a weight.`),
        of(`What weight (${i}, ${j}) met`, seen, source.output.reach, `The input of ${channelName(source, first + c)} at each place of the kernel, seen from this weight.`),
        of("× gradient of the output", delta, largest(delta), `∂loss/∂y of channel ${page.channel}.`),
        of("= its share at each place", products, largest(products), `Added up: ${written(sum)}.`),
        onwards,
      ),
      el(
        "div", { class: "formula", "data-formula": "kernel-gradient" },
        el("p", {}, `∂loss/∂w[${page.channel}, ${c}, ${i}, ${j}] = Σ`, el("sub", {}, "r,q"), ` ∂loss/∂y[${page.channel}, r, q] · x[${first + c}, ${place("r", sh, i * dh - top)}, ${place("q", sw, j * dw - left)}] = `, el("strong", { "data-result": sum }, written(sum))),
        known ? el("p", { class: "note" }, "The engine computed ", el("span", { "data-engine": engine }, written(engine)), ".") : null,
        layer.bias ? el("p", {}, `∂loss/∂b[${page.channel}] = Σ ∂loss/∂y[${page.channel}, r, q] = ${written(layer.biasGradient.values[page.channel])}`) : null,
      ),
    );
  }
  draw();
  return el(
    "div", {},
    channelRow(layer, "backward", page.channel, (channel) => page.go({ channel })),
    inputs > 1 ? el("div", { class: "controls" }, select("Of the kernel, the part for", Array.from({ length: inputs }, (_, n) => [n, channelName(source, first + n)]), c, (value) => { c = value; draw(); })) : null,
    holder,
  );
}

/** What arrives at the layer before: its gradient, channel by channel. */
function inputGradient(page, layer) {
  const source = page.net.source(layer);
  const gradient = source.gradient;
  const holder = el("div");
  const here = gradient.rows ?? Array.from({ length: source.shape[0] }, (_, n) => n);
  const chooser = here.length > 1 ? select("Of", here.map((n) => [n, channelName(source, n)]), here[0], show) : null;
  function show(channel) {
    const grid = new Grid({ label: `gradient of the input, ${channelName(source, channel)}` });
    grid.show(gradient.part(channel), gradient.width, gradient.reach);
    holder.replaceChildren(figure("What goes on to the layer before", grid.node, chooser, ` ∂loss/∂x of ${channelName(source, channel)}: each input number gets, from every place of every kernel that saw it, weight × gradient there, added up${page.net.readers(source) > 1 ? ", and what its other readers send" : ""}.`));
  }
  show(here[0]);
  return holder;
}

function place(letter, stride, shift) {
  const times = stride === 1 ? letter : `${stride}${letter}`;
  return shift ? `${times} ${shift < 0 ? "−" : "+"} ${Math.abs(shift)}` : times;
}
