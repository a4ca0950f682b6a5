"""What fitting the last layer costs, for many pictures: time and memory by part.

    python benchmarks/head.py [--pictures 50000] [--views 2] [--features 1280] [--classes 10]
        [--loss cross-entropy|binary-cross-entropy|mse] [--all] [--seed 0]

The features are made up: class means and noise of few dimensions, more noise, and none below zero
or above six, as of pooled ReLU6. Nothing is read, and the pictures' own cost is that of
`benchmarks/features.py`. Processor time is of all threads. The last lines say how far the fit is
from its optimum, by the gradient in float64 at W and b of features as they are, and how good the
layer is in cross-validation. `--all` chooses the strength on all pictures instead of some.
"""

import argparse
import resource
import time

import numpy as np

from neocog.transfer import head as head_module
from neocog.transfer.axes import Axes
from neocog.transfer.head import fit_head
from neocog.transfer.large_arrays import blocks_of, large_array

LOSSES = ("cross-entropy", "binary-cross-entropy", "mse")


def made_up(args):
    """Features of the views, float32, and what is to be learned of the pictures."""
    rng = np.random.default_rng(args.seed)
    labels = np.arange(args.pictures) % args.classes
    directions = rng.normal(size=(64, args.features)) * np.geomspace(1, 0.1, 64)[:, None]
    directions = directions.astype(np.float32)
    means = 0.35 * rng.normal(size=(args.classes, 64)).astype(np.float32)
    views = []
    for _ in range(args.views):
        view = large_array((args.pictures, args.features), np.float32, "The features")
        for rows, block in blocks_of(view, 1000):
            some = labels[rows]
            noise = rng.standard_normal((len(some), 64), np.float32)
            block[:] = (means[some] + noise) @ directions - 1
            block += rng.standard_normal(block.shape, np.float32)
            np.clip(block, 0, 6, out=block)
        views.append(view)
    if args.loss == "cross-entropy":
        return views, labels
    of_classes = labels[:, None] == np.arange(args.classes)
    return views, of_classes.astype(np.float32)


def gradient(axes, found, labels, loss, views):
    """Its norm, in parts of that at W = 0 and b = 0."""
    weight = (found.weight * axes.deviation) @ axes.turn
    bias = found.bias + found.weight.astype(np.float64) @ axes.mean
    targets = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(bias))
    targets = np.tile(targets, (views, 1)).astype(np.float64)
    sizes = []
    for w, b in ((weight, bias), (0 * weight, 0 * bias)):
        total = np.zeros((len(bias), weight.shape[1] + 1))
        for rows, block in blocks_of(axes.rows, 2048):
            x = block.astype(np.float64)
            z = x @ w.T + b
            if loss == "cross-entropy":
                z = np.exp(z - z.max(axis=1, keepdims=True))
                z /= z.sum(axis=1, keepdims=True)
            elif loss == "binary-cross-entropy":
                z = 1 / (1 + np.exp(-z))
            error = found.strength / views * (z - targets[rows])
            total += np.column_stack([error.T @ x, error.sum(axis=0)])
        total[:, :-1] += w
        sizes.append(np.linalg.norm(total))
    return sizes[0] / sizes[1]


class Parts:
    """Prints what each part took, as progress tells of its beginning."""

    def __init__(self):
        self.what, self.wall, self.processor = "axes", time.perf_counter(), time.process_time()
        self.base = peak()

    def __call__(self, what, done, total):
        """Called as progress."""
        if what != self.what:
            self.end(what)
        self.done = done

    def end(self, following):
        """Print the part that ended."""
        wall, processor = time.perf_counter(), time.process_time()
        took = f"{wall - self.wall:7.1f} s, of processors {processor - self.processor:7.1f} s"
        above = f"peak {peak() - self.base:.0f} MiB above the features"
        print(f"{self.what:<10} {took}, {above}", flush=True)
        self.what, self.wall, self.processor = following, wall, processor


def peak():
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--loss", choices=LOSSES, default=LOSSES[0])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.all:
        head_module._MOST_ROWS = args.pictures * args.views
    views, labels = made_up(args)
    parts = Parts()
    began, before = time.perf_counter(), time.process_time()
    found = fit_head(views, labels, args.classes, args.loss, args.seed, parts)
    parts.end("")
    wall, processor = time.perf_counter() - began, time.process_time() - before
    print(f"in all     {wall:7.1f} s, of processors {processor:7.1f} s")
    losses = ", ".join(f"{c:.2g}: {loss:.4f}" for c, loss in found.losses.items())
    print(f"Strength {found.strength:.3g}, by {found.tried:,} pictures; losses: {losses}")
    part = gradient(Axes.of(views), found, labels, args.loss, args.views)
    print(f"Gradient: {part:.1e} of the first")
    if labels.ndim == 1:
        print(f"In cross-validation {100 * (found.scores.argmax(axis=1) == labels).mean():.2f} %")


if __name__ == "__main__":
    main()
