// What a convolution adds up: the input that its kernels read, and the products at a place.

/** The input channels that an output channel reads: the first of them, and how many. */
export function group(layer, channel) {
  const inputs = layer.weight.shape[1];
  return [Math.floor(channel / (layer.shape[0] / layer.details.groups)) * inputs, inputs];
}

/** The padding around the input, as [top, left, bottom, right]. */
export function borderOf(layer) {
  return [...layer.details.before, ...layer.details.after];
}

/** Row and column of the input that a weight, or the kernel's corner, reads for an output's place. */
export function met(layer, row, column, i = 0, j = 0) {
  const { stride, dilation, before } = layer.details;
  return [
    row * stride[0] + i * dilation[0] - before[0],
    column * stride[1] + j * dilation[1] - before[1],
  ];
}

/** The number that stands in a row and column of an input's channel, which may lie in the padding. */
export function read(layer, input, channel, row, column) {
  const { sources, before } = layer.details;
  if (!sources) return input.at(channel, row, column);
  return input.at(channel, sources[0][row + before[0]], sources[1][column + before[1]]);
}

/** How many rows and columns of the input a kernel spans. */
export function span(layer) {
  const { kernel, dilation } = layer.details;
  return [0, 1].map((n) => dilation[n] * (kernel[n] - 1) + 1);
}

/**
 * The products of one output number, for each input channel that is here:
 * {channel, patch, kernel, products, sum, outside}.
 */
export function parts(net, layer, channel, row, column, flipped = false) {
  const [kh, kw] = layer.details.kernel;
  const input = net.source(layer).output;
  const weight = layer.weight.part(channel);
  const [first, inputs] = group(layer, channel);
  const here = Array.from({ length: inputs }, (_, c) => c).filter((c) => input.has(first + c));
  return here.map((c) => {
    const found = { channel: first + c, patch: [], kernel: [], products: [], outside: [], sum: 0 };
    for (let i = 0; i < kh; i++) {
      for (let j = 0; j < kw; j++) {
        const [y, x] = met(layer, row, column, i, j);
        const value = read(layer, input, first + c, y, x);
        const at = flipped ? (kh - 1 - i) * kw + kw - 1 - j : i * kw + j;
        const w = weight[c * kh * kw + at];
        found.patch.push(value);
        found.kernel.push(w);
        found.products.push(value * w);
        found.outside.push(y < 0 || x < 0 || y >= input.height || x >= input.width);
        found.sum += value * w;
      }
    }
    return found;
  });
}

/** The bias of an output channel; 0 without one. */
export function biasOf(layer, channel) {
  return layer.bias ? layer.bias.values[channel] : 0;
}

/** One channel's whole map by true convolution, which rotates the kernel by 180°. */
export function trueMap(net, layer, channel) {
  const [, height, width] = layer.shape;
  const bias = biasOf(layer, channel);
  return Float32Array.from({ length: height * width }, (_, n) =>
    parts(net, layer, channel, Math.floor(n / width), n % width, true).reduce(
      (sum, part) => sum + part.sum,
      bias,
    ),
  );
}
