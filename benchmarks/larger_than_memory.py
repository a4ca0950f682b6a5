"""Training from a mapped cache four times the memory that is allowed, beside all in memory.

    python benchmarks/larger_than_memory.py [--allowed 512] [--times 4] [--rounds 3] [--write]

The pictures are drawn, 64 × 64 in color, and are kept by `neocog.data.cache` as any others. Then
a network is trained on some, drawn from all, in a process of its own: once with all of them in
memory and no limit, once from the mapped file in a memory cgroup (version 1 or 2) whose limit
counts the pages of files too; for each network so many rounds, one kind after the other. The
file's pages are dropped from memory before each run. The losses must be the same to the last bit.

The speed is that of the steps alone: loading and compiling are left out. Needs Linux and the right
to make a cgroup, as root has it, and twice the pictures' size of disk in the folder for temporary
files, which must lie on a disk.
"""

import argparse
import ctypes
import json
import mmap
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

_SIDE, _CLASSES = 64, 10
_MIB = 2**20
#: Name, batch, images of a run: one that computes next to nothing for an image, so that the disk
#: must be fast, and one that computes more.
NETWORKS = (("simple-cnn", 32, 100_000), ("resnet8", 64, 10_000))
_CGROUPS = Path("/sys/fs/cgroup")


class Drawn:
    """A store of noise in patches, another picture for each row."""

    def name(self, row):
        """Its number."""
        return f"{row:08d}"

    def stamp(self, row):
        """Its number."""
        return self.name(row)

    def size(self, row):
        """Bytes of its pixels."""
        return _SIDE * _SIDE * 3

    def read(self, row):
        """Its pixels."""
        rng = np.random.default_rng(row)
        small = rng.integers(0, 256, (_SIDE // 4, _SIDE // 4, 3), np.uint8)
        return small.repeat(4, 0).repeat(4, 1)


def images_of(count):
    """The pictures, mapped; made the first time."""
    from neocog.data.cache.decoded_cache import Decoding
    from neocog.data.sources.base import Pictures
    from neocog.preprocessing import Resize

    rows = np.arange(count)
    decoding = Decoding((3, _SIDE, _SIDE), Resize(), 2, "drawn", "larger-than-memory")
    return decoding.decoded(Pictures(Drawn(), rows, rows % _CLASSES))


def child(kind, name, batch, count, some):
    """Train on some images; prints images a second, losses, and the part in memory at the end."""
    from neocog import models
    from neocog.engine import Trainer, available_threads
    from neocog.settings.optimizers import SGD
    from neocog.settings.training import TrainingSettings

    decoded = images_of(count)
    assert not decoded.why_not_kept, decoded.why_not_kept
    images = decoded.images.copy() if kind == "memory" else decoded.images
    network = models.make(name, _CLASSES, input_shape=(3, _SIDE, _SIDE))
    network.initialize(0)
    labels = np.arange(count) % _CLASSES
    trainer = Trainer(
        network.graph,
        network.state_dict(),
        network.preprocessing,
        images,
        labels,
        TrainingSettings(batch_size=batch, optimizer=SGD(1e-4), threads=available_threads()),
    )
    order = np.random.default_rng(1).permutation(count)[:some]
    began = time.perf_counter()
    losses = trainer.run(order)
    seconds = time.perf_counter() - began
    found = {"speed": len(order) / seconds, "losses": [float(loss).hex() for loss in losses]}
    print(json.dumps({**found, "resident": resident(decoded.images)}))


def resident(images):
    """The part of a mapping's pages that is in memory."""
    if not isinstance(images.base, mmap.mmap):
        return 1.0
    pages = -(-images.nbytes // mmap.PAGESIZE)
    states = np.zeros(pages, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(images.ctypes.data)
    if libc.mincore(address, ctypes.c_size_t(images.nbytes), ctypes.c_void_p(states.ctypes.data)):
        raise OSError(ctypes.get_errno(), "mincore")
    return float((states & 1).mean())


def drop(folder):
    """Have no page of the files in a folder in memory."""
    for path in folder.rglob("entry"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_group(allowed):
    """A cgroup with this limit, in bytes."""
    parent, limit = _CGROUPS, "memory.max"
    if (_CGROUPS / "memory").is_dir():
        parent, limit = _CGROUPS / "memory", "memory.limit_in_bytes"
    group = parent / f"neocog-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(allowed))
    except OSError as error:
        raise SystemExit(f"No cgroup can be made in {parent}: {error.strerror}.") from None
    return group


def train(kind, network, count, group):
    """What a child says, that runs in a cgroup or not."""
    numbers = json.dumps([*network[1:], count])
    arguments = ["--child", kind, "--network", network[0], "--numbers", numbers]
    shell = f'echo $$ > "{group}/cgroup.procs" && exec "$@"' if group else 'exec "$@"'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, __file__, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def measure(options, folder, group):
    """The table's lines."""
    size = _SIDE * _SIDE * 3
    count = options.times * options.allowed * _MIB // size
    print(f"Drawing {count:,} pictures, {count * size / _MIB:,.0f} MiB …", flush=True)
    images_of(count)
    lines = [
        f"{count:,} images of {_SIDE} × {_SIDE}, {count * size / _MIB:,.0f} MiB; "
        f"{options.allowed} MiB allowed, Python's and the network's own in it. {os.cpu_count()} "
        f"cores, {platform.processor() or platform.machine()}, Linux {platform.release()}. Images "
        f"a second: median (least–most) of {options.rounds} rounds.",
        "",
        "| network, batch, images | in memory | mapped, limited | part | in memory at the end |",
        "|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for network in NETWORKS:
        runs = {"memory": [], "mapped": []}
        for _round in range(options.rounds + 1):  # the first one compiles
            for kind, found in runs.items():
                drop(folder)
                found.append(train(kind, network, count, group if kind == "mapped" else None))
        losses = {tuple(run["losses"]) for found in runs.values() for run in found}
        if len(losses) != 1:
            raise SystemExit(f"{network[0]}: the losses differ.")
        speeds = {kind: [run["speed"] for run in found[1:]] for kind, found in runs.items()}
        part = statistics.median(speeds["mapped"]) / statistics.median(speeds["memory"])
        kept = max(run["resident"] for run in runs["mapped"])
        shown = [
            f"{statistics.median(s):,.0f} ({min(s):,.0f}–{max(s):,.0f})" for s in speeds.values()
        ]
        lines.append(
            f"| {network[0]}, {network[1]}, {network[2]:,} | {' | '.join(shown)} | "
            f"**{100 * part:.0f} %** | {100 * kept:.0f} % |"
        )
        print(lines[-1], flush=True)
    return lines


def main():
    """Draw, train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allowed", type=int, default=512, help="MiB of memory (default: 512)")
    parser.add_argument("--times", type=int, default=4, help="the pictures' size, in that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/data.md")
    parser.add_argument("--child", choices=["memory", "mapped"], help=argparse.SUPPRESS)
    parser.add_argument("--network", help=argparse.SUPPRESS)
    parser.add_argument("--numbers", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        batch, some, count = options.numbers
        child(options.child, options.network, batch, count, some)
        return
    group = make_group(options.allowed * _MIB)
    try:
        with tempfile.TemporaryDirectory(prefix="neocog-cache-") as folder:
            os.environ |= {"NEOCOG_CACHE_DIR": folder, "NEOCOG_CACHE_SHARE": "1"}
            lines = measure(options, Path(folder), group)
    finally:
        group.rmdir()
    if options.write:
        write_table("docs/pictures.md", "memory", "\n".join(lines))


if __name__ == "__main__":
    main()
