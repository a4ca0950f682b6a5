// The image, the row of numbers that maps are laid out in, and the sum of two lanes.

import { channelRow } from "./channels.js";
import { el, figure } from "./dom.js";
import { Grid } from "./grid.js";
import { channelName } from "./network.js";
import { folded, inLines, range, written } from "./picture.js";

/** The image, and what the loss would change with. */
export function image(page, layer) {
  const { net, channel } = page;
  const back = page.side === "backward";
  const numbers = back ? layer.gradient : layer.output;
  const formula = el("div", { class: "formula", "data-formula": "image" });
  const grid = new Grid({
    label: back ? "gradient of the image" : "the image’s numbers",
    point: (row, column) => draw(row, column),
  });
  grid.show(numbers.part(channel), numbers.width, numbers.reach);
  function draw(row, column) {
    page.remember({ row, column });
    grid.at(row, column);
    const byte = net.pixels.at(channel, grid.row, grid.column);
    const x = (byte / 255 - net.image.mean[channel]) / net.image.std[channel];
    const at = `[${channel}, ${grid.row}, ${grid.column}]`;
    formula.replaceChildren(
      el(
        "p",
        {},
        back
          ? `∂loss/∂x${at} = ${written(layer.gradient.at(channel, grid.row, grid.column))}`
          : [
              `x${at} = (byte / 255 − mean) / deviation = (${byte} / 255 − ${written(net.image.mean[channel])}) / ${written(net.image.std[channel])} = `,
              el(
                "strong",
                {
                  "data-result": x,
                  "data-engine": layer.output.at(channel, grid.row, grid.column),
                },
                written(x),
              ),
            ],
      ),
    );
  }
  const view = el(
    "div",
    {},
    channelRow(layer, page.side, channel, (next) => page.go({ channel: next })),
    el(
      "div",
      { class: "across" },
      figure(
        "The image",
        el("img", {
          class: "image",
          src: net.image.src,
          alt: `the image, ${net.image.width} × ${net.image.height} pixels`,
        }),
        `${net.image.width} × ${net.image.height} pixels.`,
      ),
      figure(
        `${back ? "∂loss/∂x" : "As numbers"}: ${channelName(layer, channel)}`,
        grid.node,
        `${range(numbers.part(channel))} Orange is above zero, blue below. Point at a number.`,
      ),
    ),
    formula,
  );
  draw(page.row, page.column);
  return view;
}

/** Where each number goes when maps become one row. */
export function flatten(page, layer) {
  const source = page.net.source(layer);
  const back = page.side === "backward";
  const maps = back ? source.gradient : source.output,
    row = back ? layer.gradient : layer.output;
  const [, height, width] = maps.isMap ? source.shape : [1, 1, source.shape[0]];
  const channel = maps.has(page.channel) ? page.channel : page.net.first(source);
  const wide = folded(row.values.length);
  const formula = el("div", { class: "formula", "data-formula": "flatten" });
  const grid = new Grid({
    label: "map; point at a number to see where it goes",
    point: (r, c) => draw(r, c),
  });
  const line = new Grid({
    label: "the row of numbers, folded; point at one to see where it comes from",
    point: (r, c) => {
      const n = Math.min(row.values.length - 1, r * wide + c);
      const to = {
        channel: Math.floor(n / (height * width)),
        row: Math.floor(n / width) % height,
        column: n % width,
      };
      if (to.channel === channel) draw(to.row, to.column);
      else page.go(to);
    },
  });
  grid.show(maps.part(channel), width, maps.reach);
  line.show(inLines(row.values, wide), wide, row.reach);
  function draw(r, c) {
    page.remember({ row: r, column: c });
    grid.at(r, c);
    const n = (channel * height + grid.row) * width + grid.column;
    line.at(Math.floor(n / wide), n % wide);
    const value = row.values[n];
    formula.replaceChildren(
      el(
        "p",
        {},
        `n = (channel · ${height} + row) · ${width} + column = (${channel} · ${height} + ${grid.row}) · ${width} + ${grid.column} = ${n}; ${back ? "∂loss/∂y" : "y"}[${n}] = `,
        el(
          "strong",
          { "data-result": maps.at(channel, grid.row, grid.column), "data-engine": value },
          written(value),
        ),
      ),
    );
  }
  const view = el(
    "div",
    {},
    source.shape.length === 3
      ? channelRow(source, page.side, channel, (next) => page.go({ channel: next }))
      : null,
    el(
      "div",
      { class: "across" },
      figure(
        `Channel ${channel}${back ? ", gradient" : ""}`,
        grid.node,
        `${range(maps.part(channel))} Point at a number.`,
      ),
      figure(
        `The row of ${row.values.length.toLocaleString("en")} numbers`,
        line.node,
        `Folded into lines of ${wide} to fit here.`,
      ),
    ),
    formula,
  );
  draw(page.row, page.column);
  return view;
}

/** The sum of two lanes. */
export function sum(page, layer) {
  const { net, channel } = page;
  const back = page.side === "backward";
  const lanes = [net.source(layer, 0), net.source(layer, 1)];
  const chooser = channelRow(layer, page.side, channel, (next) => page.go({ channel: next }));
  const pick = (each) => (back ? each.gradient : each.output);
  if (![...lanes, layer].every((each) => pick(each).has(channel)))
    return el("div", {}, chooser, "This channel’s gradient was left out to keep this file small.");
  const formula = el("div", { class: "formula", "data-formula": "sum" });
  const move = (row, column) => draw(row, column);
  const grids = [...lanes, layer].map((each, n) => {
    const grid = new Grid({ label: ["first lane", "second lane", "sum"][n], point: move });
    return grid.show(pick(each).part(channel), pick(each).width, pick(each).reach);
  });
  function draw(row, column) {
    for (const grid of grids) grid.at(row, column);
    page.remember({ row, column });
    const at = [channel, grids[0].row, grids[0].column];
    const [a, b, y] = [...lanes, layer].map((each) => pick(each).at(...at));
    formula.replaceChildren(
      el(
        "p",
        {},
        back
          ? `∂loss/∂y[${at.join(", ")}] = ${written(y)} goes to both lanes as it is. The first then has ${written(a)}, the second ${written(b)}${net.readers(lanes[1]) > 1 ? ", with what its other readers send" : ""}.`
          : [
              `y[${at.join(", ")}] = ${written(a)} + (${written(b)}) = `,
              el("strong", { "data-result": a + b, "data-engine": y }, written(y)),
            ],
      ),
    );
  }
  const view = el(
    "div",
    {},
    chooser,
    el(
      "div",
      { class: "across" },
      figure(
        lanes[0].name,
        grids[0].node,
        `The first lane, through the body. ${range(pick(lanes[0]).part(channel))}`,
      ),
      figure(
        lanes[1].name,
        grids[1].node,
        `The second lane, around it. ${range(pick(lanes[1]).part(channel))}`,
      ),
      figure(back ? "Gradient of the sum" : "Sum", grids[2].node, range(pick(layer).part(channel))),
    ),
    formula,
  );
  draw(page.row, page.column);
  return view;
}
