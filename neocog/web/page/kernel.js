// A kernel of one's own, and the map it makes of the picture.

import { actBinary } from "./api.js";
import { el, figure, select } from "./dom.js";
import { Grid } from "./grid.js";
import { largest, split } from "./data.js";
import { written } from "./numbers.js";

const KNOWN = {
  "edges, upright": [
    [-1, 0, 1],
    [-2, 0, 2],
    [-1, 0, 1],
  ],
  "edges, level": [
    [-1, -2, -1],
    [0, 0, 0],
    [1, 2, 1],
  ],
  "all edges": [
    [-1, -1, -1],
    [-1, 8, -1],
    [-1, -1, -1],
  ],
  blur: [
    [1, 2, 1],
    [2, 4, 2],
    [1, 2, 1],
  ].map((row) => row.map((n) => n / 16)),
  sharpen: [
    [0, -1, 0],
    [-1, 5, -1],
    [0, -1, 0],
  ],
  nothing: [
    [0, 0, 0],
    [0, 1, 0],
    [0, 0, 0],
  ],
};

export class Kernel {
  constructor(run) {
    this.run = run;
    this.cells = Array.from({ length: 9 }, (_, n) =>
      el("input", {
        type: "number",
        step: "any",
        "aria-label": `row ${Math.floor(n / 3)}, column ${n % 3}`,
        oninput: () => this.draw(),
      }),
    );
    this.bias = el("input", {
      type: "number",
      step: "any",
      value: 0,
      "aria-label": "bias",
      oninput: () => this.draw(),
    });
    this.holder = el("div");
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "A kernel of your own"),
      el(
        "p",
        { class: "caption" },
        "Its nine numbers slide over each colour of the picture, and the three sums are added.",
      ),
      el(
        "div",
        { class: "across" },
        el(
          "div",
          {},
          el("div", { class: "drawn" }, this.cells),
          el("label", {}, "bias ", this.bias),
          el(
            "div",
            {},
            select(
              "begin with",
              Object.keys(KNOWN).map((name) => [name, name]),
              "edges, upright",
              (name) => this.put(KNOWN[name]),
            ),
          ),
        ),
        this.holder,
      ),
    );
    this.fill(KNOWN["edges, upright"]);
  }

  fill(kernel) {
    kernel.flat().forEach((value, n) => {
      this.cells[n].value = value;
    });
  }

  put(kernel) {
    this.fill(kernel);
    this.draw();
  }

  update(state) {
    if (this.shown === state.picture.number) return;
    this.shown = state.picture.number;
    if (state.picture.source === "none") this.holder.replaceChildren();
    else this.draw();
  }

  /** Ask for the map; of several changes in a row only the latest is shown. */
  async draw() {
    const numbers = [...this.cells, this.bias].map((cell) => cell.valueAsNumber);
    if (numbers.some(Number.isNaN)) return; // a cell that is being typed in
    const asked = (this.asked = Symbol("asked"));
    const kernel = [0, 3, 6].map((n) => numbers.slice(n, n + 3));
    const message = await this.run(actBinary("/api/kernel", { kernel, bias: numbers[9] }));
    if (!message || asked !== this.asked) return;
    const { map } = split(message);
    const reach = largest(map.values);
    const least = Math.min(...map.values),
      most = Math.max(...map.values);
    this.holder.replaceChildren(
      figure(
        "Its map",
        new Grid({ label: "the map that your kernel makes" }).show(map.part(0), map.width, reach)
          .node,
        `From ${written(least)} to ${written(most)}; orange is above zero.`,
      ),
    );
  }
}
