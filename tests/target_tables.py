"""Tables of small pictures whose colors determine their labels and their number."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("red", "green", "dark")


def write_rows(path: Path, head: Sequence[str] | None, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([*([head] if head else []), *rows])
    return path


def write_picture(path: Path) -> None:
    Image.new("RGB", (4, 4)).save(path)


def write_planted(folder: Path, count: int = 60, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Pictures in ``pics``, with ``several.csv`` (columns), ``parted.csv`` and ``doses.csv``.

    Returns:
        The labels, int [count, 3], and the doses, float [count]: 3,000 and ten times the redness.
    """
    (folder / "pics").mkdir(parents=True)
    rng = np.random.default_rng(0)
    has = rng.integers(0, 2, (count, 3))
    has[:2] = [[0], [1]]  # one without any label, one with all of them
    names, doses = [], []
    for number, (red, green, dark) in enumerate(has.tolist()):
        color = np.array([200 * red + 30, 200 * green + 30, 60]) * (0.4 if dark else 1)
        pixels = np.clip(color + rng.normal(0, 10, (side, side, 3)), 0, 255).astype(np.uint8)
        names.append(f"pics/{number:03}.png")
        Image.fromarray(pixels).save(folder / names[-1])
        doses.append(3000 + 10 * float(pixels[..., 0].mean()))
    write_rows(
        folder / "several.csv",
        ["file", *LABELS],
        [[name, *row] for name, row in zip(names, has.tolist(), strict=True)],
    )
    write_rows(
        folder / "parted.csv",
        ["file", "labels"],
        [
            [name, ";".join(label for label, one in zip(LABELS, row, strict=True) if one)]
            for name, row in zip(names, has.tolist(), strict=True)
        ],
    )
    write_rows(
        folder / "doses.csv",
        ["file", "dose"],
        [[name, f"{dose:.4f}"] for name, dose in zip(names, doses, strict=True)],
    )
    return has, np.array(doses)
