"""What compiling costs: every kind of kernel, and the first run of networks.

    python benchmarks/compiling.py [--rounds 1] [--write]

With nothing on the disk: `neocog warm-up`, whose seconds for each kind `neocog kernels` lists. Then
networks in processes of their own: the time from the start of the process to the end of the first
training step, with nothing compiled, with what the networks before it have compiled, and after the
warm-up. The losses must be the same each time. What a network's process itself compiles is divided
between Numba's front end, which infers types and emits code, and LLVM. A round takes two minutes.
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

# Trains a network for one step. Prints the seconds since the process began, how many kernels were
# compiled, the loss to the last bit, and this process's seconds of compiling, in all and by LLVM.
_FIRST_STEP = """
import os, sys, time
began = time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME)
    - int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK"))
import numpy as np
import neocog
from numba.core.codegen import CPUCodeLibrary
from numba.core.dispatcher import Dispatcher

sys.path.insert(0, sys.argv[2])

def timed(owner, *names):
    # The seconds of a core that these methods take; calls within each other count once.
    spent, depth = [0.0], [0]
    def measured(method):
        def wrapped(*arguments, **named):
            depth[0] += 1
            began = time.process_time()
            try:
                return method(*arguments, **named)
            finally:
                depth[0] -= 1
                if not depth[0]:
                    spent[0] += time.process_time() - began
        return wrapped
    for name in names:
        setattr(owner, name, measured(getattr(owner, name)))
    return spent

compiling = timed(Dispatcher, "compile")
llvm = timed(CPUCodeLibrary, "add_ir_module", "finalize", "__init__")

class First(neocog.Callback):
    pause_every = 1
    compiled = 0
    def compiling(self, kernels):
        self.compiled = kernels
    def paused(self, history):
        loss = float(history.losses[0]).hex()
        print(time.time() - began, self.compiled, loss, compiling[0], llvm[0], flush=True)
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
#: Networks that find what those before them have compiled.
LATER = NETWORKS[2:]


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
    """Seconds, kernels that were compiled, the loss, and the seconds of compiling and of LLVM."""
    found = run(cache, "-c", _FIRST_STEP, name, str(Path(__file__).parent)).split()
    seconds, kernels, loss, *shares = found
    return float(seconds), int(kernels), loss, tuple(map(float, shares))


def one_round(folder):
    """Each network's (seconds, kernels) in both cases, the shares, the warm-up, and all kinds."""
    found, shares = {}, []
    warm = json.loads(run(folder / "warm", "-m", "neocog", "warm-up", "--json"))
    kinds = json.loads(run(folder / "warm", "-m", "neocog", "kernels", "--json"))["kinds"]
    for name in NETWORKS:
        cache = folder / ("resnet18" if name in LATER else name)
        seconds, kernels, loss, share = first_step(cache, name)
        found[name, "first"] = seconds, kernels
        shares.append(share)
        seconds, kernels, again, _ = first_step(folder / "warm", name)
        found[name, "after warm-up"] = seconds, kernels
        assert again == loss, f"{name} computes something else"
    return found, shares, warm, kinds


def table_of_kinds(kinds):
    """The table of families."""
    lines = [
        "| family | kinds | seconds of a core | the longest | machine code |",
        "|---|---|---|---|---|",
    ]
    for family in [*sorted({kind["family"] for kind in kinds}), None]:
        of = [kind for kind in kinds if family in (kind["family"], None)]
        seconds, size = sum(kind["seconds"] for kind in of), sum(kind["bytes"] for kind in of)
        longest = max(of, key=lambda kind: kind["seconds"])
        name = f"`{longest['kernel']}` {longest['seconds']:.2f} s" if family else ""
        lines.append(
            f"| {family or 'all'} | {len(of)} | {seconds:.1f} | {name} | {size / 1000:.0f} kB |"
        )
    return "\n".join(lines)


def shown(values):
    """Median (least–most) of seconds, and the number of kernels compiled."""
    seconds = [one[0] for one in values]
    kernels = max(one[1] for one in values)
    spread = f" ({min(seconds):.1f}–{max(seconds):.1f})" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.1f} s{spread}, {kernels}"


def table_of_networks(rounds):
    """The table of first runs."""
    lines = [
        "| network | first run: seconds, kernels compiled | after the warm-up |",
        "|---|---|---|",
    ]
    for name in NETWORKS:
        cells = [
            shown([found[name, case] for found, *_ in rounds])
            for case in ("first", "after warm-up")
        ]
        before = "then " if name in LATER else ""
        after = "" if name in LATER else ", nothing compiled"
        lines.append(f"| {before}{name}{after} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure, print, and write the tables if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="into docs/compiling.md")
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as scratch:
            rounds.append(one_round(Path(scratch)))
    _, _, warm, kinds = min(rounds, key=lambda one: one[2]["seconds"])
    shares = [share for _, those, *_ in rounds for share in those]
    compiling, llvm = (sum(column) for column in zip(*shares, strict=True))
    here = (
        f"{platform.processor() or platform.machine()}, {available_threads()} cores, "
        f"neocog {neocog.__version__}"
    )
    of_kinds = (
        f"{here}: `neocog warm-up` took {warm['seconds']:.0f} s for {warm['compiled']} kinds.\n\n"
        f"{table_of_kinds(kinds)}\n\n"
        f"Of this time LLVM takes {llvm / compiling:.0%}, and Numba's front end the rest.\n"
    )
    networks = (
        f"{here}: seconds from the start of the process to the end of one step of eight images, "
        "lite0 at 224 × 224. Each of the last three finds what resnet18 and the networks above it "
        f"have compiled. Medians of {options.rounds} rounds.\n\n"
        f"{table_of_networks(rounds)}\n"
    )
    print(f"{of_kinds}\n{networks}")
    if options.write:
        write_table("docs/compiling.md", "kinds", of_kinds)
        write_table("docs/compiling.md", "first runs", networks)


if __name__ == "__main__":
    main()
