"""Picture files to images, beside PyTorch's DataLoader over the same files in the same run.

    python benchmarks/pictures.py [--rounds 5] [--photos 4000] [--small FOLDER] [--write]

`--write` puts the table into docs/pictures.md.

Two cases: JPEGs of 640 × 480 to 224 × 224, which are made here of scikit-image's sample pictures
(`pip install scikit-image`), and, with `--small`, a folder of class folders, such as the 60,000
JPEGs of 32 × 32 that a CIFAR-10 as pictures has. PyTorch reads them as torchvision's ImageFolder
does: Pillow opens, converts to RGB and resizes (bilinear, antialiased), once to float32 in [0, 1]
(`ToTensor`) and once left as uint8; two workers, batches of 64. neocog decodes by two threads into
one uint8 array. Turns alternate; what is given are medians of the rounds, and of their ratios. Both
must have the same pixels to one level: Pillow may scale columns first, neocog scales rows first.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
import skimage
import torch
from PIL import Image, features

import neocog
from neocog.data import fast_jpeg, resampling
from neocog.data.decoding import check_bad, decode
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.preprocessing import Resize

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

THREADS = 2
_BATCH = 64
_HOW = Resize("stretch", "bilinear")
# Of scikit-image's pictures those that are photographs.
_SAMPLES = (
    *("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "retina.jpg", "rocket.jpg"),
    *("hubble_deep_field.jpg", "motorcycle_left.png", "brick.png", "grass.png", "gravel.png"),
)


def make_photos(folder, count, different=200, size=(640, 480)):
    """Class folders of JPEGs of one size: crops, of which each may have several names."""
    samples = Path(skimage.__file__).parent / "data"
    pictures = [Image.open(samples / name).convert("RGB") for name in _SAMPLES]
    rng = np.random.default_rng(0)
    for n in range(count):
        path = folder / "ab"[n % 2] / f"{n:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        if n >= different:
            path.hardlink_to(folder / "ab"[n % different % 2] / f"{n % different:06}.jpg")
            continue
        picture = pictures[n % len(pictures)]
        width, height = size
        scale = min(picture.width / width, picture.height / height) * rng.uniform(0.7, 1)
        left = rng.uniform(0, picture.width - width * scale)
        top = rng.uniform(0, picture.height - height * scale)
        box = (left, top, left + width * scale, top + height * scale)
        picture.resize(size, Image.Resampling.BICUBIC, box).save(path, quality=90)


class Files(torch.utils.data.Dataset):
    """Pictures by their paths, as ImageFolder reads them."""

    def __init__(self, paths, side, as_float):
        self.paths, self.side, self.as_float = paths, side, as_float

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Path(self.paths[index]).open("rb") as file:
            picture = Image.open(file).convert("RGB")
        if picture.size != (self.side, self.side):
            picture = picture.resize((self.side, self.side), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255) if self.as_float else pixels


def by_torch(paths, side, as_float, keep):
    """Seconds for all, and the first `keep` of them as uint8 [n, side, side, 3]."""
    loader = torch.utils.data.DataLoader(
        Files(paths, side, as_float), batch_size=_BATCH, num_workers=THREADS
    )
    kept = []
    began = time.perf_counter()
    for batch in loader:
        if len(kept) * _BATCH < keep:
            kept.append(batch if not as_float else (batch * 255).round().to(torch.uint8))
    seconds = time.perf_counter() - began
    return seconds, torch.cat(kept)[:keep].permute(0, 2, 3, 1).numpy()


def by_neocog(pictures, side):
    """Seconds for all, and all of them."""
    images = np.empty((len(pictures), side, side, 3), np.uint8)
    began = time.perf_counter()
    bad = decode(pictures, images, _HOW, threads=THREADS)
    seconds = time.perf_counter() - began
    check_bad(bad, len(pictures), "error")
    return seconds, images


def measure(name, folder, side, rounds):
    """One row of the table."""
    found = list_pictures(folder, Request())
    pictures = next(iter(found.parts.values()))
    paths = [str(folder / pictures.name(n)) for n in range(len(pictures))]
    by_neocog(pictures, side)  # compiles, and has the files in memory
    ours, theirs, theirs_bytes, most = [], [], [], 0
    for _ in range(rounds):
        seconds, images = by_neocog(pictures, side)
        ours.append(seconds)
        for as_float, times in ((True, theirs), (False, theirs_bytes)):
            seconds, batch = by_torch(paths, side, as_float, 512)
            times.append(seconds)
            most = max(most, int(np.abs(images[: len(batch)].astype(int) - batch).max()))
    if most > 1:
        raise SystemExit(f"{name}: pixels differ by {most} levels.")
    return {
        "name": name,
        "count": len(pictures),
        "ours": [len(pictures) / s for s in ours],
        "torch": [len(pictures) / s for s in theirs],
        "bytes": [len(pictures) / s for s in theirs_bytes],
        "ratios": [b / a for a, b in zip(ours, theirs, strict=True)],
        "ratios_bytes": [b / a for a, b in zip(ours, theirs_bytes, strict=True)],
        "difference": most,
    }


def whole(folder):
    """Seconds of `load_data` with an empty cache, finding and splitting in; and once more."""
    times, before = [], os.environ.get("NEOCOG_CACHE_DIR")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NEOCOG_CACHE_DIR"] = cache
        for _ in range(2):
            began = time.perf_counter()
            data = neocog.load_data(folder, threads=THREADS)
            times.append(time.perf_counter() - began)
            del data  # which is mapped from the cache
    if before is None:
        del os.environ["NEOCOG_CACHE_DIR"]
    else:
        os.environ["NEOCOG_CACHE_DIR"] = before
    return times


def _spread(values, form=",.0f"):
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}}–{max(values):{form}})"


def _table(rows, loads, rounds):
    """The rows in Markdown."""
    by = "simplejpeg" if fast_jpeg.IS_HERE else "Pillow"
    lines = [
        f"{os.cpu_count()} cores, {THREADS} threads or workers; Pillow {PIL.__version__} with "
        f"libjpeg-turbo {features.version('libjpeg_turbo')}, JPEGs by {by}; PyTorch "
        f"{torch.__version__}. Images a second, medians (least–most) of {rounds} rounds; compile "
        "time out.",
        "",
        "| pictures | neocog | DataLoader, float32 | times faster | DataLoader, uint8 "
        "| times faster | levels differ |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['count']:,} {row['name']} | {_spread(row['ours'])} | {_spread(row['torch'])} "
        f"| **{_spread(row['ratios'], '.2f')}** | {_spread(row['bytes'])} "
        f"| {_spread(row['ratios_bytes'], '.2f')} | {row['difference']} |"
        for row in rows
    ]
    for name, (first, second) in loads.items():
        lines += ["", f"`load_data` of {name}: {first:.1f} s, and opened again {second:.2f} s."]
    return "\n".join(lines)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=4000, help="how many of 640 × 480")
    parser.add_argument("--small", type=Path, help="class folders of pictures of 32 × 32")
    parser.add_argument("--without-simplejpeg", action="store_true", help="JPEGs by Pillow")
    parser.add_argument("--write", action="store_true", help="put the table into docs/pictures.md")
    options = parser.parse_args()
    if options.without_simplejpeg:
        fast_jpeg.IS_HERE = False
    torch.set_num_threads(1)  # as in each of the workers
    resampling.prepare()
    rows, loads = [], {}
    with tempfile.TemporaryDirectory() as place:
        make_photos(Path(place), options.photos)
        rows.append(measure("of 640 × 480 to 224 × 224", Path(place), 224, options.rounds))
    if options.small:
        # First, as measuring has the files' pages in memory.
        loads[f"{options.small.name}/"] = whole(options.small)
        rows.append(measure("of 32 × 32", options.small / "train", 32, options.rounds))
    table = _table(rows, loads, options.rounds)
    print(table)
    if options.write:
        write_table("docs/pictures.md", "pictures", table)


if __name__ == "__main__":
    main()
