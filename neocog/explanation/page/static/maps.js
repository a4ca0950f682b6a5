// Maps side by side with one cursor: the same place of several maps, or of vectors in lines.

import { el, figure } from "./dom.js";
import { Grid } from "./grid.js";
import { range } from "./numbers.js";
import { folded, inLines } from "./picture.js";

export class Maps {
  /**
   * A map for each label. `draw` is called when the cursor has moved. A label of null is that of a
   * factor for the whole channel, which has no cursor.
   */
  constructor(page, labels, draw) {
    this.page = page;
    this.draw = draw;
    const point = (row, column) => this.move(row, column);
    this.grids = labels.map(
      (label) => new Grid(label ? { label, point } : { label: "factor of the channel" }),
    );
    this.words = labels.map(() => el("span"));
  }

  /** Show the channel of each of these numbers, or the vector that they are; then draw. */
  show(all, tell = range) {
    const { channel } = this.page;
    all.forEach((numbers, n) => {
      const { isMap, values, reach } = numbers;
      const width = isMap ? numbers.width : folded(values.length);
      const shown = isMap ? numbers.part(channel) : inLines(values, width);
      this.grids[n].show(shown, width, reach);
      this.words[n].textContent = tell(isMap ? shown : values, n);
    });
    this.move(this.page.row, this.page.column);
  }

  move(row, column) {
    for (const grid of this.grids) if (grid.pointed) grid.at(row, column);
    const grid = this.grids.at(-1);
    Object.assign(this, { row: grid.row, column: grid.column, width: grid.width });
    this.page.remember({ row: this.row, column: this.column });
    this.draw();
  }

  /** The index at the cursor of a vector of so many numbers. */
  index(length) {
    return Math.min(this.row * this.width + this.column, length - 1);
  }

  /** The place at the cursor in a map or a vector, in the brackets of a formula. */
  place(numbers) {
    if (!numbers.isMap) return `[${this.index(numbers.values.length)}]`;
    const row = Math.min(this.row, numbers.height - 1);
    return `[${this.page.channel}, ${row}, ${Math.min(this.column, numbers.width - 1)}]`;
  }

  /** The number there. */
  number(numbers) {
    if (!numbers.isMap) return numbers.values[this.index(numbers.values.length)];
    const row = Math.min(this.row, numbers.height - 1);
    return numbers.at(this.page.channel, row, Math.min(this.column, numbers.width - 1));
  }

  /** The figure of one of the maps. */
  figure(n, title) {
    return figure(title, this.grids[n].node, this.words[n]);
  }
}
