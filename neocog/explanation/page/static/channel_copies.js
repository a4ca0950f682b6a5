// Concatenation, some of the channels, another order: every channel is a copy of one of an input.

import { Channels } from "./channels.js";
import { el, figure, put } from "./dom.js";
import { passedOn } from "./engine.js";
import { frame } from "./frame.js";
import { Grid } from "./grid.js";
import { originsOf } from "./needs.js";
import { range, written } from "./numbers.js";
import { folded, inLines } from "./picture.js";

/** The view, forward and backward. */
export function channelCopies(page, layer) {
  const { net } = page;
  const back = page.side === "backward";
  const { isMap } = layer.output;
  const pick = (each) => (back ? each.gradient : each.output);
  const origins = originsOf(net, layer);
  const channels = new Channels(page, layer);
  const input = new Grid({
    label: back ? "gradient of the input" : "input",
    point: (row, column) => (isMap ? output.move(row, column) : moveTo(row * input.width + column)),
  });
  const output = new Grid({
    label: back
      ? "gradient of the output; point at a number to see where it goes"
      : "output; point at a number to see where it comes from",
    point: draw,
  });
  const words = { title: el("span"), input: el("span"), output: el("span") };
  const formula = el("div", { class: "formula", "data-formula": "channel-copies" });
  const from = figure(words.title, input.node, words.input);
  let source;

  /** Go to the copy of an input vector's number. */
  function moveTo(place) {
    const n = origins.findIndex(([each, at]) => net.source(layer, each) === source && at === place);
    if (n >= 0) output.move(Math.floor(n / output.width), n % output.width);
  }

  function update() {
    channels.update();
    const numbers = pick(layer);
    const values = isMap ? numbers.part(page.channel) : numbers.values;
    const width = isMap ? numbers.width : folded(values.length);
    output.show(inLines(values, width), width, numbers.reach);
    words.output.textContent = `${range(values)} Point at a number.`;
    output.at(page.row, page.column);
    draw(output.row, output.column);
  }

  function draw(row, column) {
    page.remember({ row, column });
    const at = Math.min(row * output.width + column, pick(layer).values.length - 1);
    const [n, channel] = origins[isMap ? page.channel : at];
    source = net.source(layer, n);
    const numbers = pick(source);
    // A file may lack the gradient of this channel of the input.
    from.hidden = isMap && !numbers.has(channel);
    if (!from.hidden) showInput(numbers, channel, row, column);
    const place = isMap ? `[${page.channel}, ${row}, ${column}]` : `[${at}]`;
    const origin = `${source.name}${isMap ? `[${channel}, ${row}, ${column}]` : `[${channel}]`}`;
    const read = (each, c) => (isMap ? each.at(c, row, column) : each.values[c]);
    const y = read(pick(layer), isMap ? page.channel : at);
    const strong = (value, more) => el("strong", { "data-result": value, ...more }, written(value));
    const x = from.hidden ? null : read(numbers, channel);
    put(
      formula,
      back
        ? el(
            "p",
            {},
            `∂loss/∂y${place} = `,
            strong(y),
            ` goes to ${origin}`,
            from.hidden ? "" : passedOn(net, source, x),
          )
        : el("p", {}, `y${place} = ${origin} = `, strong(x, { "data-engine": y })),
    );
  }

  function showInput(numbers, channel, row, column) {
    const values = isMap ? numbers.part(channel) : numbers.values;
    const width = isMap ? numbers.width : folded(values.length);
    input.show(inLines(values, width), width, numbers.reach);
    if (isMap) input.at(row, column);
    else input.at(Math.floor(channel / width), channel % width);
    words.title.textContent = isMap ? `${source.name}, channel ${channel}` : source.name;
    words.input.textContent = range(values);
  }

  const to = figure(back ? "Gradient of the output" : "Output", output.node, words.output);
  return frame(channels, back ? [to, from] : [from, to], formula, update);
}
