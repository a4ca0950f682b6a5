"""``neocog kernels``."""

import json
from collections import Counter

from neocog.cli.terminal import counted
from neocog.kernels.compiler.kernel_cache import MachineCode, cache_folder
from neocog.kernels.kinds import KernelKind, all_kinds
from neocog.limits import readable

__all__ = ["kernels"]

_WIDE = 60


def kernels(json_: bool) -> int:
    """Print every kind of kernel: whether it is compiled, the seconds that took, and its size."""
    rows = [(kind, kind.compiled()) for kind in all_kinds()]
    codes = [code for _, code in rows if code is not None]
    several = Counter(kind.kernel for kind, _ in rows)
    folder, seconds = cache_folder(), sum(code.seconds for code in codes)
    size = sum(len(code.code) for code in codes)
    if json_:
        total = {"folder": folder and str(folder), "seconds": seconds, "bytes": size}
        print(json.dumps({**total, "kinds": [_plain(kind, code) for kind, code in rows]}))
        return 0
    family = kernel = ""
    for kind, code in rows:
        if kind.family != family:
            head = _row(kind.family, "seconds", "size")
            print(f"\n{head}" if family else head)
            family = kind.family
        columns = ("–", "–") if code is None else (f"{code.seconds:.2f}", readable(len(code.code)))
        if several[kind.kernel] == 1:
            print(_row(f"  {kind.kernel}", *columns))
            continue
        if kind.kernel != kernel:
            print(f"  {kind.kernel}")
            kernel = kind.kernel
        print(_row(f"    {kind.difference or 'none of these'}", *columns))
    print(f"\n{counted(len(rows), 'kind')}, of which {len(codes):,} are compiled", end="")
    print(f": {seconds:.1f} s of one core, {readable(size)}" if codes else "", end=".\n")
    if len(codes) < len(rows):
        print("Compile all: neocog warm-up")
    return 0


def _row(name: str, seconds: str, size: str) -> str:
    cut = name if len(name) <= _WIDE else f"{name[: _WIDE - 1]}…"
    return f"{cut:<{_WIDE}}  {seconds:>7}  {size:>9}"


def _plain(kind: KernelKind, code: MachineCode | None) -> dict[str, object]:
    return {
        "family": kind.family,
        "kernel": kind.kernel,
        "constants": kind.constants,
        "compiled": code is not None,
        "seconds": code and code.seconds,
        "bytes": code and len(code.code),
    }
