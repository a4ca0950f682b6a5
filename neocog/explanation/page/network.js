// The network of an explanation: its layers, and what feeds what.

export class Network {
  constructor(structure) {
    Object.assign(this, structure);
    const softmax = {
      name: "softmax",
      type: "Softmax",
      kind: "softmax",
      text: "scores to probabilities",
      parameters: 0,
      reads: [structure.layers.at(-1).name],
      shape: [structure.classes.length],
      shown: [0],
      output: structure.probabilities,
      gradient: structure.delta,
      how: {},
      caption: null,
    };
    this.layers = [...structure.layers, softmax];
    this.lanes = [...structure.lanes, "softmax"];
    this.byName = new Map(this.layers.map((layer) => [layer.name, layer]));
  }

  get(name) {
    return this.byName.get(name);
  }

  /** The layer whose output a layer reads; the other lane's with 1. */
  source(layer, lane = 0) {
    return this.get(layer.reads[lane]);
  }

  /** How many layers read this one's output. */
  readers(layer) {
    return this.layers.filter((each) => each.reads.includes(layer.name)).length;
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

/** What to call a channel: the colours of an RGB image by name. */
export function channelName(layer, channel) {
  return layer.kind === "image" && layer.shape[0] === 3
    ? ["red", "green", "blue"][channel]
    : `channel ${channel}`;
}
