"""The note's script and network: neocog beside PyTorch. See README.md in this folder."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from tables import write_table
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

import neocog
from neocog.benchmark import Measured, Row, benchmark
from neocog.engine import Trainer, available_threads
from neocog.settings.training import TrainingSettings
from neocog.training.run_folder import machine


class PictureDataset(TorchDataset):
    """Images with the script's transforms, done for each image when it is asked for."""

    def __init__(self, data: neocog.Dataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """To a PIL image, to a float tensor 0 to 1, to (x − 0.5) / 0.5: torchvision's steps."""
        picture = Image.fromarray(self.data.images[index])
        x = torch.from_numpy(np.array(picture, copy=True)).permute(2, 0, 1).contiguous()
        x = x.to(torch.get_default_dtype()).div(255)
        mean, std = torch.tensor([0.5] * 3), torch.tensor([0.5] * 3)
        return x.sub_(mean[:, None, None]).div_(std[:, None, None]), int(self.data.labels[index])


def script(data: neocog.Dataset, steps: int) -> tuple[float, list[float]]:
    """Seconds a step of the note's script, and the losses, from `torch.manual_seed(0)`."""
    torch.set_num_threads(available_threads())
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 16 * 16, 10),
    )
    loader = DataLoader(PictureDataset(data), batch_size=4, shuffle=True, num_workers=2)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    losses: list[float] = []
    warm_up = 50
    began = 0.0
    for step, (x, y) in enumerate(loader):
        if step == warm_up:
            began = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step == steps + warm_up:
            break
    return (time.perf_counter() - began) / steps, losses


def script_row(data: neocog.Dataset, rounds: int, steps: int) -> Row:
    """The script beside `neocog.fit`, both from the same seed."""
    ours, theirs, expected = [], [], []
    history = None
    for _ in range(rounds):
        network = neocog.models.simple_cnn()
        history = neocog.fit(network, data, epochs=1, batch_size=4, seed=0, log_every=1)
        ours.append(history.seconds / history.steps)
        seconds, expected = script(data, steps)
        theirs.append(seconds)
    difference = float(np.abs(np.array(history.losses[: len(expected)]) - expected).max())
    if not difference < 2e-3:
        raise SystemExit(f"The script's losses differ by {difference}.")
    two = available_threads()
    name = "the script, DataLoader of 2 workers"
    return Row(name, "step", Measured.of(ours), Measured.of(theirs), two, difference)


def step_parts(data: neocog.Dataset) -> list[tuple[str, float]]:
    """Microseconds of each kernel in one step of batch 4, each alone on one core, warm."""
    network = neocog.models.simple_cnn()
    network.initialize(0)
    count = 2000
    trainer = Trainer(
        network.graph,
        network.state_dict(),
        network.preprocessing,
        data.images[:count],
        data.labels[:count],
        TrainingSettings(batch_size=4, optimizer=neocog.SGD(0.001, momentum=0.9), threads=1),
    )
    trainer.run(np.arange(count))
    return trainer.profile()


def command(data: str, folder: Path, *extra: str, cache: Path) -> dict[str, Any]:
    """Run `neocog train` as a user would: seconds to the first line, peak memory, and run.json."""
    out = folder / f"run-{len(list(folder.iterdir()))}"
    words = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        _MEASURED,
        "train",
        data,
        "--out",
        str(out),
    ]
    began = time.time()
    done = subprocess.run(
        [*words, *extra],
        env={**os.environ, "NEOCOG_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    info = json.loads((out / "run.json").read_text())
    peak, first = re.findall(r"peak (\d+) first ([\d.]+)", done.stderr)[0]
    return {"peak_mb": int(peak) / 1024, "first_step": float(first) - began, **info}


# The command with two things added: when the program was ready, and the most memory it held.
_MEASURED = r"""
import re, sys, time
from neocog.cli import main
from neocog.cli.display import Display
ready = Display.ready
def noted(self, history):
    global first
    first = time.time()
    ready(self, history)
Display.ready = noted
code = main(sys.argv[1:])
# Not getrusage: its maximum outlives exec, and is then that of the process which started this one.
peak = re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]
print(f"peak {peak} first {first}", file=sys.stderr)
sys.exit(code)
"""


def whole_command() -> list[tuple[str, str, str]]:
    """What a user waits for: (what, measured, bar)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = folder / "results"
        results.mkdir()
        cache = folder / "cache"
        first = command("cifar10", results, "--epochs", "1", cache=cache)
        later = [command("cifar10", results, "--epochs", "1", cache=cache) for _ in range(3)]
        full = command("cifar10", results, cache=cache)
    began = time.perf_counter()
    data = neocog.load_data("cifar10")
    loading = time.perf_counter() - began
    network = neocog.models.simple_cnn()
    network.initialize(0)
    neocog.evaluate(network, data.test)
    warm = median(neocog.evaluate(network, data.test).seconds for _ in range(7))
    seconds = full["timings"]["training_seconds"]
    return [
        ("compiling, first run ever", f"{first['timings']['compile_seconds']:.1f} s", "15 s"),
        ("command to first step, later runs", _spread(later, "first_step", "s"), "1.5 s"),
        ("peak memory of the five epochs", f"{full['peak_mb']:.0f} MB", "700 MB"),
        ("the five epochs' 62,500 steps", f"{seconds:.2f} s", ""),
        ("loading CIFAR-10's 60,000 images", f"{loading:.2f} s", "1 s"),
        ("evaluating 10,000 images, warm", f"{warm:.3f} s", "0.2 s"),
    ]


def _spread(runs: list[dict[str, Any]], key: str, unit: str) -> str:
    values = sorted(run[key] for run in runs)
    return f"{median(values):.2f} {unit} ({values[0]:.2f}–{values[-1]:.2f})"


def _us(m: Measured) -> str:
    return f"{m.median * 1e6:,.1f} ({m.least * 1e6:,.1f}–{m.most * 1e6:,.1f})"


def main() -> None:
    """Measure, print, and with --write put the tables into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the README")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    data = neocog.load_data("cifar10").train
    rows = [script_row(data, min(3, options.rounds), 300)]
    rows += benchmark(data, rounds=options.rounds)
    where = (
        f"{machine()['processor']}, {available_threads()} cores, {machine()['vector_floats']} "
        f"floats a vector; neocog {neocog.__version__} with {available_threads()} threads, Numba "
        f"{version('numba')}, PyTorch {torch.__version__} with its better number of threads; "
        f"microseconds, median (least–most) of {options.rounds} rounds; compile time out."
    )
    lines = [where, "", "| | neocog | PyTorch | times faster | largest difference |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        lines.append(
            f"| {row.name} | {_us(row.neocog)} | {_us(row.torch)}, {row.torch_threads} threads "
            f"| **{row.ratio:.1f}** | {row.difference:.1e} |"
        )
    speed = "\n".join(lines)
    parts = step_parts(data)
    total = sum(us for _, us in parts)
    lines = ["| kernel | µs | share |", "|---|---|---|"]
    lines += [
        f"| {name} | {us:.2f} | {100 * us / total:.0f} % |" for name, us in parts if us > 0.05
    ]
    where_it_goes = "\n".join(lines)
    lines = ["| | measured | bar |", "|---|---|---|"]
    lines += [f"| {what} | {measured} | {bar} |" for what, measured, bar in whole_command()]
    whole = "\n".join(lines)
    print(f"{speed}\n\n{where_it_goes}\n\n{whole}")
    if options.write:
        write_table("README.md", "speed", speed)
        write_table("README.md", "command", whole)
        write_table("ARCHITECTURE.md", "step", where_it_goes)


if __name__ == "__main__":
    main()
