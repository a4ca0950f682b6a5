"""Compiles a program's kernels, with the help of other processes where there are many.

Numba compiles one function at a time in a process. To use the other cores for a network's dozens
of kernels, helper processes compile some of them into the cache on disk, from which this process
loads them. Each process takes kernels that no other has claimed, whether that is a helper or
another program. If a helper fails, this process compiles whatever is missing.
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
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.compile_helper import help_compiling
from neocog.kernels.compiler.jit import (
    Compilable,
    CompiledKernel,
    compile_unclaimed,
    compiled_kernel,
    kept_kernel,
)
from neocog.kernels.compiler.spec import kind_of
from neocog.signals import deferred_signals

__all__ = ["announced", "compile_all"]

# With fewer kernels per process than this, all are compiled before a helper has started.
_WORTHWHILE = 4

_MOST_COMPILERS = 1024

# Seconds to wait for other processes' kernels while none arrives, and between two looks.
_PATIENCE, _PAUSE = 30.0, 0.02

# The program of a helper. The first line of its input says where modules are. It imports the same
# neocog as this process, even from a clone in the current folder.
_START = f"""
import importlib.util, json, sys
sys.path[:], own = json.loads(sys.stdin.buffer.readline())
spec = importlib.util.spec_from_file_location("neocog", own)
sys.modules["neocog"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["neocog"])
from {help_compiling.__module__} import help_compiling
help_compiling()
"""

# A kernel and the spec that it is compiled for.
_Pair = tuple[Compilable, Any]

_log = logging.getLogger("neocog")


def compile_all(
    pairs: Sequence[_Pair],
    cores: int,
    on_compile: Callable[[int], None] | None = None,
    *,
    on_compiled: Callable[[int], None] | None = None,
) -> list[CompiledKernel]:
    """Each kernel's machine code for its spec.

    Args:
        pairs: kernels with their specs; some may be equal.
        cores: how many processes may compile. `NEOCOG_COMPILERS`, a number, comes first.
        on_compile: called with the number of kernels to compile, if any, before that begins;
            without it, the function given to `announced` is called.
        on_compiled: called with the number of kernels that are left, now and then.

    Raises:
        NeocogError: `NEOCOG_COMPILERS` is not such a number.
    """
    on_compile = on_compile or _told.get()
    compilers = _compilers(cores)
    kinds = {(kernel, kind_of(spec)): (kernel, spec) for kernel, spec in pairs}
    missing = [pair for pair in kinds.values() if kept_kernel(*pair) is None]
    if missing:
        if on_compile is not None:
            on_compile(len(missing))
        with _helpers(missing, min(compilers, len(missing) // _WORTHWHILE) - 1):
            _share(missing, on_compiled)
        with deferred_signals():
            gc.collect()  # llvmlite frees twice if it is interrupted while it frees
    return [compiled_kernel(*pair) for pair in pairs]


_told: ContextVar[Callable[[int], None] | None] = ContextVar("told", default=None)


@contextlib.contextmanager
def announced(on_compile: Callable[[int], None]) -> Iterator[None]:
    """Within this context, `compile_all` calls `on_compile` in this thread."""
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


def _share(missing: Sequence[_Pair], on_compiled: Callable[[int], None] | None = None) -> None:
    """Compile what no other process has claimed, then wait for the rest with a time limit."""
    left = list(missing)
    until = time.monotonic() + _PATIENCE
    while left:
        waiting = []
        for n, pair in enumerate(left, 1):
            if not compile_unclaimed(*pair):
                waiting.append(pair)
            if on_compiled is not None:
                on_compiled(len(left) - n + len(waiting))
        if len(waiting) < len(left):
            until = time.monotonic() + _PATIENCE
        elif time.monotonic() > until:  # a process that is stuck but alive
            compiled_kernel(*waiting[0])
        else:
            time.sleep(_PAUSE)
        left = waiting


@contextlib.contextmanager
def _helpers(missing: Sequence[_Pair], count: int) -> Iterator[None]:
    """Start helper processes; they are killed at the end, not waited for."""
    with contextlib.ExitStack() as stack:
        # One process with helpers is enough for a machine.
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
    """Whether `sys.executable` is a Python that can be started, not a program that embeds one."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith("python") and not getattr(sys, "frozen", False)


@contextlib.contextmanager
def _helper(missing: Sequence[_Pair]) -> Iterator[subprocess.Popen[bytes]]:
    """One helper, killed when the block ends: by then every kernel has been compiled."""
    named = [(kernel.__module__, kernel.__name__, spec) for kernel, spec in missing]
    # Files, not pipes, so that a helper that does not read, or writes much, blocks nobody.
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
            if process.poll():  # not after an interrupt, which the helper got too
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
    """The folders in which this process finds modules, without the current one."""
    here = os.path.realpath(".")
    return [p for p in sys.path if Path(p).is_absolute() and os.path.realpath(p) != here]


def _package() -> str:
    """The file of the package itself."""
    return str(Path(kernel_cache.__file__).parents[2] / "__init__.py")


def _last_line(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
