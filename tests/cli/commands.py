"""What tests of commands share: a little data, the files of a run, and processes."""

from pathlib import Path

import numpy as np

from neocog.data import Data, Dataset

#: What a run leaves whose data have no part for validation, and what it has besides if it finished.
FILES = [
    "checkpoints",
    "cnn_model.pth",
    "config.toml",
    "history.csv",
    "last.safetensors",
    "log.txt",
    "run.json",
]
FINISHED = sorted([*FILES, "report.html"])
CLASSES = tuple(f"class{k}" for k in range(10))


def tiny(train=40, test=30, side=32, classes=CLASSES, name="tiny") -> Data:
    """Dark noise with a light band, the lower the higher the class."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Dataset:
        labels = np.arange(count, dtype=np.int64) % len(classes)
        images = rng.integers(0, 60, (min(count, 200), side, side, 3), np.uint8)
        for image, label in zip(images, labels, strict=False):
            image[3 * label : 3 * label + 3] += 160
        return Dataset(images[np.arange(count) % len(images)], labels)

    return Data(name, split(train), split(test), classes)


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder, with the bytes of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def names_in(folder: Path) -> list[str]:
    """Names of the files in the folder of a run, but for the one that TensorBoard reads."""
    names = sorted(path.name for path in folder.iterdir())
    events = [name for name in names if name.startswith("events.out.tfevents.")]
    assert len(events) == 1
    return [name for name in names if name not in events]


def the_run(here: Path) -> Path:
    (folder,) = (here / "runs").iterdir()
    return folder


MODEL_FILE = """
import neocog

def make(classes, input_shape=(3, 32, 32)):
    return neocog.Network(
        input_shape=input_shape,
        flatten=neocog.Flatten(),
        fc=neocog.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes),
    )

small = make
"""
