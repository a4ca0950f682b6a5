"""All kinds of kernels, compiled ahead of the first network."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neocog.engine.compilation import compile_all
from neocog.engine.cores import available_threads
from neocog.errors import NeocogError
from neocog.kernels.compiler.kernel_cache import required_folder
from neocog.kernels.kinds import all_kinds

__all__ = ["WarmUp", "compile_all_kinds"]


class WarmUp(NamedTuple):
    """What was compiled.

    Attributes:
        kinds: number of all kinds of kernels.
        compiled: how many of them were compiled now.
        seconds: the time that took.
        size: bytes of the machine code of all kinds.
        folder: where that is.
    """

    kinds: int
    compiled: int
    seconds: float
    size: int
    folder: Path


def compile_all_kinds(
    on_compile: Callable[[int], None] | None = None,
    on_compiled: Callable[[int], None] | None = None,
) -> WarmUp:
    """Compile every kind of kernel that is not on the disk yet, by several processes.

    Args:
        on_compile: called with the number of kinds to compile, if any, before that begins.
        on_compiled: called with the number of kinds that are left, now and then.

    Raises:
        NeocogError: machine code cannot be kept on this machine.
    """
    folder, began = required_folder(), time.perf_counter()
    kinds = all_kinds()
    missing = [kind for kind in kinds if kind.compiled() is None]
    pairs = [(kind.code, kind.spec) for kind in missing]
    if missing and on_compile is not None:
        on_compile(len(missing))
    compile_all(pairs, available_threads(), _silent, on_compiled=on_compiled)
    seconds = time.perf_counter() - began
    codes = [kind.compiled() for kind in kinds]
    if None in codes:
        lost = sum(code is None for code in codes)
        raise NeocogError(f"The machine code of {lost:,} kinds could not be written to {folder}.")
    size = sum(len(code.code) for code in codes if code is not None)
    return WarmUp(len(kinds), len(missing), seconds, size, folder)


def _silent(_count: int) -> None:
    pass
