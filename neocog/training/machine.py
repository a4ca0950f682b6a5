"""What a run computes on and with, for its ``run.json``."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog.engine import VECTOR_FLOATS, available_threads
from neocog.version import __version__

__all__ = ["machine", "versions"]


def versions() -> dict[str, str]:
    """Of Python and of all that computes."""
    found = {"python": platform.python_version(), "neocog": __version__}
    for name in ("numpy", "numba", "llvmlite"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The processor, its cores, and the width of the vectors the kernels use."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_threads(),
        "vector_floats": VECTOR_FLOATS,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
