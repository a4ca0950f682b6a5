"""Fine-tuning on the solar cells of elpv-dataset: accuracy, time and memory, splits by splits.

    pip install 'neocog[pretrained]' elpv-dataset
    python benchmarks/fine_tuning.py [--depth head|blocks|all|auto] [--splits 5]
        [--place blocks.4.2.add] [--views flips] [--passes 8] [--lr 0.0004] [--minutes 4]
        [--threads N] [--warm]

2,624 gray photographs of 300 × 300; three quarters of each class are trained on. A cell counts as
defective where its probability is above ½, and functional else. Time is of everything: decoding,
features, training, and predictions of the rest; the first split also loads kernels. Each split
begins with an empty cache of features, unless `--warm`.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

import neocog
from neocog.kernels.compiler import kernel_cache
from neocog.settings.recipe import DEPTHS, VIEW_SETS


def pictures_of(folder):
    """The files, and whether each cell is defective."""
    rows = [line.split() for line in (folder / "labels.csv").read_text().splitlines()]
    files = [folder / row[0] for row in rows]
    return files, np.array([float(row[1]) > 0.5 for row in rows], np.int64)


def split_of(labels, seed):
    """The indices that are trained on, and the others: a quarter of each class."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), np.bool_)
    for one in (0, 1):
        places = np.flatnonzero(labels == one)
        held_out[rng.permutation(places)[: len(places) // 4]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def macro_f1(found, labels):
    """The mean over the classes of 2 · hits / (said + there)."""
    return np.mean(
        [
            2 * ((found == k) & (labels == k)).sum() / ((found == k).sum() + (labels == k).sum())
            for k in (0, 1)
        ]
    )


def decoded(network, files, labels):
    """The pictures in the network's shape, in color."""
    data = neocog.Data.from_files(
        files,
        labels,
        classes=("functional", "defective"),
        validation=0,
        size=network.input_shape[1],
        channels=3,
        resize=neocog.Resize("stretch", "bicubic"),
    )
    return data.train


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", default="head", choices=DEPTHS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--place", default=None)
    parser.add_argument("--views", default="flips", choices=VIEW_SETS)
    parser.add_argument("--passes", type=float, default=None)
    parser.add_argument("--lr", type=float, default=None)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--warm", action="store_true")
    options = parser.parse_args()
    folder = Path(str(distribution("elpv-dataset").locate_file("elpv_dataset/data")))
    changes = {"threads": options.threads}
    if options.passes is not None:
        changes["epochs"] = options.passes / len(VIEW_SETS[options.views])
    if options.lr is not None:
        changes["lr"] = options.lr
    rows = []
    kernel_cache.is_open()  # kernels stay where they are
    for seed in range(options.splits):
        with tempfile.TemporaryDirectory() as empty:
            if not options.warm:
                os.environ["NEOCOG_CACHE_DIR"] = empty
            began = time.perf_counter()
            network = neocog.load_pretrained(options.model)
            files, labels = pictures_of(folder)
            train, test = split_of(labels, seed)
            data = decoded(network, [files[n] for n in train], labels[train])
            held_out = decoded(network, [files[n] for n in test], labels[test])
            found = neocog.fine_tune(
                network,
                data,
                options.depth,
                views=options.views,
                place=options.place,
                minutes=options.minutes,
                callback=neocog.Callback(),
                on_choice=lambda choice: print(choice, file=sys.stderr),
                **changes,
            )
            answers = found.network.predict(held_out.images, threads=options.threads)
            seconds = time.perf_counter() - began
            right = (answers == held_out.labels).mean()
            rows.append((right, macro_f1(answers, held_out.labels), seconds))
            print(
                f"split {seed}: {100 * right:.2f} %, macro F1 {100 * rows[-1][1]:.2f} %, "
                f"{seconds:.1f} s",
                flush=True,
            )
    accuracy, f1, seconds = np.mean(rows, axis=0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"mean of {len(rows)}: {100 * accuracy:.2f} %, macro F1 {100 * f1:.2f} %, {seconds:.1f} s; "
        f"most memory {memory:.2f} GiB"
    )


if __name__ == "__main__":
    main()
