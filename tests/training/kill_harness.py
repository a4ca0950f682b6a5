"""Trainings that are killed by SIGKILL again and again, and go on to the bits of one that was not.

    python tests/training/kill_harness.py KILLS [SEED]

A process that has everything loaded and compiled forks a child for each part of a run. Three in
ten kill themselves at one of the calls that change the disk, inside a save; the others are killed
from outside at a random moment. Every run is finished in the end, and compared with the same run
that was never stopped. Gives a line of JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

import neocog
from neocog import Augmentation
from neocog.training.checkpoints import Checkpoints

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from faults import Faulty
from run_parts import data, network

# Between them: augmentation, dropout, EMA, Lookahead, Muon, AdamW, accumulation, frozen groups.
RUNS = {
    "augmented": {
        "augmentation": Augmentation(flip="random", translate=1, cutout=2, mixup=0.4),
        "optimizer": "adamw",
        "lr": 0.01,
        "ema": 0.9,
        "accumulate": 3,
        "freeze_after": {"conv.*": 2},
    },
    "muon": {
        "optimizer": "muon",
        "averaging": "lookahead",
        "balance": "sample",
        "label_smoothing": 0.1,
        "freeze_after": {"fc.bias": 1},
    },
    "one-cycle": {
        "optimizer": neocog.SGD(0.05, momentum=0.9, groups=(neocog.Group("conv.*", frozen=True),)),
        "schedule": "one-cycle",
        "clip_norm": 1.0,
        "balance": "weight",
        "monitor": "validation_accuracy",
    },
}
COMMON = {"epochs": 3, "batch_size": 4, "log_every": 5, "checkpoint_steps": 2, "seed": 3}
# Kills of a run before it is let go to its end.
KILLS_OF_RUN = 5
IMAGES = 46
# A save changes the disk some eight times, and there are some thirty saves.
MOST_CALLS = 120


def train(name: str, folder: Path, threads: int) -> None:
    """The run from its beginning, or from where it was killed."""
    settings = {**COMMON, **RUNS[name], "threads": threads}
    if (folder / "run.json").exists() and Checkpoints(folder).saved():
        where = {"resume": folder}
    else:  # killed before there was anything
        shutil.rmtree(folder, ignore_errors=True)
        where = {"folder": folder}
    weights = np.linspace(0.5, 2, IMAGES) if name == "muon" else None
    of_run = {"validation": data(1, IMAGES), "sample_weights": weights, **where, **settings}
    try:
        neocog.fit(network(), data(0, IMAGES), **of_run)
    except neocog.NeocogError as error:
        if "is finished" not in str(error):  # it was killed after all was done
            raise


class Killing(Faulty):
    """Kills its own process at one of the calls that change the disk."""

    def __init__(self, at: int) -> None:
        super().__init__(self, at)

    def setattr(self, where: object, name: str, value: object) -> None:
        setattr(where, name, value)

    def tell(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def child(name: str, folder: Path, threads: int, at: int | None) -> int:
    """Train in a process of its own, which kills itself at its `at`-th call; gives its number."""
    process = os.fork()
    if process:
        return process
    code = 3
    try:
        if at is not None:
            Killing(at)
        train(name, folder, threads)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def end_of(process: int) -> int:
    """Wait for a child; gives 0 where it has finished, and −9 where it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"A child ended with {code}.")
    return code


def outcome(folder: Path) -> dict[str, object]:
    """All that a finished run leaves behind that is not a time."""
    info = json.loads((folder / "run.json").read_text())
    newest = Checkpoints(folder).newest()
    history = dict(newest.checkpoint.values["history"])
    logged = [{**entry, "seconds": 0} for entry in history["logged"]]
    epochs = [{**entry, "seconds": 0} for entry in history["epochs"]]
    rows = [row.split(",")[:3] for row in (folder / "history.csv").read_text().split()]
    return {
        "status": info["status"],
        "damaged": newest.damaged,
        "arrays": {
            key: (str(value.dtype), value.shape, value.tobytes())
            for key, value in newest.checkpoint.arrays.items()
        },
        "logged": logged,
        "epochs": epochs,
        "steps": (newest.steps, history["steps"], info["steps"], len(info["epochs"])),
        "rows": rows,
        "models": {
            model: {k: v.tobytes() for k, v in neocog.load(folder / model).state_dict().items()}
            for model in ("best.safetensors", "last.safetensors")
        },
        # One more is there where a kill came before it was removed, and nothing was saved since.
        "checkpoints": [path.name for _steps, path in Checkpoints(folder).saved()][:3],
        "files": sorted(
            path.name for path in folder.iterdir() if not path.name.startswith("events.")
        ),
    }


def check_same(name: str, found: dict[str, object], wanted: dict[str, object]) -> None:
    for key, value in wanted.items():
        if found[key] != value:
            raise SystemExit(
                f"{name}: {key} differs:\n{str(found[key])[:2000]}\n{str(value)[:2000]}"
            )


def kill_in_run(
    name: str, folder: Path, kills: int, inside: int, seconds: float, rng: random.Random
) -> tuple[int, int]:
    """Kill a run so many times, of these inside a save; gives how many kills of each there were."""
    done, within = 0, 0
    for number in range(kills):
        at = rng.randint(1, MOST_CALLS) if number < inside else None
        process = child(name, folder, rng.choice((1, 2)), at)
        if at is None:
            time.sleep(rng.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
        if end_of(process) == 0:
            break
        done, within = done + 1, within + (at is not None)
    else:
        end_of(child(name, folder, rng.choice((1, 2)), None))
    return done, within


def main(kills: int, seed: int) -> dict[str, int]:
    rng = random.Random(seed)
    done = within = runs = 0
    with tempfile.TemporaryDirectory() as place:
        wanted, seconds = {}, {}
        for name in RUNS:
            train(name, Path(place, name), 2)  # in this process, so that all is loaded for the rest
            wanted[name] = outcome(Path(place, name))
            began = time.monotonic()
            train(name, Path(place, f"{name}-again"), 1)
            seconds[name] = time.monotonic() - began
            check_same(name, outcome(Path(place, f"{name}-again")), wanted[name])
        while done < kills:
            name = list(RUNS)[runs % len(RUNS)]
            folder = Path(place, f"run{runs}")
            count = min(KILLS_OF_RUN, kills - done)
            inside = min(count, max(0, -(-3 * (done + count) // 10) - within))
            more, more_within = kill_in_run(name, folder, count, inside, seconds[name], rng)
            done, within, runs = done + more, within + more_within, runs + 1
            check_same(f"{name} (run {runs})", outcome(folder), wanted[name])
            shutil.rmtree(folder)
    return {"kills": done, "inside": within, "runs": runs}


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.stdout.write(json.dumps(main(given[0], given[1] if len(given) > 1 else 0)) + "\n")
