"""What recipes reach on CIFAR-10, and in what time, beside the time PyTorch would take.

    python benchmarks/recipes.py [minute five-minutes best] [--seeds 3] [--write]

Each run is the command as a user gives it, in a process of its own and with nothing compiled yet;
its time is the whole command's. PyTorch's time is that of some steps of the same network on batches
of the same size in its better layout, times the recipe's steps: without loading, augmentation and
evaluation, so less than it would take.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from neocog import models
from neocog.engine import available_threads
from neocog.torch_engine.module import to_torch

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

COMMANDS = {
    "minute": ["--recipe", "minute"],
    "five-minutes": ["--recipe", "best", "--width", "0.5", "--epochs", "6"],
    "best": ["--recipe", "best"],
}
_IMAGES = 50_000


def train(arguments, seed, folder):
    """Seconds of the command, and its run.json."""
    environment = {**os.environ, "NEOCOG_CACHE_DIR": str(folder / f"code-{seed}")}
    out = folder / f"run-{seed}"
    command = ["train", "cifar10", *arguments, "--seed", str(seed), "--out", str(out)]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "neocog", *command],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began, json.loads((out / "run.json").read_text())


def seconds_by_torch(run, steps=3):
    """What the recipe's steps take PyTorch."""
    settings = run["settings"]
    network = models.make(settings["model"], 10, width=settings["width"])
    network.initialize(0)
    batch = settings["batch_size"]
    torch.set_num_threads(available_threads())
    torch.set_flush_denormal(True)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(batch, *network.input_shape)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 10, batch))
    found = []
    for form in (torch.contiguous_format, torch.channels_last):
        module = to_torch(network).to(memory_format=form)
        inputs = x.contiguous(memory_format=form)
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
        times = []
        for _ in range(1 + steps):
            began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module(inputs), y).backward()
            optimizer.step()
            times.append(time.perf_counter() - began)
        found.append(statistics.median(times[1:]))
    return min(found) * math.ceil(settings["epochs"] * _IMAGES / batch)


def main():
    """Run them and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(COMMANDS), help=", ".join(COMMANDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/networks.md")
    options = parser.parse_args()
    lines = [
        f"{os.cpu_count()} cores; test accuracy in %, mean (least–most) of {options.seeds} seeds; "
        "seconds of the whole command, compiling and evaluation in.",
        "",
        "| `neocog train cifar10 …` | accuracy | seconds | PyTorch's steps, seconds |",
        "|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for name in options.recipes:
        arguments = COMMANDS[name]
        with tempfile.TemporaryDirectory() as folder:
            runs = [train(arguments, seed, Path(folder)) for seed in range(options.seeds)]
        reached = [100 * run["test"]["accuracy"] for _, run in runs]
        seconds = [spent for spent, _ in runs]
        lines.append(
            f"| `{' '.join(arguments)}` | **{statistics.mean(reached):.2f}** ({min(reached):.2f}–"
            f"{max(reached):.2f}) | {statistics.mean(seconds):.0f} ({min(seconds):.0f}–"
            f"{max(seconds):.0f}) | {seconds_by_torch(runs[0][1]):,.0f} |"
        )
        print(lines[-1], flush=True)
    if options.write:
        write_table("docs/networks.md", "recipes", "\n".join(lines))


if __name__ == "__main__":
    main()
