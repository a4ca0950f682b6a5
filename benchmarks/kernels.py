"""Every convolution kernel alone on one core, in percent of the core's peak, channels × map.

    python benchmarks/kernels.py [--channels 16,64] [--maps 32,8] [--write]

`--write` puts the table into docs/kernels.md. The peak is what a loop of fused multiply-adds alone
reaches, measured before each row, for a shared machine's speed changes. Operations are those of the
direct sum, so that Winograd's algorithm, which needs fewer, can be over 100 %.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from convolutions import case, floats, forward, input_gradient, items, seconds, weight
from tables import write_table
from winograd import of_batch, of_shard, winograd

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, REGISTERS
from neocog.kernels.compiler.jit import kernel

_CHAINS = 12 if REGISTERS == 16 else 24
_TURNS = 1000
_IMAGES = 8


@dataclass(frozen=True)
class Chains:
    """So many sums in registers."""

    count: int = _CHAINS


@block(accumulators)
def _multiply_add(emit, spec, sums, x):
    factor = emit.load(x)
    return [emit.fma(factor, factor, total) for total in sums]


@block(nothing)
def _keep(emit, spec, sums, y):
    for at, total in enumerate(sums):
        emit.store(total, y, at * LANES)


@kernel(x=FLOATS, y=FLOATS)
def _peak(spec, o, first, count):
    for _ in range(count):
        sums = zeros(spec.count)
        for _ in range(_TURNS):
            sums = _multiply_add(spec, sums, o.x)
        _keep(spec, sums, o.y)


def peak():
    """Operations a second of fused multiply-adds that wait for nothing."""
    flops = 2 * LANES * _CHAINS * _TURNS * 10
    operands = floats(LANES) * 0, floats(_CHAINS * LANES)
    return flops / seconds(_peak, Chains(), operands, 10, flops)


def row(channels, side, most):
    """The percentages of one size."""
    x, y, w, flops = case(channels, side, _IMAGES)
    taken = [
        forward(x, y, w, _IMAGES, flops, 1),
        winograd(x, y, _IMAGES, flops, 4),
        min(weight(x, y, w, _IMAGES, flops, 1), items(x, y, w, _IMAGES, flops, 1)),
        min(of_shard(x, y, _IMAGES, flops, 4), of_batch(x, y, _IMAGES, flops, 4)),
    ]
    found = [100 * flops / t / most for t in taken]
    x, y, w, flops = case(channels, side, _IMAGES, stride=2)
    strided = forward, input_gradient
    taken = [run(x, y, w, _IMAGES, flops, 2) for run in strided]
    taken.append(min(run(x, y, w, _IMAGES, flops, 2) for run in (weight, items)))
    return found + [100 * flops / t / most for t in taken]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", default="16,32,64,128,256")
    parser.add_argument("--maps", default="32,16,8")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = [
        "| channels | map | forward | by Winograd | weight gradient | by Winograd | stride 2: "
        "forward | input gradient | weight gradient |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    peaks = []
    for line in lines:
        print(line, flush=True)
    for channels in map(int, args.channels.split(",")):
        for side in map(int, args.maps.split(",")):
            peaks.append(peak())
            cells = " | ".join(f"{value:.0f}" for value in row(channels, side, peaks[-1]))
            lines.append(f"| {channels} | {side} × {side} | {cells} |")
            print(lines[-1], flush=True)
    least, most = np.array([min(peaks), max(peaks)]) / 1e9
    head = (
        f"{_IMAGES} images, 3 × 3, as many channels in as out; percent of the core's peak, which "
        f"was {least:.0f} to {most:.0f} GFLOP/s."
    )
    print(head)
    if args.write:
        write_table("docs/kernels.md", "kernels", "\n".join([head, "", *lines]))


if __name__ == "__main__":
    main()
