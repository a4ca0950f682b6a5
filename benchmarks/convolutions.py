"""GFLOP/s of the convolution kernels alone, on one core, for channels × map.

    python benchmarks/convolutions.py [forward] [input] [weight] [items] …

Every figure is the least of many short runs on data that lies as in training, in a loop without
Python. A multiplication and an addition count as two; taps that fall on the border count too.
"""

import argparse
import time

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from neocog.kernels.compiling import KERNEL_ARGUMENTS, kernel_address
from neocog.kernels.convolution import Convolution, conv2d_forward
from neocog.kernels.convolution_gradient import WeightGradient, conv2d_backward_weight
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.simd import flush_denormals, function_pointer_call, restore_denormals
from neocog.kernels.static import StaticType

_call = function_pointer_call([StaticType(None), *KERNEL_ARGUMENTS])


@intrinsic
def _table(typing_context, address):
    result = types.CPointer(types.int64)

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return result(address), generate


@numba.njit
def _drive(address, operands, count, times):
    before = flush_denormals()
    for _ in range(times):
        _call(address, _table(operands), 0, count)
    restore_denormals(before)


def seconds(kernel, stage, operands, count, flops):
    """The least time of one call."""
    table = np.array([0 if o is None else o.ctypes.data for o in operands], np.int64)
    address = kernel_address(kernel, stage)
    times = max(1, int(3e7 / flops))
    best = np.inf
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.4:
        start = time.perf_counter()
        _drive(address, table.ctypes.data, count, times)
        best = min(best, (time.perf_counter() - start) / times)
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
    stage = Convolution(x, y, w, bias=True)
    operands = floats(images * x.size), floats(w.size), floats(padded(y.channels))
    operands = (*operands, floats(images * y.size), None, None)
    return seconds(conv2d_forward, stage, operands, images, flops)


def weight(x, y, w, images, flops, stride):
    """The weight gradient, all images in one shard."""
    stage = WeightGradient(x, y, w, False, False, images)
    operands = floats(images * x.size), floats(images * y.size), None
    operands = (*operands, floats(stage.partial_size), floats(y.pixel))
    return seconds(conv2d_backward_weight, stage, operands, images, flops)


KINDS = {"forward": forward, "weight": weight}


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
