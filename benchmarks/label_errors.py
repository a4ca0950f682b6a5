"""Wrong labels planted among the solar cells of elpv-dataset: how many `neocog.suggest` finds.

    pip install 'neocog[pretrained]' elpv-dataset
    python benchmarks/label_errors.py [--model efficientnet-lite0] [--part 0.05] [--seed 1]

2,624 gray photographs of 300 × 300 in two classes: a cell counts as defective where its probability
is above ½, and functional else. Each label is exchanged with the probability `--part`. Labels that
are wrong in the data set itself count as right here, so more of what is found may be wrong.
"""

import argparse
import random
import resource
import shutil
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import neocog

CLASSES = ("functional", "defective")
FIRST = (20, 50, 100)


def planted_in(folder, part, seed):
    """Copy all pictures into folders of classes; gives the names of those in the wrong one."""
    data = Path(str(distribution("elpv-dataset").locate_file("elpv_dataset/data")))
    rng, planted = random.Random(seed), set()
    for name in CLASSES:
        (folder / name).mkdir()
    for line in (data / "labels.csv").read_text().splitlines():
        file, probability, *_ = line.split()
        defective, wrong = float(probability) > 0.5, rng.random() < part
        name = f"{CLASSES[defective != wrong]}/{Path(file).name}"
        shutil.copy(data / file, folder / name)
        if wrong:
            planted.add(name)
    return planted


def main():
    """Plant, look for them, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--part", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    network = neocog.load_pretrained(asked.model)
    with tempfile.TemporaryDirectory() as place:
        planted = planted_in(Path(place), asked.part, asked.seed)
        found = neocog.suggest(network, place)
    hits = [one.name in planted for one in found.wrong_labels]
    print(
        f"{found.checked:,} labels, {len(planted)} of them exchanged; accuracy in cross-validation "
        f"{100 * found.accuracy:.1f} %"
    )
    print(f"{len(hits)} look wrong, {sum(hits)} of which were exchanged; of the first", end=" ")
    print(", ".join(f"{count}: {sum(hits[:count])}" for count in FIRST))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
