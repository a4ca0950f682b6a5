// Which channels a layer's view reads, of itself and of the layers before, and which are not here: the
// files of large networks have only some.

import { group } from "./products.js";

/** Layers that keep the channels of their input, so that one channel can be followed through them. */
export const KEEPING = [
  "activation",
  "pooling",
  "copies",
  "normalization",
  "sum",
  "product",
  "flatten",
];

/** For each channel, or number of a vector, which input it is of, and where there: [[n, channel]]. */
export function originsOf(net, layer) {
  const { channels } = layer.details;
  if (channels) return channels.map((channel) => [0, channel]);
  return net
    .sources(layer)
    .flatMap((source, n) => Array.from({ length: source.shape[0] }, (_, channel) => [n, channel]));
}

/** The output of a linear layer to show: the wanted one, else one whose weights are here. */
export function outputOf(net, layer, wanted) {
  const last = net.layers.at(-2) === layer;
  return Math.min(wanted ?? (last ? net.label : (layer.weight.rows?.[0] ?? 0)), layer.shape[0] - 1);
}

/** The channels of the inputs that a convolution's channel reads. */
export function inputsOf(layer, channel) {
  const [first, inputs] = group(layer, channel);
  return Array.from({ length: inputs }, (_, n) => first + n);
}

/**
 * What is not here of what the view of the page's channel reads: `everything`, or only `some` that the
 * view can do without.
 */
export function lacking(page, layer) {
  const { net, channel, side, output } = page;
  const lacks = (numbers, n) => numbers.isMap && !numbers.has(n);
  const of = (each, n) => lacks(each.output, n) || (side === "backward" && lacks(each.gradient, n));
  const { kind } = layer;
  if (kind === "convolution") {
    const source = net.source(layer);
    return {
      everything: of(layer, channel) || !layer.weight.has(channel),
      some: inputsOf(layer, channel).some((n) => lacks(source.output, n)),
    };
  }
  if (kind === "linear") {
    return { everything: false, some: !layer.weight.has(outputOf(net, layer, output)) };
  }
  if (kind === "flatten") return { everything: false, some: of(net.source(layer), channel) };
  let everything = layer.shape.length === 3 && of(layer, channel);
  if (KEEPING.includes(kind)) everything ||= net.sources(layer).some((each) => of(each, channel));
  if (kind === "channelCopies" && layer.output.isMap) {
    const [n, origin] = originsOf(net, layer)[channel];
    everything ||= side === "forward" && of(net.source(layer, n), origin);
  }
  return { everything, some: false };
}
