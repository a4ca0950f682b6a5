// The network of an explanation: its layers, and what feeds what.

import { folded } from "./picture.js";

/** What follows the last layer, by what the outputs are of. */
const ANSWERS = {
  class: { name: "softmax", type: "Softmax", kind: "softmax", text: "scores to probabilities" },
  label: {
    name: "probabilities",
    type: "Sigmoid",
    kind: "targets",
    text: "scores to probabilities",
  },
  number: { name: "numbers", type: "Output", kind: "targets", text: "the outputs as they are" },
};

export class Network {
  constructor(structure) {
    Object.assign(this, structure);
    const answer = {
      ...ANSWERS[structure.kind],
      parameters: 0,
      reads: [structure.layers.at(-1).name],
      shape: [structure.classes.length],
      shown: [0],
      output: structure.probabilities,
      gradient: structure.delta,
      details: {},
      caption: null,
    };
    this.layers = [...structure.layers, answer];
    this.lanes = [...structure.lanes, answer.name];
    this.byName = new Map(this.layers.map((layer) => [layer.name, layer]));
  }

  /** Take the numbers of another explanation, if its network has the same layers. */
  renew(structure) {
    const next = new Network(structure);
    if (JSON.stringify(next.form()) !== JSON.stringify(this.form())) return false;
    const { layers, byName } = this;
    layers.forEach((layer, n) => {
      const shown = inPlace(layer.shown, next.layers[n].shown);
      Object.assign(layer, next.layers[n], { shown });
    });
    Object.assign(this, next, { layers, byName });
    return true;
  }

  /** Take more rows of some layers' arrays, {layer: {array: numbers}}; false if they are of others. */
  add({ layers, serial }) {
    if (serial !== this.serial) return false;
    for (const [name, arrays] of Object.entries(layers)) {
      const layer = this.get(name);
      for (const [which, numbers] of Object.entries(arrays))
        layer[which] = layer[which].with(numbers);
    }
    return true;
  }

  /** What is the same for every image and all weights. */
  form() {
    const layers = this.layers.map(({ name, type, text, reads, shape }) => [
      name,
      type,
      text,
      reads,
      shape,
    ]);
    return [this.name, this.kind, this.classes, this.lanes, layers];
  }

  get(name) {
    return this.byName.get(name);
  }

  /** The layer whose output a layer reads; with 1, the second one of several. */
  source(layer, lane = 0) {
    return this.get(layer.reads[lane]);
  }

  /** All of them, in their order. */
  sources(layer) {
    return layer.reads.map((name) => this.get(name));
  }

  /** How often this one's output is read, by other layers or twice by one. */
  readers(layer) {
    const read = this.layers.flatMap((each) => each.reads);
    return read.filter((name) => name === layer.name).length;
  }

  /** Rows and columns of the maps that a layer shows; null if it shows none. */
  map(layer) {
    const maps = layer?.kind === "flatten" ? this.source(layer) : layer;
    return maps?.shape.length === 3 ? maps.shape.slice(1) : null;
  }

  /** Rows and columns of a layer's row of numbers, as it is shown. */
  folded(layer) {
    if (layer.kind === "flatten") return [1, layer.shape[0]];
    const columns = folded(layer.shape[0]);
    return [Math.ceil(layer.shape[0] / columns), columns];
  }

  /** The name of class n. */
  className(n) {
    return this.classes[n];
  }

  /** The channel to begin with. */
  first(layer) {
    return layer.shown[0] ?? 0;
  }
}

/** The next channels; those that are shown already keep their places. */
function inPlace(shown, next) {
  const fresh = next.filter((channel) => !shown.includes(channel));
  return shown
    .slice(0, next.length)
    .map((channel) => (next.includes(channel) ? channel : fresh.shift()))
    .concat(fresh)
    .filter((channel) => channel !== undefined);
}

/** What to call a channel: the colors of an RGB image by name. */
export function channelName(layer, channel) {
  return layer.kind === "image" && layer.shape[0] === 3
    ? ["red", "green", "blue"][channel]
    : `channel ${channel}`;
}
