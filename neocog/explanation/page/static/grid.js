// A map to explore number by number: a canvas with a frame over some of its pixels, which the pointer
// or the arrow keys move.

import { el } from "./dom.js";
import { written } from "./numbers.js";
import { paint } from "./picture.js";

const STEPS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-8, 0],
  PageDown: [8, 0],
  Home: [0, -1e9],
  End: [0, 1e9],
};

/**
 * A map.
 *
 * `point(row, column)` is called when the cursor moves; without it there is no cursor, and the map is
 * a picture. `border` is [top, left, bottom, right], the zeros that a layer reads around the map.
 */
export class Grid {
  constructor({ label, point = null, border = [0, 0, 0, 0] }) {
    this.label = label;
    this.pointed = point;
    this.border = border;
    this.row = 0;
    this.column = 0;
    this.canvas = el("canvas", {});
    this.box = el("div", { class: "frame", hidden: true });
    this.mark = el("div", { class: "mark", hidden: true });
    this.edge = el("div", { class: "edge", hidden: !border.some(Boolean) });
    this.hole = el("div", { class: "hole" }, this.canvas, this.edge, this.box, this.mark);
    const does = point
      ? {
          class: "grid pointed",
          tabindex: "0",
          role: "slider",
          "aria-label": label,
          "aria-valuemin": "0",
        }
      : { class: "grid", role: "img", "aria-label": label };
    this.node = el("div", does, this.hole);
    if (point) {
      this.node.addEventListener("keydown", (event) => this.key(event));
      this.hole.addEventListener("pointermove", (event) => this.follow(event));
      this.hole.addEventListener("pointerdown", (event) => this.follow(event));
    }
  }

  /** Show numbers, row after row; only the first `upTo`, if given. */
  show(values, width, reach, upTo = Infinity) {
    this.values = values;
    this.width = width;
    this.height = values.length / width;
    this.reach = reach;
    paint(this.canvas, values, width, reach, this.border, upTo);
    this.hole.style.aspectRatio = `${this.canvas.width} / ${this.canvas.height}`;
    place(this.edge, this, 0, 0, this.height, this.width);
    if (this.pointed) this.node.setAttribute("aria-valuemax", String(values.length - 1));
    return this;
  }

  /** Show only the first numbers, for a map that fills in step by step. */
  reveal(upTo) {
    paint(this.canvas, this.values, this.width, this.reach, this.border, upTo);
  }

  follow(event) {
    const box = this.hole.getBoundingClientRect();
    const [top, left] = this.border;
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width) - left;
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height) - top;
    if (row !== this.row || column !== this.column || event.type === "pointerdown")
      this.move(row, column);
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.move(this.row + step[0], this.column + step[1]);
  }

  /** Move the cursor to a place, or the nearest one in the map, and call `point`. */
  move(row, column) {
    this.at(row, column);
    this.pointed(this.row, this.column);
  }

  /** Move the cursor without calling `point`. */
  at(row, column) {
    this.row = Math.max(0, Math.min(this.height - 1, row));
    this.column = Math.max(0, Math.min(this.width - 1, column));
    const n = this.row * this.width + this.column;
    this.node.setAttribute("aria-valuenow", String(n));
    this.node.setAttribute(
      "aria-valuetext",
      `row ${this.row}, column ${this.column}: ${written(this.values[n])}`,
    );
    this.frame(this.row, this.column, 1, 1);
  }

  /** A frame around some rows and columns, which may lie in the border. */
  frame(top, left, height, width) {
    place(this.box, this, top, left, height, width);
  }

  /** A second frame, around one number. */
  winner(row, column) {
    place(this.mark, this, row, column, 1, 1);
  }
}

function place(box, grid, top, left, height, width) {
  const { width: w, height: h } = grid.canvas;
  const [above, before] = grid.border;
  box.hidden = box === grid.edge && !grid.border.some(Boolean);
  Object.assign(box.style, {
    top: `${(100 * (top + above)) / h}%`,
    left: `${(100 * (left + before)) / w}%`,
    height: `${(100 * height) / h}%`,
    width: `${(100 * width) / w}%`,
  });
}
