"""Trainings by several processes that torchrun starts, and what rank 0 writes of them.

As a program, ``together.py OUT CASE…`` trains each of some cases, and rank 0 writes losses and
weights of each to ``OUT/CASE.npz``; beside them, where the cases end in ``=``, those of one
process.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from child_processes import environment

import neocog
from neocog import EMA, SGD, AdamW, Augmentation
from neocog.data import Dataset
from neocog.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, SiLU
from neocog.settings.schedules import OneCycle

#: Seconds for torchrun to end, on a machine that does other things as well.
PATIENCE = 300

IMAGES = 43
_ALL = {
    "epochs": 3,
    "batch_size": 5,
    "accumulate": 2,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "optimizer": AdamW(0.01, eps=0.01),
    "schedule": OneCycle(),
    "averaging": EMA(0.9),
    "augmentation": Augmentation(flip="random", translate=1, mixup=0.2),
    "freeze_after": {"conv.*": 2},
    "log_every": 1,
}
_SMOOTH = {"optimizer": SGD(0.05, momentum=0.9), "epochs": 2, "log_every": 1}

#: Settings by name. "sync" normalizes batches; "all" has every kind of randomness; with "weights"
#: the last batch has one image, so that one of two processes has none.
CASES = {
    "all": _ALL,
    "weights": {**_SMOOTH, "batch_size": 6, "balance": "weight"},
    "sync": {**_SMOOTH, "batch_size": 7, "sync_batch_norm": True},
    "own": {**_SMOOTH, "batch_size": 7},
    "mixup": {**_SMOOTH, "batch_size": 9, "augmentation": Augmentation(mixup=0.4)},
    "frozen": {**_SMOOTH, "batch_size": 8, "freeze_after": {"*": 1}},
}


def network(case="all"):
    norm = {"norm": BatchNorm2d(8)} if case in ("sync", "own") else {}
    return neocog.Network(
        input_shape=(3, 8, 8),
        conv=Conv2d(3, 8, 3, padding=1),
        **norm,
        act=SiLU(),
        pool=MaxPool2d(2),
        drop=Dropout(0.3),
        flatten=Flatten(),
        fc=Linear(8 * 4 * 4, 4),
    )


def data(images=IMAGES):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)
    return Dataset(pixels, rng.integers(0, 4, images))


def settings(case):
    """What `fit` takes, with one thread."""
    how = {**CASES[case], "threads": 1}
    if case == "weights":
        how["sample_weights"] = np.linspace(0, 1, IMAGES)
    return how


def trained(case, **how):
    """The losses of all batches, and the state dict."""
    net = network(case)
    history = neocog.fit(net, data(), **{**settings(case), **how})
    return history, net.state_dict()


def torchrun(*arguments, count=2, restarts=0, cwd=None, **more):
    """Start torchrun, in a process group of its own; gives the process."""
    options = [f"--nproc-per-node={count}", f"--max-restarts={restarts}"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)],
        env=environment(PYTHONWARNINGS="", **more),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def together(folder, *cases, count=2):
    """Train cases in several processes; gives what each wrote, by name."""
    process = torchrun(__file__, folder, *cases, count=count)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said[-4000:]
    return {case: dict(np.load(Path(folder) / f"{case}.npz")) for case in cases}


def main():
    out, *cases = sys.argv[1:]
    rank = os.environ["RANK"]
    for case in cases:
        history, state = trained(case)
        if rank == "0":
            np.savez(Path(out) / f"{case}.npz", losses=history.losses, **state)
        else:  # which has rank 0's history and weights
            np.savez(Path(out) / f"{case}.{rank}.npz", losses=history.losses, **state)


if __name__ == "__main__":
    main()
