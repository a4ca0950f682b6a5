"""Vectors of 4, 8 and 16 floats, on any machine.

The width is fixed when the kernels are imported, so another width needs another process.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from child_processes import environment
from engines import parts_of

from neocog import SGD
from neocog.engine.trainer import Trainer
from neocog.kernels.codegen.vector_types import LANES
from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.network import Network
from neocog.settings.training import TrainingSettings

HERE = Path(__file__).parent
FILES = sorted((HERE / "kernels").glob("test_*.py"))
# Each process spends a second on importing Numba, so several files share one.
NAMES = ("first", "second", "third", "fourth")
PARTS = {name: FILES[n::4] for n, name in enumerate(NAMES)}
TORCH = importlib.util.find_spec("torch") is not None
FIRST, SECOND = (width for width in (4, 8, 16) if width != LANES)
# Either compiles nearly all kernels anew, of which a plain pytest does a part.
ALL = [
    pytest.param(
        width, part, marks=() if (width, part) == (FIRST, "first") else pytest.mark.thorough
    )
    for width in (FIRST, SECOND)
    for part in NAMES
]

# Sums in another order: each is off by no more than float32's rounding, of numbers whose signs
# differ, a few hundred at a time; eight steps pass that on.
SCORES = 2e-6
EIGHT_STEPS = 2e-5


def results():
    """Scores, and losses, gradients and parameters after eight steps of a network of odd sizes."""
    network = Network(
        input_shape=(3, 11, 9),
        c1=Conv2d(3, 8, 3, padding=1),
        r1=ReLU(),
        p1=MaxPool2d(),
        c2=Conv2d(8, 12, (3, 2), padding=2),
        r2=ReLU(),
        flatten=Flatten(),
        l1=Linear(12 * 7 * 7, 6),
        r3=ReLU(),
        l2=Linear(6, 3),
    )
    network.initialize(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 11, 9, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, 30)
    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=4, optimizer=SGD(0.01, momentum=0.9), threads=2),
    )
    scores = network.predict_scores(images, threads=1)
    losses = trainer.run(np.arange(30))
    gradients = {f"{name}.gradient": value for name, value in trainer.gradients().items()}
    return {"scores": scores, "losses": losses, **gradients, **trainer.parameters()}


def in_width(width, *command):
    return subprocess.run(
        [sys.executable, *command],
        cwd=HERE.parent,
        env=environment(NEOCOG_LANES=str(width), PYTEST_ADDOPTS=""),
        capture_output=True,
        text=True,
    )


@pytest.mark.timeout(3600)  # every kernel is compiled anew
@pytest.mark.parametrize(("width", "part"), ALL)
def test_kernels_in_another_width(width, part):
    alone = ("-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=")
    chosen = ("-rs", "-m", "not own_width", *map(str, PARTS[part]))
    done = in_width(width, "-m", "pytest", "-q", "-x", *alone, *chosen)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert not [line for line in skipped if TORCH or "'torch'" not in line]


@pytest.fixture(scope="module")
def own_results():
    return results()


@pytest.mark.thorough
@pytest.mark.parametrize("width", [FIRST, SECOND])
def test_networks_agree_between_widths(width, own_results, tmp_path):
    done = in_width(width, str(HERE / "test_widths.py"), str(tmp_path / "results.npz"))
    assert done.returncode == 0, done.stderr
    other = np.load(tmp_path / "results.npz")
    assert int(other["width"]) == width
    for name, own in own_results.items():
        assert other[name].shape == own.shape
        part = SCORES if name == "scores" else EIGHT_STEPS
        worst = np.abs(other[name] - own).max()
        assert worst <= part * np.abs(own).max(), name
    assert any((other[name] != own).any() for name, own in own_results.items()), "not another width"


def test_a_width_that_no_processor_has_is_refused():
    done = in_width(12, "-c", "import neocog.kernels.codegen.vector_types")
    assert done.returncode != 0
    assert "NEOCOG_LANES (='12') must be 4, 8 or 16" in done.stderr


if __name__ == "__main__":
    np.savez(sys.argv[1], width=LANES, **results())
