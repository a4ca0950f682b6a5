// Sums and products of several layers' outputs, number by number.

import { Channels } from "./channels.js";
import { el, put } from "./dom.js";
import { byEngine, passedOn } from "./engine.js";
import { frame } from "./frame.js";
import { Maps } from "./maps.js";
import { range, written } from "./numbers.js";

const plus = (numbers) => numbers.reduce((total, number) => total + number, 0);
const times = (numbers) => numbers.reduce((product, number) => product * number, 1);

/** Numbers with a sign between them, negative ones in brackets. */
function joined(numbers, sign) {
  const terms = numbers.map(written);
  return terms.map((term, n) => (n && numbers[n] < 0 ? `(${term})` : term)).join(sign);
}

/** The sum, forward and backward. */
export function sum(page, layer) {
  const gets = (maps) => (source) => {
    const others =
      page.net.readers(source) > 1 ? ", with the gradients from its other readers" : "";
    return `${source.name} then has ${written(maps.number(source.gradient))}${others}`;
  };
  const gradients = (maps, sources) => {
    const arrives = `∂loss/∂y${maps.place(layer.gradient)} = ${written(maps.number(layer.gradient))}`;
    const gives = sources.map(gets(maps)).join("; ");
    return el("p", {}, `${arrives} goes to each of them as it is: ${gives}.`);
  };
  return merging(page, layer, { name: "sum", merge: plus, sign: " + ", gradients });
}

/** The product, forward and backward; of an input there may be one number for each channel. */
export function product(page, layer) {
  const gradients = (maps, sources) =>
    sources.map((source, n) => {
      const others = sources.filter((_, other) => other !== n).map((each) => each.output);
      const factors = [layer.gradient, ...others];
      const whole = ofChannel(source, layer);
      const numbers = factors.map((each) => maps.number(each));
      const dx = whole ? sumOfProducts(factors, page.channel) : times(numbers);
      const how = whole ? "Σ of ∂loss/∂y · the others over all places" : joined(numbers, " · ");
      return el(
        "p",
        { "data-formula": "product-gradient" },
        `∂loss/∂${source.name}${maps.place(source.output)} = ${how} = `,
        el("strong", { "data-result": dx }, written(dx)),
        passedOn(page.net, source, maps.number(source.gradient)),
      );
    });
  return merging(page, layer, { name: "product", merge: times, sign: " · ", gradients });
}

/** Whether an input has one number for each channel of a larger map. */
function ofChannel(source, layer) {
  return source.output.isMap && source.output.part(0).length < layer.output.part(0).length;
}

/** The sum over a channel's places of the products there; what has one number has it everywhere. */
function sumOfProducts(all, channel) {
  const parts = all.map((numbers) => numbers.part(channel));
  return plus(
    Array.from(parts[0], (_, n) => times(parts.map((part) => part[Math.min(n, part.length - 1)]))),
  );
}

function merging(page, layer, { name, merge, sign, gradients }) {
  const back = page.side === "backward";
  const sources = page.net.sources(layer);
  const all = [...sources, layer];
  const channels = new Channels(page, layer);
  const labels = all.map((each) => (ofChannel(each, layer) ? null : each.name));
  const maps = new Maps(page, labels, draw);
  const formula = el("div", { class: "formula" });

  function update() {
    channels.update();
    const tell = (values, n) =>
      labels[n] ? range(values) : `${written(values[0])}, one number for the channel.`;
    maps.show(
      all.map((each) => (back ? each.gradient : each.output)),
      tell,
    );
  }

  function draw() {
    put(formula, back ? gradients(maps, sources) : output());
  }

  function output() {
    const numbers = sources.map((source) => maps.number(source.output));
    const y = merge(numbers);
    return el(
      "p",
      { "data-formula": name },
      `y${maps.place(layer.output)} = ${joined(numbers, sign)} = `,
      el("strong", { "data-result": y }, written(y)),
      byEngine(maps.number(layer.output)),
    );
  }

  const figures = all.map((each, n) =>
    maps.figure(n, each === layer ? `${back ? "Gradient of the" : "The"} ${name}` : each.name),
  );
  return frame(channels, figures, formula, update);
}
