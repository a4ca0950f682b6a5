// Small pictures out of one large one.

import { el } from "./dom.js";

/** The pictures of a sheet, as `neocog/report/thumbnails.py` makes it. */
export class Sheet {
  constructor(sheet) {
    Object.assign(this, sheet);
    this.image = new Image();
    this.ready = new Promise((done) => {
      this.image.onload = () => done(true);
      this.image.onerror = () => done(false);
    });
    this.image.src = sheet.src;
  }

  /** The picture of a number, as a canvas whose longer side is shown about `side` pixels long. */
  picture(number, label, side) {
    const { width, height, across, down, columns, pixelated } = this;
    const canvas = el("canvas", {
      class: pixelated ? "tile pixelated" : "tile",
      role: "img",
      "aria-label": label,
    });
    canvas.width = width;
    canvas.height = height;
    if (side) {
      const longer = Math.max(width, height);
      // A pixel is a square of whole pixels of the screen.
      const factor = pixelated ? Math.max(1, Math.round(side / longer)) : side / longer;
      canvas.style.width = `${Math.round(width * factor)}px`;
      canvas.style.aspectRatio = `${width} / ${height}`;
    }
    this.ready.then((there) => {
      if (!there) return;
      const left = (number % columns) * across,
        top = Math.floor(number / columns) * down;
      canvas.getContext("2d").drawImage(this.image, left, top, width, height, 0, 0, width, height);
    });
    return canvas;
  }
}
