"""Trainings by several processes that torchrun starts, and what they come to.

As a program, ``together.py OUT CASE…`` trains each of some cases, and each process writes losses
and weights: rank 0 to ``OUT/CASE.npz``, rank 1 to ``OUT/CASE.1.npz``.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
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
    images = data()
    if case == "mixup":  # as a tuple, which `fit` takes, too
        images = images.images, images.labels
    history = neocog.fit(net, images, **{**settings(case), **how})
    return history, net.state_dict()


class Torchrun:
    """A torchrun under way, which the end of a ``with`` block kills with all that it has started.

    Args:
        *arguments: of torchrun, behind its options.
        count: processes.
        restarts: how often it starts them anew.
        options: more of torchrun's.
        **variables: of its environment.
        cwd: a folder of this run alone, which has its output in ``stdout.txt`` and ``stderr.txt``.
    """

    def __init__(self, *arguments, cwd, count=2, restarts=0, options=(), **variables):
        self.folder = Path(cwd)
        options = [f"--nproc-per-node={count}", f"--max-restarts={restarts}", *options]
        with self._file("stdout").open("w") as out, self._file("stderr").open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)],
                env=environment(PYTHONWARNINGS="", **variables),
                cwd=cwd,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def _file(self, stream):
        return self.folder / f"{stream}.txt"

    @property
    def out(self):
        return self._file("stdout").read_text()

    @property
    def err(self):
        return self._file("stderr").read_text()

    def send(self, number):
        """Send torchrun a signal."""
        self._process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        """Wait for its end; gives its exit code."""
        return self._process.wait(seconds)

    def wait_for(self, text, times=1):
        """Wait until it has printed something so many times."""
        until = time.monotonic() + PATIENCE
        while self.out.count(text) < times:
            assert self._process.poll() is None, self.err[-4000:]
            assert time.monotonic() < until, f"{self.out}\n{self.err}"
            time.sleep(0.05)

    @property
    def number(self):
        """Of torchrun's process."""
        return self._process.pid

    def ranks(self):
        """The processes that work in the folder: the rank of each by its number."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                said = (path / "environ").read_bytes().split(b"\0")
                ranks = [int(line[5:]) for line in said if line.startswith(b"RANK=")]
                if ranks and (path / "cwd").readlink() == self.folder:
                    found[int(path.name)] = ranks[0]
            except OSError:  # it has ended, or is another user's
                continue
        return found

    def kill(self, rank):
        """Kill the process of this rank, as soon as there is one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for number in [number for number, its in self.ranks().items() if its == rank]:
                os.kill(number, signal.SIGKILL)
                return
            time.sleep(0.02)
        raise AssertionError(f"There is no rank {rank}: {self.err[-4000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        for number in self.ranks():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def together(folder, *cases, count=2):
    """Train cases in several processes; gives what each wrote, by name."""
    with Torchrun(__file__, folder, *cases, count=count, cwd=folder) as run:
        assert run.wait() == 0, run.err[-4000:]
    return {case: dict(np.load(Path(folder) / f"{case}.npz")) for case in cases}


def main():
    out, *cases = sys.argv[1:]
    rank = os.environ["RANK"]
    for case in cases:
        history, state = trained(case)
        name = case if rank == "0" else f"{case}.{rank}"
        np.savez(Path(out) / f"{name}.npz", losses=history.losses, **state)


if __name__ == "__main__":
    main()
