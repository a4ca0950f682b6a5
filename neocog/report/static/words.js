// What several sections write alike.

import { percent } from "./numbers.js";

/** A share as percentage, whose sign stays on its line. */
export function percentage(part) {
  return percent(part).replaceAll(" ", "\u00a0");
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds && seconds < 1) return `${Number((1000 * seconds).toPrecision(3))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What an image is called: its file, or its number in the data. */
export function nameOf(name, index) {
  return name ?? `image ${index}`;
}
