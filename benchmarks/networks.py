"""Training steps and predictions of the named networks, beside PyTorch's in the same run.

    python benchmarks/networks.py [--networks resnet20 …] [--rounds 7] [--compiled] [--write]

`--write` puts the table into docs/networks.md.

Both sides train on the same images in memory from the same weights, with SGD with momentum:
forward, backward, update, batch normalization and all; their losses are compared. PyTorch runs
eager and, if asked, compiled, in both memory layouts, on 1 and on all cores, with denormals
flushed; its two fastest ways go on, the better one counts. Turns alternate, and what is given is
the median of the rounds' ratios. Compiling is left out, and stated.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from neocog import models
from neocog.engine import Trainer, available_threads
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings
from neocog.summary import cost
from neocog.torch_engine.module import to_torch

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

#: Networks with their batch, and how many times as fast as PyTorch they should be.
NETWORKS = {
    "lenet5": (64, 5.0),
    "vgg-small": (128, 2.5),
    "resnet8": (128, 2.5),
    "resnet20": (128, 2.5),
    "airbench": (1024, 2.0),
    "resnet18": (128, 1.5),
}
_LR, _MOMENTUM = 0.001, 0.9


def _data(network, count):
    c, h, w = network.input_shape
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, h, w, c), dtype=np.uint8)
    return images, rng.integers(0, network.output_shape[0], count)


class _Torch:
    """One way to run PyTorch."""

    def __init__(self, network, images, labels, batch, threads, last, compiled):
        self.name = f"{threads} threads, {'NHWC' if last else 'NCHW'}{', compiled' * compiled}"
        self.threads, self.batch = threads, batch
        mean, std = network.preprocessing.mean, network.preprocessing.std
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        shape = (1, -1, 1, 1)
        x = (x - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
        form = torch.channels_last if last else torch.contiguous_format
        self.x, self.y = x.contiguous(memory_format=form), torch.from_numpy(labels)
        self.module = to_torch(network).to(memory_format=form)
        self.module.train()
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=_LR, momentum=_MOMENTUM)
        self.run = torch.compile(self.module) if compiled else self.module
        self.losses = []
        self.times = []

    def train(self, steps):
        torch.set_num_threads(self.threads)
        began = time.perf_counter()
        for n in range(steps):
            at = n * self.batch % len(self.x)
            x, y = self.x[at : at + self.batch], self.y[at : at + self.batch]
            self.optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(self.run(x), y)
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
        self.times.append((time.perf_counter() - began) / steps)


def measure(name, network, batch, bar, rounds, *, compiled=False):
    """One row: seconds a step of both sides, one thread's too, and how far the losses differ."""
    network.initialize(0)
    steps = {"lenet5": 200, "resnet8": 8, "vgg-small": 4, "resnet20": 3}.get(name, 2)
    images, labels = _data(network, batch * steps)
    ours, began = {}, time.perf_counter()
    for threads in sorted({1, available_threads()}):
        optimizer = SGD(_LR, _MOMENTUM)
        settings = TrainingSettings(batch_size=batch, optimizer=optimizer, threads=threads)
        trainer = Trainer(
            network.graph,
            network.state_dict(),
            network.preprocessing,
            images,
            labels,
            settings,
        )
        ours[threads] = (trainer, [], [])
    seconds = time.perf_counter() - began
    theirs = [
        _Torch(network, images, labels, batch, threads, last, False)
        for threads in sorted({1, available_threads()})
        for last in (False, True)
    ]
    if compiled:
        theirs += [
            _Torch(network, images, labels, batch, available_threads(), last, True)
            for last in (False, True)
        ]
    for other in theirs:
        other.train(steps)
        other.times.clear()
    for trainer, _, losses in ours.values():
        losses += list(trainer.run(np.arange(len(images))))
    first, most = next(iter(ours.values())), ours[available_threads()]
    for other in theirs:
        other.train(steps)
    faster = sorted(theirs, key=lambda other: other.times[0])[:2]
    for turn in range(rounds):
        for trainer, times, losses in (first, most):
            began = time.perf_counter()
            losses += list(trainer.run(np.arange(len(images))))
            times.append((time.perf_counter() - began) / steps)
        for other in faster if turn % 2 == 0 else faster[::-1]:
            other.train(steps)
    for other in faster:
        del other.times[0]
    best = min(faster, key=lambda other: statistics.median(other.times))
    # Machines have slow spells: a round's two sides, one behind the other, are in the same.
    ratios = [b / a for a, b in zip(most[1], best.times, strict=True)]
    count = min(len(best.losses), len(most[2]))
    return {
        "network": name,
        "batch": batch,
        "bar": bar,
        "ms": 1e3 * statistics.median(most[1]),
        "spread": [1e3 * min(most[1]), 1e3 * max(most[1])],
        "one_thread_ms": 1e3 * statistics.median(first[1]),
        "torch_ms": 1e3 * statistics.median(best.times),
        "torch": best.name,
        "times": statistics.median(ratios),
        "ratios": [min(ratios), max(ratios)],
        "difference": float(np.abs(np.array(most[2][:count]) - best.losses[:count]).max()),
        "compile_s": seconds,
        "memory_mb": most[0].memory / 2**20,
        "mflop": 6 * cost(network).multiply_adds / 1e6,
    }


def line(row):
    """A row for a terminal."""
    (least, most), (low, high) = row["spread"], row["ratios"]
    return (
        f"{row['network']:10} batch {row['batch']:4}: {row['ms']:8.1f} ms "
        f"({least:.1f}-{most:.1f}; 1 thread {row['one_thread_ms']:.1f}), "
        f"PyTorch {row['torch_ms']:8.1f} ms ({row['torch']}): {row['times']:.2f} x "
        f"({low:.2f}-{high:.2f}) (bar {row['bar']}), losses within {row['difference']:.1e}, "
        f"ready in {row['compile_s']:.1f} s, {row['memory_mb']:.0f} MB"
    )


def table(rows, rounds, *, compiled=False):
    """The rows in Markdown."""
    how = "eager and compiled" if compiled else "eager"
    lines = [
        f"{os.cpu_count()} cores, PyTorch {torch.__version__} {how}; milliseconds a step, medians "
        f"(least–most) of {rounds} rounds; compile time out.",
        "",
        "| network | batch | neocog | one thread | PyTorch | times faster | bar | losses differ "
        "| GFLOP an image | GFLOP/s | memory, MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        least, most = row["spread"]
        lines.append(
            f"| {row['network']} | {row['batch']} | {row['ms']:,.1f} ({least:,.1f}–{most:,.1f}) "
            f"| {row['one_thread_ms']:,.1f} | {row['torch_ms']:,.1f}, {row['torch']} "
            f"| **{row['times']:.2f}** ({row['ratios'][0]:.2f}–{row['ratios'][1]:.2f}) "
            f"| {row['bar']} | {row['difference']:.0e} "
            f"| {row['mflop'] / 1e3:.2g} | {row['batch'] * row['mflop'] / row['ms']:.0f} "
            f"| {row['memory_mb']:.0f} |"
        )
    return "\n".join(lines)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="also torch.compile")
    parser.add_argument("--json", default=None, help="write the rows to a file")
    parser.add_argument("--write", action="store_true", help="put the table into docs/networks.md")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    rows = []
    print(f"{os.cpu_count()} cores, PyTorch {torch.__version__}")
    for name in options.networks:
        made = models.make(name), *NETWORKS[name]
        row = measure(name, *made, options.rounds, compiled=options.compiled)
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))
    if options.write:
        write_table(
            "docs/networks.md", "training", table(rows, options.rounds, compiled=options.compiled)
        )


if __name__ == "__main__":
    main()
