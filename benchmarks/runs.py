"""What keeping a run costs: checkpoints while it trains, and going on from one.

    python benchmarks/runs.py [--rounds 5] [--write]

The note's run (five epochs in batches of 4, on the built-in shapes) is trained with and without a
folder, alternately; its weights must come out the same. On a shared machine the difference of their
wall times is noise, so what the folder costs is timed within the run: checkpoints, one before the
first step and one after each epoch, and all else that is written: the models, the history, the log.
Everything is flushed to disk. Then resnet18: seconds from the start of the process
to the end of the first step, of a run that begins and of one that goes on from a checkpoint,
alternately, with compiled kernels on disk.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import neocog
from neocog.engine import available_threads
from neocog.training.checkpoints import Checkpoints
from neocog.training.run import TrainingRun
from neocog.training.run_folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

# Trains resnet18 until the first step is done; prints the seconds since the process began.
_FIRST_STEP = """
import os, sys, time
began = time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME)
    - int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK"))
import numpy as np
import neocog

class First(neocog.Callback):
    pause_every = 1
    told = False
    def paused(self, history):
        if self.told:
            return
        self.told = True
        print(time.time() - began, flush=True)
        if sys.argv[2] == "resume":
            os._exit(0)
        raise KeyboardInterrupt

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (1024, 32, 32, 3), np.uint8)
labels = rng.integers(0, 10, 1024)
folder, resume = sys.argv[1], sys.argv[2] == "resume"
network = neocog.models.make("resnet18")
place = {"resume": folder} if resume else {"folder": folder}
neocog.fit(network, (images, labels), epochs=1, batch_size=64,
    optimizer=neocog.SGD(0.02, momentum=0.9), callback=First(), **place)
"""


def timed(owner, name, times, label):
    """Have a method's time added up under a label."""
    method = getattr(owner, name)

    def wrapped(*arguments, **named):
        began = time.perf_counter()
        try:
            return method(*arguments, **named)
        finally:
            times[label] = times.get(label, 0.0) + time.perf_counter() - began

    setattr(owner, name, wrapped)


def note(data, folder):
    """Seconds of the note's run, compiling out, and its weights."""
    network = neocog.models.simple_cnn()
    place = {} if folder is None else {"folder": folder}
    began = time.perf_counter()
    history = neocog.fit(network, data.train, callback=neocog.Callback(), **place)
    seconds = time.perf_counter() - began - history.compile_seconds
    return seconds, network.state_dict()


def checkpoint_cost(rounds):
    """Seconds of the rounds without and with a folder, and the parts that writing had of these."""
    times = {}
    timed(TrainingRun, "state", times, "checkpoints")
    timed(Checkpoints, "save", times, "checkpoints")
    for name in ("save", "note_progress", "log"):
        timed(RunFolder, name, times, "else")
    data = neocog.load_data("shapes")
    note(data, None)
    without, kept, parts = [], [], []
    for _ in range(rounds):
        seconds, plain = note(data, None)
        without.append(seconds)
        times.clear()
        with tempfile.TemporaryDirectory() as scratch:
            seconds, same = note(data, f"{scratch}/run")
        kept.append(seconds)
        parts.append((times["checkpoints"] / seconds, times["else"] / seconds))
        for name, value in plain.items():
            np.testing.assert_array_equal(value, same[name])
    return without, kept, parts


def first_steps(rounds):
    """Seconds to the first step of resnet18, begun and resumed."""
    begun, resumed = [], []
    for turn in range(rounds + 1):
        with tempfile.TemporaryDirectory() as scratch:
            for mode, found in (("begin", begun), ("resume", resumed)):
                done = subprocess.run(
                    [sys.executable, "-c", _FIRST_STEP, f"{scratch}/run", mode],
                    check=True,
                    capture_output=True,
                    text=True,
                    env={**os.environ},
                )
                if turn:  # the first compiles
                    found.append(float(done.stdout.split()[0]))
    return begun, resumed


def shown(values):
    """Median (least–most) in seconds."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f}–{max(values):.2f})"


def percent(parts):
    """Median (least–most) in percent."""
    return f"{100 * statistics.median(parts):.1f} % ({100 * min(parts):.1f}–{100 * max(parts):.1f})"


def main():
    """Measure, print, and write the table if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/runs.md")
    options = parser.parse_args()
    without, kept, parts = checkpoint_cost(options.rounds)
    begun, resumed = first_steps(max(1, options.rounds // 2))
    checkpoints, others = zip(*parts, strict=True)
    later = statistics.median(resumed) - statistics.median(begun)
    text = (
        f"{platform.processor() or platform.machine()}, {available_threads()} threads, neocog "
        f"{neocog.__version__}; medians (least–most), compiled kernels on disk; the weights of the "
        "runs with and without a folder are the same.\n\n"
        "| | measured | bar |\n|---|---|---|\n"
        f"| the note's run without a folder | {shown(without)} | |\n"
        f"| the same with one | {shown(kept)} | |\n"
        f"| of this, checkpoints | {percent(checkpoints)} | 2 % |\n"
        f"| and all else that is written | {percent(others)} | |\n"
        f"| resnet18, process to first step, begun | {shown(begun)} | |\n"
        f"| the same, resumed | {shown(resumed)} | |\n"
        f"| later by | {later:.2f} s | 3 s |\n"
    )
    print(text)
    if options.write:
        write_table("docs/runs.md", "runs", text)


if __name__ == "__main__":
    main()
