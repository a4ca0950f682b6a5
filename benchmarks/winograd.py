"""Winograd convolution beside the direct one, each kernel alone on one core, channels × map.

    python benchmarks/winograd.py [forward] [weight] [transform] [--images 8] …

Figures are what the direct convolution would have to do, in GFLOP/s, so that they compare. The
weight's transform is not part of the forward figure; `transform` gives it in microseconds.
"""

import argparse

import numpy as np
from convolutions import case, floats, forward, seconds, weight

from neocog.kernels.layout import padded
from neocog.kernels.winograd.forward import winograd_forward
from neocog.kernels.winograd.gradient import (
    winograd_backward_weight,
    winograd_outer,
    winograd_transform_gradient,
    winograd_transform_input,
)
from neocog.kernels.winograd.gradient_tiling import WinogradGradient, WinogradPass
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.weight import (
    WinogradWeight,
    winograd_weight,
    winograd_weight_flipped,
)


def winograd(x, y, images, flops, tile, group=0):
    """Seconds of the forward kernel."""
    spec = Winograd(x, y, 1, 1, tile, group=group)
    operands = floats(images * x.size), floats(spec.u_size), floats(padded(y.channels))
    operands = (*operands, floats(images * y.size), None, None, floats(spec.scratch_size))
    return seconds(winograd_forward, spec, operands, images, flops)


def of_shard(x, y, images, flops, tile, group=0):
    """Seconds of the weight gradient, all images in one shard."""
    spec = WinogradGradient(x, y, 1, 1, tile, shard=images, group=group)
    operands = floats(images * x.size), floats(images * y.size), floats(spec.s_size)
    operands = (*operands, floats(y.pixel), floats(spec.scratch_size))
    return seconds(winograd_backward_weight, spec, operands, images, flops)


def of_batch(x, y, images, flops, tile):
    """Seconds of the weight gradient by way of the whole batch's V and W."""
    spec = WinogradGradient(x, y, 1, 1, tile, images=images)
    v, w, scratch = (floats(n) for n in (spec.v_size, spec.w_size, spec.scratch_size))
    bias, dw = floats(images * y.pixel), floats(spec.w.size)
    step = np.array([0, images, 0, 0, 0])
    of_dy, passing = (floats(images * y.size), w, bias), WinogradPass(spec)
    runs = (
        (winograd_transform_input, passing, (floats(images * x.size), v), images, flops / 20),
        (winograd_transform_gradient, passing, of_dy, images, flops / 20),
        (winograd_outer, spec, (v, w, bias, dw, bias, step, scratch), spec.items, flops / 4),
    )
    return sum(seconds(*run) for run in runs)


def transform(x, y, tile, kernel):
    """Seconds of the weight's transform."""
    spec = WinogradWeight(Winograd(x, y, 1, 1, tile))
    operands = floats(spec.w.size), floats(spec.convolution.u_size)
    return seconds(kernel, spec, operands, spec.w.blocks, 36 * spec.w.size)


def figures(kind, x, y, w, images, flops, group):
    """The numbers of one row, direct first."""
    if kind == "transform":
        kernels = winograd_weight, winograd_weight_flipped
        return [1e6 * transform(x, y, tile, k) for tile in (4, 2) for k in kernels]
    if kind == "weight":
        taken = [weight(x, y, w, images, flops, 1)]
        taken += [of_shard(x, y, images, flops, tile, group) for tile in (2, 4)]
        taken += [of_batch(x, y, images, flops, 4)]
    else:
        taken = [forward(x, y, w, images, flops, 1)]
        taken += [winograd(x, y, images, flops, tile, group) for tile in (2, 4)]
    return [flops / t / 1e9 for t in taken]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=["forward"])
    parser.add_argument("--channels", default="16,32,64,128,256,512")
    parser.add_argument("--maps", default="32,16,8,4")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--group", type=int, default=0)
    args = parser.parse_args()
    for kind in args.kinds:
        print(kind)
        for channels in map(int, args.channels.split(",")):
            for side in map(int, args.maps.split(",")):
                x, y, w, flops = case(channels, side, args.images)
                row = figures(kind, x, y, w, args.images, flops, args.group)
                row = "".join(f"{value:9.1f}" for value in row)
                print(f"{channels:5d} × {side:<3d}{row}", flush=True)


if __name__ == "__main__":
    main()
