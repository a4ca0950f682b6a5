// Changing one weight, and the prediction before and after.

import { act } from "./api.js";
import { className, mostProbable, reachOf, said } from "./answers.js";
import { bar, el, heads, put, select } from "./dom.js";
import { NumberBox } from "./number.js";
import { written } from "./numbers.js";

export class Weight {
  constructor(run, network) {
    this.run = run;
    this.network = network;
    this.name = Object.keys(network.parameters)[0];
    this.place = el("span");
    const { weight } = network.limits;
    this.value = new NumberBox(run, {
      name: "new value",
      low: -weight,
      high: weight,
    });
    this.back = el(
      "button",
      { type: "button", onclick: () => this.result(run(act("/api/weight/back"))) },
      "Take back",
    );
    this.found = el("div", { role: "status" });
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "Change a weight"),
      el(
        "div",
        { class: "controls" },
        select(
          "weight",
          Object.keys(network.parameters).map((each) => [each, each]),
          this.name,
          (next) => this.choose(next),
        ),
        this.place,
        el("label", {}, "becomes ", this.value.node),
        el("button", { type: "button", onclick: () => this.change() }, "Change"),
        this.back,
      ),
      this.found,
    );
    this.choose(this.name);
  }

  /** Show the indices of a parameter. */
  choose(name) {
    this.name = name;
    this.value.set(null);
    const shape = this.network.parameters[name];
    this.index = shape.map((size, n) => {
      const box = new NumberBox(this.run, {
        name: "index",
        label: `index ${n} of ${name}, below ${size}`,
        low: 0,
        high: size - 1,
        whole: true,
        typed: () => this.now(),
        kind: "index",
      });
      box.set(0);
      return box;
    });
    this.place.replaceChildren(
      "[",
      ...this.index.flatMap(({ node }, n) => (n ? [", ", node] : [node])),
      `] of ${shape.join(" × ")}`,
    );
    this.now();
  }

  /** Take the explanation's network, which has the current numbers. */
  know(net) {
    this.net = net;
    this.now();
  }

  /** Show the current number, if the explanation has it. */
  now() {
    const [, layer, part] = this.name.match(/^(.*)\.(\w+)$/);
    const numbers = this.net?.get(layer)?.[part];
    const [first, ...rest] = this.index.map((box) => box.read() ?? box.value);
    let at = 0;
    rest.forEach((index, n) => {
      at = at * numbers?.shape[n + 1] + index;
    });
    const value = numbers?.has(first)
      ? rest.length
        ? numbers.part(first)[at]
        : numbers.values[first]
      : undefined;
    this.value.node.placeholder = value === undefined ? "" : `now ${written(value)}`;
  }

  change() {
    if (![...this.index, this.value].every((box) => box.take())) return undefined;
    return this.result(
      this.run(
        act("/api/weight", {
          name: this.name,
          index: this.index.map((box) => box.value),
          value: this.value.value,
        }),
      ),
    );
  }

  async result(asked) {
    const state = await asked;
    if (!state) return;
    const { name, index, old, value, before, after } = state.result;
    const larger = before.map((each, n) => Math.max(each, after[n]));
    const net = this.net ?? this.network;
    const changes = after.map((each, n) => each - before[n]);
    const reach = reachOf(net, changes);
    const rows = mostProbable(net, larger, 6);
    put(
      this.found,
      el(
        "p",
        { class: "caption" },
        `${name}[${index.join(", ")}] went from ${written(old)} to ${written(value)}.`,
      ),
      el(
        "table",
        { class: "plain" },
        heads(net.kind, "before", "after", ""),
        el(
          "tbody",
          {},
          rows.map((n) =>
            el(
              "tr",
              {},
              this.net ? className(this.net, n) : el("th", { scope: "row" }, net.classes[n]),
              el("td", { class: "number" }, said(net, before[n])),
              el("td", { class: "number" }, said(net, after[n])),
              el("td", {}, bar(changes[n], reach)),
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
