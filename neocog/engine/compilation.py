"""Compiles a program's kernels, with the help of other processes where there are many.

Numba compiles one function at a time in a process. A network's dozens of kernels take other cores'
time too when other processes compile some of them into the cache on disk, from which this one
reads them. Whatever goes wrong there, this process compiles what it does not find.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from neocog.kernels.compiling import is_kept, kernel_address
from neocog.kernels.geometry import kind_of

__all__ = ["announced", "compile_all"]

# Fewer kernels than this for each process are compiled before another one is ready to help.
_WORTHWHILE = 5

# A kernel and the stage that it is compiled for.
_Pair = tuple[Any, Any]


def compile_all(
    pairs: Sequence[_Pair], cores: int, on_compile: Callable[[int], None] | None = None
) -> list[int]:
    """The address of each kernel's machine code for its stage.

    Args:
        pairs: kernels with their stages; some may be equal.
        cores: how many processes may compile. `NEOCOG_COMPILERS`, a number, comes first.
        on_compile: told how many are to be compiled, if any, before that begins; without it, who
            is told by `announced`.
    """
    on_compile = on_compile or _told.get()
    pairs = [(kernel, kind_of(stage)) for kernel, stage in pairs]
    missing = [pair for pair in dict.fromkeys(pairs) if not is_kept(*pair)]
    if missing and on_compile is not None:
        on_compile(len(missing))
    cores = int(os.environ.get("NEOCOG_COMPILERS", cores))
    with _helpers(missing, min(cores, len(missing) // _WORTHWHILE) - 1):
        for pair in missing:
            kernel_address(*pair)
    return [kernel_address(*pair) for pair in pairs]


_told: ContextVar[Callable[[int], None] | None] = ContextVar("told", default=None)


@contextlib.contextmanager
def announced(on_compile: Callable[[int], None]) -> Iterator[None]:
    """Have `on_compile` told of what this thread compiles meanwhile, as by `compile_all`."""
    token = _told.set(on_compile)
    try:
        yield
    finally:
        _told.reset(token)


@contextlib.contextmanager
def _helpers(missing: Sequence[_Pair], count: int) -> Iterator[None]:
    """Processes that compile from the end of the list, or from other places, to its beginning."""
    running = []
    for n in range(max(0, count) if sys.executable else 0):
        end = len(missing) * (n + 1) // count
        turned = [*missing[end:], *missing[:end]][::-1]
        named = [(k.py_func.__module__, k.py_func.__name__, stage) for k, stage in turned]
        try:
            process = subprocess.Popen(  # noqa: S603  (this very program)
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            assert process.stdin is not None  # noqa: S101
            process.stdin.write(pickle.dumps(named))
            process.stdin.close()
        except OSError:
            break
        running.append(process)
    try:
        yield
    except BaseException:
        for process in running:
            process.kill()
        raise
    finally:
        for process in running:  # it ends when all are there, after the one that it is at
            process.wait()


def _help() -> None:
    """Compile what the process that started this one has written to its input."""
    from importlib import import_module

    # Only ever what `_helpers` wrote.
    for module, name, stage in pickle.load(sys.stdin.buffer):  # noqa: S301
        kernel = getattr(import_module(module), name)
        if not is_kept(kernel, stage):
            kernel_address(kernel, stage)


if __name__ == "__main__":
    _help()
