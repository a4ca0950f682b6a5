"""What a user waits for who trains on pictures: the whole command, from nothing on the machine.

    python benchmarks/folders.py [--write]

`--write` puts the table into docs/pictures.md. Two sources: class folders of 2,000 JPEGs of mixed
sizes, made here of scikit-image's sample pictures, and a table of 2,624 photographs of solar cells
(`pip install scikit-image elpv-dataset`; Deitsch et al., "Automatic classification of defective
photovoltaic module cells in electroluminescence images", 2019). Each command runs twice in
processes of its own: first with no kernel compiled and no picture decoded, then with both there.
Times are the command's, from its start.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from note import command
from tables import write_table

_PICTURES, _CLASSES = 2_000, 5
_SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "brick.png")


def mixed_sizes(root: Path) -> Path:
    """Class folders of crops of sample pictures, from 120 to 800 pixels wide and high."""
    rng = np.random.default_rng(0)
    data = Path(skimage.__file__).parent / "data"
    for label, name in enumerate(_SAMPLES[:_CLASSES]):
        sample = Image.open(data / name).convert("RGB")
        folder = root / f"{label}-{Path(name).stem}"
        folder.mkdir(parents=True)
        for number in range(_PICTURES // _CLASSES):
            part = rng.uniform(0.3, 0.9)
            width, height = (max(40, int(part * side)) for side in sample.size)
            left = int(rng.integers(0, sample.width - width + 1))
            top = int(rng.integers(0, sample.height - height + 1))
            crop = sample.crop((left, top, left + width, top + height))
            size = tuple(int(side) for side in rng.integers(120, 800, 2))
            crop.resize(size).save(folder / f"{number}.jpg", quality=90)
    return root


def solar_cells() -> Path:
    """The table of file, probability of a defect and kind, which the package brings."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        sys.exit("pip install elpv-dataset")
    return Path(spec.origin).parent / "data" / "labels.csv"


def rows(scratch: Path) -> list[list[str]]:
    """A row of the table for each source."""
    found = []
    for what, source, options in (
        (f"{_PICTURES:,} JPEGs of 120 to 800 pixels, 5 classes", mixed_sizes(scratch / "mixed"), ()),
        ("2,624 photographs of solar cells, 4 classes", solar_cells(), ("--label-column", "2")),
    ):
        results = scratch / f"results-{len(found)}"
        results.mkdir()
        cache = scratch / f"cache-{len(found)}"
        first, again = (command(str(source), results, *options, cache=cache) for _ in range(2))
        same = [epoch["loss"] for epoch in first["epochs"]] == [
            epoch["loss"] for epoch in again["epochs"]
        ]
        if not same:
            sys.exit(f"{source}: two runs gave other losses.")
        found.append(
            [
                what,
                f"{first['first_step']:.1f} s",
                f"{again['first_step']:.1f} s",
                f"{first['timings']['training_seconds']:.0f} s",
                f"{len(first['epochs'])}",
                f"{100 * first['validation']['accuracy']:.1f} %",
                f"{first['peak_mb']:.0f} MB",
            ]
        )
    return found


def main() -> None:
    """Measure and print, and with --write put the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/pictures.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = rows(Path(name))
    head = [
        *("`neocog train` on", "to the first step, first run ever", "later", "training", "epochs"),
        *("validation accuracy", "peak memory"),
    ]
    table = [head, ["---"] * len(head), *found]
    text = "\n".join(f"| {' | '.join(row)} |" for row in table)
    print(text)
    if options.write:
        write_table("docs/pictures.md", "folders", text)


if __name__ == "__main__":
    main()
