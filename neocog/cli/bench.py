"""``neocog bench``."""

import json

from neocog.benchmark import Measured, benchmark
from neocog.cli.terminal import say
from neocog.engine import useful_threads
from neocog.settings.training import check_threads
from neocog.training.machine import machine, versions

__all__ = ["bench"]


def bench(threads: int | None, json_: bool) -> int:
    """Measure and print times in microseconds, and the speed relative to PyTorch."""
    check_threads(threads)
    say("Measuring the note's network; this takes up to a minute …")
    rows = benchmark(threads=threads, rounds=3)
    if json_:
        about = {"machine": machine(), "versions": versions(), "threads": threads}
        print(json.dumps({**about, "rows": [row.to_dict() for row in rows]}))
        return 0
    here = machine()
    print(f"{here['processor']}, {useful_threads(threads)} threads; microseconds, median")
    print(f"{'':<30}{'neocog':>12}{'PyTorch':>14}{'times':>8}")
    for row in rows:
        other = "–" if row.torch is None else f"{_us(row.torch)} ({row.torch_threads} t)"
        ratio = "–" if row.ratio is None else f"{row.ratio:.1f}"
        print(f"{row.name:<30}{_us(row.neocog):>12}{other:>14}{ratio:>8}")
    if rows[0].torch is None:
        print("PyTorch is not installed, so there is nothing to compare with.")
    return 0


def _us(measured: Measured) -> str:
    return f"{measured.median * 1e6:,.1f}"
