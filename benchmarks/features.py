"""Features of picture files a second, decoding in, beside PyTorch's DataLoader in the same run.

    pip install 'neocog[pretrained,fast-jpeg]' torch scikit-image elpv-dataset
    python benchmarks/features.py [--rounds 5] [--photos 400] [--write]

`--write` puts the table into docs/networks.md.

Features are what the last layer of EfficientNet-Lite0 reads, with its weights for ImageNet. Two
cases: JPEGs of 500 × 375, made here of scikit-image's sample pictures, and the gray PNGs of 300 ×
300 of elpv-dataset. neocog does what `fine_tune` on a folder does: it decodes the pictures into its
cache, and keeps the features there; the cache is empty in each round. PyTorch has the same network
as a plain module, channels last, in inference mode; two workers of a DataLoader decode by Pillow.
Batch normalization is folded into the convolutions or not, and there are one or two threads: the
fastest of these in a first round. Turns alternate; what is given are medians of the
rounds, and of their ratios. Compile time is out; what the first call takes with nothing compiled
stands below. Both must have the same pixels to one level, and the same features of the same pixels.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image, features
from torch.fx.experimental.optimization import fuse

import neocog
from neocog.data import fast_jpeg
from neocog.kernels.compiler import kernel_cache
from neocog.network import Network
from neocog.transfer.cut import features_place, lower_of
from neocog.transfer.feature_cache import FeatureCache
from neocog.transfer.features import Features

sys.path.insert(0, str(Path(__file__).parent))

from pictures import make_photos
from tables import write_table

THREADS = WORKERS = 2
_BATCH = 32
_SIDE = 224
_COMPARED = 64


def by_neocog(lower, files, how):
    """Seconds from files to features, the pictures and the features."""
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NEOCOG_CACHE_DIR"] = empty
        began = time.perf_counter()
        data = neocog.Data.from_files(
            files, [0] * len(files), classes=("all", "none"), validation=0, size=_SIDE, channels=3,
            resize=how, threads=THREADS,
        )  # fmt: skip
        found = FeatureCache(lower).of(data.train.images)
        seconds = time.perf_counter() - began
        return seconds, data.train.images[:_COMPARED].copy(), found


class Files(torch.utils.data.Dataset):
    """Pictures as torchvision's transforms would make them, as bytes."""

    def __init__(self, files, how):
        self.files, self.how = files, how

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Path(self.files[index]).open("rb") as file:
            picture = Image.open(file).convert("RGB")
        side = self.how.keep * min(picture.size)
        left, top = ((whole - side) / 2 for whole in picture.size)
        box = left, top, left + side, top + side
        picture = picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, box)
        return torch.from_numpy(np.array(picture))


class Module:
    """The part of the network before the last layer, as PyTorch computes it."""

    def __init__(self, network):
        graph = lower_of(network.graph, features_place(network.graph))
        lower = Network.from_graph(graph, preprocessing=network.preprocessing)
        state = network.state_dict()
        lower.load_state_dict({name: state[name] for name in lower.state_shapes})
        plain = lower.to_torch().eval()
        for module in plain.modules():
            if isinstance(module, torch.nn.ReLU6):
                module.inplace = True
        whole = plain.to(memory_format=torch.channels_last)
        self.ways = {"": whole, ", folded": fuse(whole)}
        self.mean, self.std = (
            torch.tensor(numbers).view(1, -1, 1, 1)
            for numbers in (network.preprocessing.mean, network.preprocessing.std)
        )

    def of(self, pixels, way):
        """Features of bytes [n, height, width, 3]."""
        x = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255).sub_(self.mean).div_(self.std)
        return self.ways[way](x)


def by_torch(module, files, how, way, threads):
    """As `by_neocog`."""
    torch.set_num_threads(threads)
    pixels, found = [], []
    began = time.perf_counter()
    loader = torch.utils.data.DataLoader(Files(files, how), _BATCH, num_workers=WORKERS)
    with torch.inference_mode():
        for batch in loader:
            if len(pixels) * _BATCH < _COMPARED:
                pixels.append(batch)
            found.append(module.of(batch, way))
    seconds = time.perf_counter() - began
    return seconds, torch.cat(pixels)[:_COMPARED].numpy(), torch.cat(found).numpy()


def check(name, lower, ours, theirs):
    """Both saw the same pictures, and compute the same of them."""
    most = int(np.abs(ours[1].astype(int) - theirs[1]).max())
    if most > 1:
        raise SystemExit(f"{name}: pixels differ by {most} levels.")
    same = lower.of(theirs[1])
    off = np.abs(same - theirs[2][:_COMPARED]).max() / np.abs(same).max()
    if off > 1e-4:
        raise SystemExit(f"{name}: features of the same pixels differ by {off:.1e}.")
    return most, off


def measure(name, network, files, rounds):
    """One row of the table."""
    how, lower, module = network.preprocessing.resize, Features(network), Module(network)
    by_neocog(lower, files, how)  # has the files in memory
    ways = list(itertools.product(module.ways, (1, THREADS)))
    trials = {way: by_torch(module, files, how, *way) for way in ways}
    way = min(trials, key=lambda way: trials[way][0])
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(by_neocog(lower, files, how))
        theirs.append(by_torch(module, files, how, *way))
    most, off = check(name, lower, ours[-1], theirs[-1])
    first, second = ([one[0] for one in side] for side in (ours, theirs))
    return {
        "name": f"{len(files):,} {name}",
        "ours": [len(files) / s for s in first],
        "torch": [len(files) / s for s in second],
        "way": f"{way[1]} thread{'s' * (way[1] > 1)}{way[0]}",
        "ratios": [b / a for a, b in zip(first, second, strict=True)],
        "levels": most,
        "off": off,
    }


def first_call(folder):
    """Seconds of a new process for its first picture, with nothing compiled and compiled."""
    code = (
        "import numpy as np, neocog; from neocog.transfer.features import Features;"
        "net = neocog.load_pretrained('efficientnet-lite0');"
        f"Features(net).of(np.zeros((4, {_SIDE}, {_SIDE}, 3), np.uint8))"
    )
    times = []
    for _ in range(2):
        began = time.perf_counter()
        environment = {**os.environ, "NEOCOG_CACHE_DIR": str(folder)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        times.append(time.perf_counter() - began)
    return times


def _spread(values, form=",.0f"):
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}}–{max(values):{form}})"


def _table(rows, first, rounds):
    """The rows in Markdown."""
    by = "simplejpeg" if fast_jpeg.IS_HERE else "Pillow"
    lines = [
        f"{os.cpu_count()} cores, {THREADS} threads, {WORKERS} workers; Pillow {PIL.__version__} "
        f"with libjpeg-turbo {features.version('libjpeg_turbo')}, JPEGs by {by}; PyTorch "
        f"{torch.__version__}. Pictures a second, medians (least–most) of {rounds} rounds; compile "
        "time out.",
        "",
        "| pictures | neocog | PyTorch | its fastest way | times faster | levels differ "
        "| features differ |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {_spread(row['ours'])} | {_spread(row['torch'])} | {row['way']} "
        f"| **{_spread(row['ratios'], '.2f')}** | {row['levels']} | {row['off']:.0e} |"
        for row in rows
    ]
    lines += ["", f"A new process's first features: {first[0]:.1f} s with nothing compiled, "]
    lines[-1] += f"{first[1]:.1f} s from then on."
    return "\n".join(lines)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=400, help="how many of 500 × 375")
    parser.add_argument("--cells", type=int, default=2624, help="how many of elpv-dataset")
    parser.add_argument("--write", action="store_true", help="put the table into docs/networks.md")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    kernel_cache.is_open()  # kernels stay where they are
    network, rows = neocog.load_pretrained("efficientnet-lite0"), []
    with tempfile.TemporaryDirectory() as place:
        make_photos(Path(place), options.photos, options.photos, (500, 375))
        files = sorted(Path(place).rglob("*.jpg"))
        rows.append(measure("JPEGs of 500 × 375", network, files, options.rounds))
    if options.cells:
        cells = Path(str(distribution("elpv-dataset").locate_file("elpv_dataset/data")))
        files = sorted(cells.rglob("*.png"))[: options.cells]
        rows.append(measure("gray PNGs of 300 × 300", network, files, options.rounds))
    with tempfile.TemporaryDirectory() as place:
        first = first_call(place)
    table = _table(rows, first, options.rounds)
    print(table)
    if options.write:
        write_table("docs/networks.md", "features", table)


if __name__ == "__main__":
    main()
