"""Compiles a program's kernels, with the help of other processes where there are many.

Numba compiles one function at a time in a process. A network's dozens of kernels take other cores'
time too when other processes compile some of them into the cache on disk, from which this one
reads them. Each takes what no other process has claimed, be it a helper of this one or another
program. Whatever goes wrong there, this process compiles what it does not find.
"""

import contextlib
import gc
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from neocog.errors import NeocogError
from neocog.kernels import kernel_cache
from neocog.kernels.jit import compile_unclaimed, kept_address, kernel_address
from neocog.kernels.runtime_sizes import kind_of
from neocog.signals import deferred_signals

__all__ = ["announced", "compile_all", "help_compiling"]

# Fewer kernels than this for each process are compiled before another one is ready to help.
_WORTHWHILE = 5

_MOST_COMPILERS = 1024

# How long to wait for others' kernels while none comes, and how often to look.
_PATIENCE, _PAUSE = 30.0, 0.02

# What a helper runs. The first line that it reads says where modules are. neocog is this very one,
# wherever it lies: in a clone that may be the current folder, beside other files.
_START = f"""
import importlib.util, json, sys
sys.path[:], own = json.loads(sys.stdin.buffer.readline())
spec = importlib.util.spec_from_file_location("neocog", own)
sys.modules["neocog"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["neocog"])
from {__name__} import help_compiling
help_compiling()
"""

# A kernel and the spec that it is compiled for.
_Pair = tuple[Any, Any]

_log = logging.getLogger("neocog")


def compile_all(
    pairs: Sequence[_Pair], cores: int, on_compile: Callable[[int], None] | None = None
) -> list[int]:
    """The address of each kernel's machine code for its spec.

    Args:
        pairs: kernels with their specs; some may be equal.
        cores: how many processes may compile. `NEOCOG_COMPILERS`, a number, comes first.
        on_compile: told how many are to be compiled, if any, before that begins; without it, who
            is told by `announced`.

    Raises:
        NeocogError: `NEOCOG_COMPILERS` is no such number.
    """
    on_compile = on_compile or _told.get()
    compilers = _compilers(cores)
    pairs = [(kernel, kind_of(spec)) for kernel, spec in pairs]
    missing = [pair for pair in dict.fromkeys(pairs) if kept_address(*pair) is None]
    if missing:
        if on_compile is not None:
            on_compile(len(missing))
        with _helpers(missing, min(compilers, len(missing) // _WORTHWHILE) - 1):
            _share(missing)
        with deferred_signals():
            gc.collect()  # llvmlite frees twice what is interrupted while it is freed
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


def _compilers(cores: int) -> int:
    asked = os.environ.get("NEOCOG_COMPILERS", "").strip()
    if not asked:
        return cores
    if re.fullmatch("[0-9]{1,6}", asked) and 1 <= int(asked) <= _MOST_COMPILERS:
        return int(asked)
    shown = asked if len(asked) <= 40 else f"{asked[:40]}…"
    raise NeocogError(
        f"NEOCOG_COMPILERS (={shown!r}) must be how many processes may compile, "
        f"1 to {_MOST_COMPILERS:,}."
    )


def _share(missing: Sequence[_Pair]) -> None:
    """Compile what no other process has claimed; wait for the rest, but not for ever."""
    left = list(missing)
    until = time.monotonic() + _PATIENCE
    while left:
        waiting = [pair for pair in left if not compile_unclaimed(*pair)]
        if len(waiting) < len(left):
            until = time.monotonic() + _PATIENCE
        elif time.monotonic() > until:  # one who has stopped, but not ended
            kernel_address(*waiting[0])
        else:
            time.sleep(_PAUSE)
        left = waiting


@contextlib.contextmanager
def _helpers(missing: Sequence[_Pair], count: int) -> Iterator[None]:
    """Processes that compile too, of which nobody waits for the end."""
    with contextlib.ExitStack() as stack:
        # One who has helpers already is enough for a machine.
        if (
            count > 0
            and _can_start()
            and kernel_cache.is_open()
            and stack.enter_context(kernel_cache.claim("helpers"))
        ):
            for _ in range(count):
                try:
                    stack.enter_context(_helper(missing))
                except OSError as error:
                    _log.warning("No process can be started to help compiling: %s", error)
                    break
        yield


def _can_start() -> bool:
    """Whether this program is a Python that can be started again, not one inside another."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith("python") and not getattr(sys, "frozen", False)


@contextlib.contextmanager
def _helper(missing: Sequence[_Pair]) -> Iterator[subprocess.Popen[bytes]]:
    """One process, killed when the block is done: then all is there that it could compile."""
    named = [(k.py_func.__module__, k.py_func.__name__, spec) for k, spec in missing]
    # Files, not pipes: nobody waits for a process that does not read, or that writes much.
    with tempfile.TemporaryFile() as work, tempfile.TemporaryFile() as said:
        found = json.dumps([_module_folders(), _package()]).encode()
        work.write(found + b"\n" + pickle.dumps((kernel_cache.cache_folder(), named)))
        work.seek(0)
        process = subprocess.Popen(  # noqa: S603  (this very program)
            # Isolated: not with what lies in the current folder, where users' own files have names
            # like random.py.
            [sys.executable, "-I", "-c", _START],
            stdin=work,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "NEOCOG_CACHE_DIR": str(kernel_cache.root())},
        )
        try:
            yield process
            if process.poll():  # not when interrupted: then it was too
                _log.warning(
                    "A process that helped compiling failed (exit code %d): %s",
                    process.returncode,
                    _last_line(said),
                )
        finally:
            if process.poll() is None:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)


def _module_folders() -> list[str]:
    """Where this process finds modules, without the current folder."""
    here = os.path.realpath(".")
    return [p for p in sys.path if Path(p).is_absolute() and os.path.realpath(p) != here]


def _package() -> str:
    """The file of the package itself."""
    return str(Path(kernel_cache.__file__).parents[1] / "__init__.py")


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def help_compiling() -> None:
    """Compile what the process that started this one has written to its input."""
    from importlib import import_module

    # Only ever what `_helper` wrote.
    folder, named = pickle.load(sys.stdin.buffer)  # noqa: S301
    if kernel_cache.cache_folder() != folder:
        sys.exit("The sources of neocog's kernels were changed, or another Numba was found.")
    for module, name, spec in named:
        compile_unclaimed(getattr(import_module(module), name), spec)
