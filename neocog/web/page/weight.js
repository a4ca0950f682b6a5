// Changing one weight, and what the prediction then is.

import { act } from "./api.js";
import { bar, el, heads, select } from "./dom.js";
import { percent, written } from "./numbers.js";

export class Weight {
  constructor(run, network) {
    this.run = run;
    this.network = network;
    this.name = Object.keys(network.parameters)[0];
    this.place = el("span");
    this.value = el("input", { type: "number", step: "any", "aria-label": "new value" });
    this.back = el(
      "button",
      { type: "button", onclick: () => this.result(run(act("/api/weight/back"))) },
      "Take back",
    );
    this.found = el("div", { role: "status" });
    this.names = el("span");
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "Change a weight"),
      el(
        "div",
        { class: "controls" },
        this.names,
        this.place,
        el("label", {}, "becomes ", this.value),
        el("button", { type: "button", onclick: () => this.change() }, "Change"),
        this.back,
      ),
      this.found,
    );
    this.choose(this.name);
  }

  /** Show a parameter's places. */
  choose(name) {
    this.name = name;
    const shape = this.network.parameters[name];
    this.names.replaceChildren(
      select(
        "weight",
        Object.keys(this.network.parameters).map((each) => [each, each]),
        name,
        (next) => this.choose(next),
      ),
    );
    this.index = shape.map((size, n) =>
      el("input", {
        type: "number",
        min: 0,
        max: size - 1,
        value: 0,
        "aria-label": `index ${n} of ${name}, below ${size}`,
        class: "index",
        oninput: () => this.now(),
      }),
    );
    this.place.replaceChildren(
      "[",
      ...this.index.flatMap((input, n) => (n ? [", ", input] : [input])),
      `] of ${shape.join(" × ")}`,
    );
    this.now();
  }

  /** Take the explanation's network, which has the numbers of now. */
  know(net) {
    this.net = net;
    this.now();
  }

  /** Show the number that is there now, where the explanation holds it. */
  now() {
    const [, layer, part] = this.name.match(/^(.*)\.(\w+)$/);
    const numbers = this.net?.get(layer)?.[part];
    const [first, ...rest] = this.index.map((input) => input.valueAsNumber);
    let at = 0;
    rest.forEach((index, n) => {
      at = at * numbers?.shape[n + 1] + index;
    });
    const value = numbers?.has(first)
      ? rest.length
        ? numbers.part(first)[at]
        : numbers.values[first]
      : undefined;
    this.value.placeholder = value === undefined ? "" : `now ${written(value)}`;
  }

  change() {
    return this.result(
      this.run(
        act("/api/weight", {
          name: this.name,
          index: this.index.map((input) => input.valueAsNumber),
          value: this.value.valueAsNumber,
        }),
      ),
    );
  }

  async result(asked) {
    const state = await asked;
    if (!state) return;
    const { name, index, old, value, before, after } = state.result;
    const { classes } = this.network;
    const rows = Array.from(classes.keys())
      .sort((a, b) => Math.max(before[b], after[b]) - Math.max(before[a], after[a]))
      .slice(0, 6);
    this.found.replaceChildren(
      el(
        "p",
        { class: "caption" },
        `${name}[${index.join(", ")}] went from ${written(old)} to ${written(value)}.`,
      ),
      el(
        "table",
        { class: "plain" },
        heads("class", "before", "after"),
        el(
          "tbody",
          {},
          rows.map((n) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, classes[n]),
              el("td", { class: "number" }, percent(before[n])),
              el("td", { class: "number" }, percent(after[n])),
              el("td", {}, bar(after[n] - before[n], 1)),
            ),
          ),
        ),
      ),
    );
  }

  update(state) {
    this.back.disabled = !state.changes;
  }
}
