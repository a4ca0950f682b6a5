"""Images a second that one and two processes train, started by torchrun, with a thread each.

    python benchmarks/distributed.py [NETWORK …] [--rounds 5] [--write]

One process and two train the same network on the same images in the same order, in turns; the batch
is the same, of which each of two takes a half. The first epoch, in which PyTorch loads and places
things, is not counted. Where batches are not normalized, or are over all processes, the losses must
be the same.

Beside the rates stands the processor time that both take together for what one does alone: what two
have to do more. What else is missing to twice the rate is waiting for each other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import neocog
from neocog import SGD, Callback, models
from neocog.data import Dataset

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

# Network, images a batch, batches an epoch, whether batches are normalized over all processes.
CASES = {
    "simple-cnn": ("simple-cnn", 256, 20, False),
    "resnet8": ("resnet8", 128, 10, False),
    "resnet8, synchronized": ("resnet8", 128, 10, True),
    "resnet18": ("resnet18", 64, 3, False),
}
_EPOCHS = 4
# Of a mean loss: sums are added in another order, and a network passes a rounding on.
_NEAR = 2e-3


class Watch(Callback):
    """The processor's seconds in the epochs that count."""

    def __init__(self):
        self.used = 0.0

    def epoch_done(self, epoch, history):
        """Read the clock."""
        now = time.process_time()
        if epoch.epoch == 1:
            self._began = now
        self.used = now - self._began


def child(case, out):
    """Train in one of the processes; each writes what it has seen."""
    name, batch, batches, synchronized = CASES[case]
    network = models.make(name, 10)
    rng = np.random.default_rng(0)
    shape = network.input_shape
    images = rng.integers(0, 256, (batch * batches, *shape[1:], shape[0]), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    watch = Watch()
    history = neocog.fit(
        network,
        Dataset(images, labels),
        engine="torch",
        device="cpu",
        threads=1,
        epochs=_EPOCHS,
        batch_size=batch,
        optimizer=SGD(0.01, momentum=0.9),
        sync_batch_norm=synchronized,
        log_every=batches,
        callback=watch,
    )
    counted = history.epochs[1:]
    found = {
        "rate": len(images) * len(counted) / sum(epoch.seconds for epoch in counted),
        "losses": [epoch.loss for epoch in history.epochs],
        "used": watch.used,
    }
    Path(out, f"{os.environ['RANK']}.json").write_text(json.dumps(found))


def run(case, count):
    """What each of some processes has seen."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}"]
        subprocess.run(
            [*command, __file__, "--child", folder, case],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )
        return [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(count)]


def check_same(case, one, two):
    """Both have computed the same, where they are meant to."""
    name, *_, synchronized = CASES[case]
    if name != "simple-cnn" and not synchronized:  # each normalizes its part of a batch
        return
    difference = np.abs(np.subtract(one["losses"], two["losses"])).max()
    if difference > _NEAR:
        raise SystemExit(f"{case}: the losses differ by {difference:.1e}.")


def measured(case, rounds):
    """A row of the table."""
    ones, twos = [], []
    for _ in range(rounds):
        ones.append(run(case, 1)[0])
        twos.append(run(case, 2))
        check_same(case, ones[-1], twos[-1][0])
    one = statistics.median(found["rate"] for found in ones)
    two = statistics.median(found[0]["rate"] for found in twos)
    ratios = sorted(b[0]["rate"] / a["rate"] for a, b in zip(ones, twos, strict=True))
    more = statistics.median(2 * b[0]["used"] / a["used"] for a, b in zip(ones, twos, strict=True))
    return (
        f"| {case} | {CASES[case][1]} | {one:,.0f} | {two:,.0f} | **{two / one:.2f}** | "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f} | {more:.2f} |"
    )


def main():
    """Print the table, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="NETWORK", help=f"of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/distributed.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.cases[0], asked.child)
        return
    rows = [
        "| network | batch | one process | two | ratio | of each round | processor time |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(rows), flush=True)
    for case in asked.cases or CASES:
        rows.append(measured(case, asked.rounds))
        print(rows[-1], flush=True)
    if asked.write:
        write_table("docs/distributed.md", "processes", "\n".join(rows))


if __name__ == "__main__":
    main()
