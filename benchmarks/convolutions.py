"""GFLOP/s of the convolution kernels alone, on one core, for channels × map.

    python benchmarks/convolutions.py [forward] [input] [weight] [items] [winners] …

Every figure is the least of many short runs on data that lies as in training, in a loop without
Python. A multiplication and an addition count as two; taps that fall on the border count too.
"""

import argparse
import time

import numba
import numpy as np

from neocog.kernels.codegen.denormals import flush_denormals, restore_denormals
from neocog.kernels.codegen.pointers import function_pointer_call, longs_at
from neocog.kernels.compiler.jit import KERNEL_ARGUMENTS, compiled_kernel
from neocog.kernels.compiler.spec import numbers_of
from neocog.kernels.convolution.forward import conv2d_forward
from neocog.kernels.convolution.gradient import (
    conv2d_backward_weight,
    conv2d_backward_weight_items,
)
from neocog.kernels.convolution.input_gradient import InputGradient, conv2d_backward_input_strided
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.convolution.weight_gradient import WeightGradient
from neocog.kernels.convolution.winner_gradient import (
    WinnerGradient,
    conv2d_backward_weight_of_winners,
)
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded

_call = function_pointer_call(KERNEL_ARGUMENTS)


@numba.njit
def _drive(address, numbers, operands, count, times):
    before = flush_denormals()
    for _ in range(times):
        _call(address, longs_at(numbers), longs_at(operands), 0, count)
    restore_denormals(before)


def seconds(kernel, spec, count, flops, **operands):
    """The least time of one call."""
    compiled = compiled_kernel(kernel, spec)
    numbers = numbers_of(compiled.sizes, spec)
    given = (operands.get(name) for name in kernel.operands)
    table = np.array([0 if o is None else o.ctypes.data for o in given], np.int64)
    places = compiled.address, numbers.ctypes.data, table.ctypes.data
    times = max(1, int(3e7 / flops))
    best = np.inf
    begin, runs = time.perf_counter(), 0
    while time.perf_counter() - begin < 0.5 or runs < 10:
        runs += 1
        start = time.thread_time()  # without the time that others had the core
        _drive(*places, count, times)
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
    of = {"x": floats(images * x.size), "weight": floats(w.size), "y": floats(images * y.size)}
    return seconds(conv2d_forward, spec, images, flops, bias=floats(padded(y.channels)), **of)


def input_gradient(x, y, w, images, flops, stride):
    """The input's gradient by classes of the stride."""
    dx = FeatureMap(x.height, x.width, x.channels, x.border_h, x.border_w)
    top, left = x.border_h, x.border_w
    spec = InputGradient(y, dx, w.flipped, stride, stride, top=top, left=left)
    of = {"dy": floats(images * y.size), "dx": floats(images * dx.size)}
    weight = floats(w.flipped.size)
    return seconds(conv2d_backward_input_strided, spec, images, flops, weight=weight, **of)


def weight(x, y, w, images, flops, stride):
    """The weight gradient, all images in one shard."""
    spec = WeightGradient(x, y, w, False, images, stride, stride)
    of = {"x": floats(images * x.size), "dy": floats(images * y.size), "sums": floats(w.size)}
    return seconds(conv2d_backward_weight, spec, images, flops, **of)


def items(x, y, w, images, flops, stride):
    """The weight gradient, all items of the weight."""
    spec = WeightGradient(x, y, w, False, 0, stride, stride)
    of = {"x": floats(images * x.size), "dy": floats(images * y.size), "dw": floats(w.size)}
    step = np.array([0, images, 0, images, 0], np.int64)
    return seconds(conv2d_backward_weight_items, spec, spec.items, flops, step=step, **of)


def winners(x, y, w, images, flops, stride):
    """The weight gradient from winners, in operations of the gradient from all of dy."""
    m = FeatureMap(y.height // 2, y.width // 2, y.channels)
    spec = WinnerGradient(x, m, w, False, images, stride, stride)
    of = {"x": floats(images * x.size), "dy": floats(images * m.size)}
    of["winners"] = np.zeros(images * m.size, np.int32)
    of["sums"] = floats(spec.partial_size)
    return seconds(conv2d_backward_weight_of_winners, spec, images, flops, **of)


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
