// A kernel that the user draws, and the map that it gives for the picture.

import { actBinary } from "./api.js";
import { el, figure, put, select } from "./dom.js";
import { Grid } from "./grid.js";
import { largest, split } from "./data.js";
import { NumberBox } from "./number.js";
import { range } from "./numbers.js";

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
  constructor(run, network) {
    this.run = run;
    const { weight } = network.limits;
    const typed = () => this.draw();
    const change = (value) => Promise.resolve(value); // it was drawn while it was typed
    const box = (name, label) =>
      new NumberBox(run, { name, label, low: -weight, high: weight, change, typed });
    this.cells = Array.from({ length: 9 }, (_, n) =>
      box("kernel’s number", `row ${Math.floor(n / 3)}, column ${n % 3}`),
    );
    this.bias = box("bias");
    this.bias.set(0);
    this.holder = el("div");
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "Your own kernel"),
      el(
        "p",
        { class: "caption" },
        "Its nine numbers slide over each color of the picture, and the three sums are added.",
      ),
      el(
        "div",
        { class: "across" },
        el(
          "div",
          {},
          el(
            "div",
            { class: "drawn" },
            this.cells.map((cell) => cell.node),
          ),
          el("label", {}, "bias ", this.bias.node),
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
      this.cells[n].set(value);
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

  /** Request the map; after several quick changes only the latest is shown. */
  async draw() {
    const numbers = [...this.cells, this.bias].map((cell) => cell.read());
    if (numbers.includes(undefined)) return; // a cell that is being typed in
    const asked = (this.asked = Symbol("asked"));
    const kernel = [0, 3, 6].map((n) => numbers.slice(n, n + 3));
    const message = await this.run(actBinary("/api/kernel", { kernel, bias: numbers[9] }));
    if (!message || asked !== this.asked) return;
    const { map } = split(message);
    const reach = largest(map.values);
    put(
      this.holder,
      figure(
        "Its map",
        new Grid({ label: "the map that your kernel gives" }).show(map.part(0), map.width, reach)
          .node,
        `${range(map.values)} Orange is above zero.`,
      ),
    );
  }
}
