// Maps as small pictures: negative numbers blue, zero the color of the paper, positive ones orange.

const NEGATIVE = [33, 102, 172];
const POSITIVE = [214, 96, 20];
const dark = matchMedia("(prefers-color-scheme: dark)");

function paper() {
  return dark.matches ? [24, 26, 31] : [255, 255, 255];
}

/** Call `change` when the colors change from light to dark or back. */
export function onColors(change) {
  dark.addEventListener("change", change);
}

/** The color of a number from −1 to 1, as [r, g, b]. */
export function color(part) {
  const ink = part < 0 ? NEGATIVE : POSITIVE;
  const share = Math.min(1, Math.abs(part)) ** 0.7;
  return paper().map((base, n) => Math.round(base + (ink[n] - base) * share));
}

/** Whether black text has more contrast on it than white (WCAG 2.2, relative luminance). */
function isLight(ink) {
  const [r, g, b] = ink.map((part) =>
    part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}

/** The style of a cell that shows a number by its color. */
export function cellStyle(part) {
  const ink = color(part);
  return `background: rgb(${ink}); color: ${isLight(ink) ? "#000" : "#fff"}`;
}

/**
 * Paint numbers into a canvas, a pixel each; `reach` is the number with the strongest color.
 *
 * `border` is [top, left, bottom, right], zeros around the map; only the first `upTo` numbers are
 * painted.
 */
export function paint(canvas, values, width, reach, border = [0, 0, 0, 0], upTo = Infinity) {
  const [top, left, bottom, right] = border;
  const height = values.length / width;
  canvas.width = width + left + right;
  canvas.height = height + top + bottom;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const zero = color(0);
  for (let n = 0; n < image.data.length; n += 4) {
    image.data[n] = zero[0];
    image.data[n + 1] = zero[1];
    image.data[n + 2] = zero[2];
    image.data[n + 3] = 255;
  }
  const many = Math.min(values.length, upTo);
  for (let n = 0; n < many; n++) {
    const ink = color(reach ? values[n] / reach : 0);
    const at = 4 * ((Math.floor(n / width) + top) * canvas.width + (n % width) + left);
    image.data[at] = ink[0];
    image.data[at + 1] = ink[1];
    image.data[at + 2] = ink[2];
  }
  context.putImageData(image, 0, 0);
}

/** Paint numbers so that the canvas is transparent where they are near zero. */
export function paintVeil(canvas, values, width, reach) {
  canvas.width = width;
  canvas.height = values.length / width;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let n = 0; n < values.length; n++) {
    const part = reach ? values[n] / reach : 0;
    image.data.set(
      [...(part < 0 ? NEGATIVE : POSITIVE), Math.round(235 * Math.min(1, Math.abs(part)) ** 0.8)],
      4 * n,
    );
  }
  context.putImageData(image, 0, 0);
}

/** The number of columns for a vector of so many numbers. */
export function folded(size) {
  return size <= 16 ? 1 : Math.ceil(Math.sqrt(size));
}

/** A vector in lines of `width`, the last one filled up with zeros. */
export function inLines(values, width) {
  const whole = new Float32Array(Math.ceil(values.length / width) * width);
  whole.set(values);
  return whole;
}
