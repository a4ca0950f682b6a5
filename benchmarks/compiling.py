"""What compiling costs: every kind of kernel, and the first run of networks.

    python benchmarks/compiling.py [--rounds 3] [--write]

Every kind is compiled in one process on one core, with nothing on the disk: its seconds, and how
they are divided between Numba's front end, which infers types and emits code, and LLVM. Then
`neocog warm-up` on an empty cache, and networks in processes of their own: the time from the start
of the process to the end of the first training step, with nothing compiled, after resnet18 has run
once, and after the warm-up. The losses must be the same each time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import neocog
from neocog.engine import available_threads

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

# Compiles every kind; prints family, seconds in all, of the front end and of LLVM, and bytes.
_KINDS = """
import json, time
from numba.core.codegen import CPUCodeLibrary
from neocog.kernels.compiler.jit import Kernel, compiled_kernel
from neocog.kernels.kinds import all_kinds
from neocog.kernels.optimizer.clipping import Clipping, clip_factor

spent, depth = [0.0], [0]

def measured(owner, name):
    method = getattr(owner, name)
    def wrapped(*arguments, **named):
        depth[0] += 1
        began = time.process_time()
        try:
            return method(*arguments, **named)
        finally:
            depth[0] -= 1
            if not depth[0]:
                spent[0] += time.process_time() - began
    setattr(owner, name, wrapped)

for name in ("add_ir_module", "finalize", "__init__"):
    measured(CPUCodeLibrary, name)
compiled_kernel(Kernel(clip_factor.function, clip_factor.operands), Clipping(1))  # Numba's start
rows = []
for kind in all_kinds():
    spent[0] = 0.0
    began = time.process_time()
    if isinstance(kind.code, Kernel):
        compiled_kernel(kind.code, kind.spec)
    else:
        kind.code.compile()
    seconds = time.process_time() - began
    rows.append((kind.family, kind.name, seconds, spent[0], len(kind.compiled().code)))
print(json.dumps(rows))
"""

# Trains a network for one step; prints the seconds since the process began, what compiled, and the
# loss to the last bit.
_FIRST_STEP = """
import os, sys, time
began = time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME)
    - int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK"))
import numpy as np
import neocog

sys.path.insert(0, sys.argv[2])

class First(neocog.Callback):
    pause_every = 1
    compiled = 0
    def compiling(self, kernels):
        self.compiled = kernels
    def paused(self, history):
        loss = float(history.losses[0]).hex()
        print(time.time() - began, self.compiled, loss, flush=True)
        os._exit(0)

name = sys.argv[1]
if name == "lite0":
    from imagenet_networks import efficientnet_lite0
    network = efficientnet_lite0()
else:
    network = neocog.models.make(name)
channels, height, width = network.input_shape
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (16, height, width, channels), np.uint8)
neocog.fit(network, (images, rng.integers(0, 10, 16)), epochs=1, batch_size=8, callback=First(),
    optimizer=neocog.SGD(0.02, momentum=0.9), log_every=1)
"""

NETWORKS = ("simple-cnn", "resnet18", "vgg-small", "airbench", "lite0")


def run(cache, *command):
    """What a process with this cache prints."""
    done = subprocess.run(
        [sys.executable, *command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NEOCOG_CACHE_DIR": str(cache)},
    )
    return done.stdout


def first_step(cache, name):
    """Seconds, kernels that were compiled, and the loss."""
    seconds, kernels, loss = run(cache, "-c", _FIRST_STEP, name, str(Path(__file__).parent)).split()
    return float(seconds), int(kernels), loss


def first_runs(folder):
    """One round: (seconds, kernels) of each network in the three cases, and of the warm-up."""
    found, losses = {}, {}

    def note(case, cache, name):
        seconds, kernels, loss = first_step(cache, name)
        assert losses.setdefault(name, loss) == loss, f"{name} computes something else"
        found[name, case] = seconds, kernels

    for name in NETWORKS:
        note("nothing", folder / f"only-{name}", name)
    for name in NETWORKS:
        if name != "resnet18":
            note("after resnet18", folder / "only-resnet18", name)
    warm = json.loads(run(folder / "warm", "-m", "neocog", "warm-up", "--json"))
    for name in NETWORKS:
        note("after warm-up", folder / "warm", name)
    return found, warm


def table_of_kinds(rows):
    """The table of families."""
    families = sorted({row[0] for row in rows})
    lines = [
        "| family | kinds | seconds | Numba's front end | LLVM | the longest | machine code |",
        "|---|---|---|---|---|---|---|",
    ]
    for family in [*families, None]:
        of = [row for row in rows if family in (row[0], None)]
        seconds, llvm = sum(row[2] for row in of), sum(row[3] for row in of)
        longest = max(of, key=lambda row: row[2])
        name = f"`{longest[1]}` {longest[2]:.2f} s" if family else ""
        lines.append(
            f"| {family or 'all'} | {len(of)} | {seconds:.1f} | {1 - llvm / seconds:.0%} "
            f"| {llvm / seconds:.0%} | {name} | {sum(row[4] for row in of) / 1000:.0f} kB |"
        )
    return "\n".join(lines)


def shown(values):
    """Median (least–most) of seconds, and the number of kernels compiled."""
    seconds = [one[0] for one in values]
    kernels = max(one[1] for one in values)
    spread = f"{min(seconds):.1f}–{max(seconds):.1f}"
    return f"{statistics.median(seconds):.1f} s ({spread}), {kernels}"


def table_of_networks(rounds):
    """The table of first runs."""
    cases = ("nothing", "after resnet18", "after warm-up")
    lines = [
        "| to the first step | nothing compiled | after resnet18 | after the warm-up |",
        "|---|---|---|---|",
    ]
    for name in NETWORKS:
        cells = []
        for case in cases:
            values = [found[name, case] for found, _ in rounds if (name, case) in found]
            cells.append(shown(values) if values else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure, print, and write the tables if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/compiling.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = json.loads(run(Path(scratch) / "kinds", "-c", _KINDS))
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            rounds.append(first_runs(Path(scratch)))
    warm = [one for _, one in rounds]
    seconds = [one["seconds"] for one in warm]
    here = f"{platform.processor() or platform.machine()}, neocog {neocog.__version__}"
    kinds = (
        f"{here}; seconds of one core, in one process that compiles all kinds.\n\n"
        f"{table_of_kinds(rows)}\n"
    )
    networks = (
        f"{here}, {available_threads()} cores; medians (least–most) of {options.rounds} rounds, "
        "with the number of kernels that were compiled; training in batches of 8, lite0 at "
        "224 × 224.\n\n"
        f"{table_of_networks(rounds)}\n\n"
        f"`neocog warm-up` compiled {warm[0]['compiled']} kinds in "
        f"{statistics.median(seconds):.1f} s ({min(seconds):.1f}–{max(seconds):.1f}): "
        f"{warm[0]['size'] / 1000:.0f} kB.\n"
    )
    print(f"{kinds}\n{networks}")
    if options.write:
        write_table("docs/compiling.md", "kinds", kinds)
        write_table("docs/compiling.md", "first runs", networks)


if __name__ == "__main__":
    main()
