"""GFLOP/s of the convolution kernels alone, on one core, for channels × map.

    python benchmarks/convolutions.py [forward] [input] [weight] [items] [winners] …

Every figure is the least of many short runs on data that lies as in training, in a loop without
Python. A multiplication and an addition count as two; taps that fall on the border count too.
"""

import argparse
import time

import numba
import numpy as np
from neocog.kernels.compiler.runtime_sizes import MOST_OPERANDS, numbers_of

from neocog.kernels.codegen.denormals import flush_denormals, restore_denormals
from neocog.kernels.codegen.pointers import function_pointer_call, longs_at
from neocog.kernels.compiler.jit import KERNEL_ARGUMENTS, kernel_address
from neocog.kernels.compiler.spec import SpecType
from neocog.kernels.convolution.forward import conv2d_forward
from neocog.kernels.convolution.gradient import (
    WeightGradient,
    conv2d_backward_weight,
    conv2d_backward_weight_items,
    conv2d_backward_weight_of_winners,
)
from neocog.kernels.convolution.input_gradient import InputGradient, conv2d_backward_input_strided
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded

_call = function_pointer_call([SpecType(None), *KERNEL_ARGUMENTS])


@numba.njit
def _drive(address, operands, count, times):
    before = flush_denormals()
    for _ in range(times):
        _call(address, longs_at(operands), 0, count)
    restore_denormals(before)


def seconds(kernel, spec, operands, count, flops):
    """The least time of one call."""
    numbers = numbers_of(spec)
    table = np.zeros(MOST_OPERANDS + 1, np.int64)
    table[: len(operands)] = [0 if o is None else o.ctypes.data for o in operands]
    table[-1] = numbers.ctypes.data
    address = kernel_address(kernel, spec)
    times = max(1, int(3e7 / flops))
    best = np.inf
    begin, runs = time.perf_counter(), 0
    while time.perf_counter() - begin < 0.5 or runs < 10:
        runs += 1
        start = time.thread_time()  # without the time that others had the core
        _drive(address, table.ctypes.data, count, times)
        best = min(best, (time.thread_time() - start) / times)
    return best


def floats(n):
    """Some numbers, on cache lines of their own."""
    values = np.random.default_rng(0).normal(size=n + 32).astype(np.float32)
    offset = -values.ctypes.data % 64 // 4
    return values[offset : offset + n]


def case(channels, side, images, inputs=None, kernel=3, stride=1):
    """x, y, weight and the operations of all images."""
    inputs = inputs or channels
    border = kernel // 2
    x = FeatureMap(side, side, inputs, border, border, inputs <= 4)
    out = -(-side // stride)
    y = FeatureMap(out, out, channels, border, border)
    w = ConvolutionWeight(channels, inputs, kernel, kernel)
    return x, y, w, 2 * images * out * out * channels * inputs * kernel * kernel


def forward(x, y, w, images, flops, stride):
    """The forward kernel."""
    spec = Convolution(x, y, w, bias=True, stride_h=stride, stride_w=stride)
    operands = floats(images * x.size), floats(w.size), floats(padded(y.channels))
    operands = (*operands, floats(images * y.size), None, None)
    return seconds(conv2d_forward, spec, operands, images, flops)


def input_gradient(x, y, w, images, flops, stride):
    """The input's gradient by classes of the stride."""
    dx = FeatureMap(x.height, x.width, x.channels, x.border_h, x.border_w)
    top, left = x.border_h, x.border_w
    spec = InputGradient(y, dx, w.flipped, stride, stride, top=top, left=left)
    operands = floats(images * y.size), floats(w.flipped.size), floats(images * dx.size), None
    return seconds(conv2d_backward_input_strided, spec, operands, images, flops)


def _gradient(x, y, w, images, stride, winners=False):
    return WeightGradient(x, y, w, False, winners, images, stride, stride)


def weight(x, y, w, images, flops, stride):
    """The weight gradient, all images in one shard."""
    spec = _gradient(x, y, w, images, stride)
    operands = floats(images * x.size), floats(images * y.size), None
    operands = (*operands, floats(spec.partial_size), floats(y.pixel))
    return seconds(conv2d_backward_weight, spec, operands, images, flops)


def items(x, y, w, images, flops, stride):
    """The weight gradient, all items of the weight."""
    spec = _gradient(x, y, w, images, stride)
    step = np.array([0, images, 0, images, 0], np.int64)
    operands = floats(images * x.size), floats(images * y.size), floats(w.size), step
    return seconds(conv2d_backward_weight_items, spec, operands, spec.items, flops)


def winners(x, y, w, images, flops, stride):
    """The weight gradient from winners, in operations of the gradient from all of dy."""
    m = FeatureMap(y.height // 2, y.width // 2, y.channels)
    spec = _gradient(x, m, w, images, stride, winners=True)
    won = np.zeros(images * m.size, np.int32)
    operands = floats(images * x.size), floats(images * m.size), won
    operands = (*operands, floats(spec.partial_size), floats(m.pixel))
    return seconds(conv2d_backward_weight_of_winners, spec, operands, images, flops)


KINDS = {
    "forward": forward,
    "input": input_gradient,
    "weight": weight,
    "items": items,
    "winners": winners,
}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--channels", default="16,32,64,128,256,512")
    parser.add_argument("--maps", default="32,16,8,4")
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()
    sides = [int(side) for side in args.maps.split(",")]
    for kind in args.kinds or KINDS:
        print(f"{kind:8s}" + "".join(f"{side:4d}×{side:<3d}" for side in sides))
        for channels in map(int, args.channels.split(",")):
            row = ""
            for side in sides:
                shape = channels, side, args.images, args.inputs, args.kernel, args.stride
                x, y, w, flops = case(*shape)
                taken = KINDS[kind](x, y, w, args.images, flops, args.stride)
                row += f"{flops / taken / 1e9:8.1f}"
            print(f"{channels:8d}{row}", flush=True)


if __name__ == "__main__":
    main()
