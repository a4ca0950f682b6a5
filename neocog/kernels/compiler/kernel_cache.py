"""The disk cache of machine code: its folder, its entries, and locks for compiling.

An entry is a file with the SHA-256 of all that follows, the length of a header, the header as JSON,
and LLVM's object code. Nothing is unpickled. If an entry is damaged or does not match, the kernel
is compiled again. As machine code gets executed, entries are only read and written in folders to
which no other user can write (`private_folder`); without one, every process compiles for itself.

The folder's name is a hash of all source files of this package, because an edit in `emitter.py`
changes all kernels, and of the versions of the compilers.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import numba
from filelock import FileLock, Timeout

from neocog import files
from neocog.errors import NeocogError
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import Size
from neocog.private_folder import private_folder, require_private

__all__ = [
    "MachineCode",
    "await_claim",
    "cache_folder",
    "claim",
    "is_open",
    "read",
    "required_folder",
    "root",
    "write",
]

_FORMAT = 4
_DIGEST, _LENGTH = 32, 4
# Bounds on sizes: symbols may have a kilobyte, tables of numbers a few, and the largest kernels a
# few hundred.
_LONGEST_HEADER, _LARGEST = 2**15, 2**26

# Attributes that are read from specs: public ones.
_PATH = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", re.IGNORECASE | re.ASCII)

# Seconds to wait for a process that is compiling a kernel, and between two checks.
_PATIENCE, _PAUSE = 30.0, 0.02

_log = logging.getLogger("neocog")


class MachineCode(NamedTuple):
    """Object code of a function.

    Attributes:
        symbol: the function's name.
        code: the object file.
        sizes: the attributes of specs that it reads.
        seconds: what compiling it took.
    """

    symbol: str
    code: bytes
    sizes: tuple[Size, ...] = ()
    seconds: float = 0.0


# The folder


@cache
def root() -> Path | None:
    """The root folder of the cache; None if there is none."""
    return files.cache_root()


@cache
def cache_folder() -> Path | None:
    """The folder of entries: one for each state of the sources and of Numba."""
    above = root()
    if above is None:
        return None
    digest = hashlib.sha256()
    here = Path(__file__).parents[1]
    for path in sorted(here.rglob("*.py")):
        digest.update(
            path.relative_to(here).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
        )
    versions = (numba.__version__, llvmlite.__version__, sys.version, LANES)
    digest.update(repr(versions).encode())
    return above / "kernels" / digest.hexdigest()[:20]


@cache
def _opened() -> Path | None:
    """The folder, created and checked to be this user's; None if the cache is not used."""
    folder = cache_folder()
    if folder is None:
        _say_not_kept("the system knows no home folder")
        return None
    try:
        return private_folder(folder)
    except OSError as error:
        _say_not_kept(_reason(error, folder))
        return None


def is_open() -> bool:
    """Whether entries can be read."""
    return _opened() is not None


def required_folder() -> Path:
    """The folder of entries, for who has no use for kernels that are not kept.

    Raises:
        NeocogError: entries cannot be kept there.
    """
    reason, folder = "the system knows no home folder", cache_folder()
    if folder is not None:
        try:
            return private_folder(folder)
        except OSError as error:
            reason = _reason(error, folder)
    raise NeocogError(
        f"Compiled kernels cannot be kept: {reason}. NEOCOG_CACHE_DIR can name another folder."
    )


def _reason(error: OSError, folder: Path) -> str:
    # Not the error's own file name, which may be temporary.
    text = error.strerror or str(error)
    return text if str(folder.anchor) in text else f"{folder}: {text}"


@cache
def _say_not_kept(reason: str) -> None:
    _log.warning(
        "Compiled kernels are not kept, so they compile anew each time: %s. "
        "NEOCOG_CACHE_DIR can name another folder for them.",
        reason,
    )


# Entries


def read(name: str) -> MachineCode | None:
    """The entry with this name, if it exists and is intact."""
    folder = _opened()
    if folder is None:
        return None
    path = folder / name
    try:
        with files.open_regular(path, follow_links=False) as file:
            require_private(os.fstat(file.fileno()), path)
            content = file.read(_LARGEST + 1)
        return _parsed(name, content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _log.debug("The machine code in %s is not used: %s", path, error)
        return None


def _parsed(name: str, content: bytes) -> MachineCode:
    if len(content) > _LARGEST or hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ValueError("it is torn")
    begin = _DIGEST + _LENGTH
    size = int.from_bytes(content[_DIGEST:begin], "big")
    if size > _LONGEST_HEADER:
        raise ValueError("its header is too long")
    header = json.loads(content[begin : begin + size])
    code = content[begin + size :]
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    machine_code = MachineCode(
        str(header.get("symbol")),
        code,
        tuple(_size(one) for one in header.get("sizes", ())),
        _seconds(header.get("seconds")),
    )
    if header != _header(name, machine_code):
        raise ValueError("it is of another format or another kernel")
    return machine_code


def _size(given: Any) -> Size:
    path, code = given
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ValueError("it reads what is no attribute of a spec")
    if code not in ("i", "b", "f", "t"):
        raise ValueError("it reads a number of no known type")
    return Size(path, code)


def _seconds(given: Any) -> float:
    if not isinstance(given, float) or not math.isfinite(given) or given < 0:
        raise ValueError("nothing compiles for such a time")
    return given


def _header(name: str, machine_code: MachineCode) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "name": name,
        "symbol": machine_code.symbol,
        "bytes": len(machine_code.code),
        "sizes": [list(size) for size in machine_code.sizes],
        "seconds": machine_code.seconds,
    }


def write(name: str, machine_code: MachineCode) -> None:
    """Write an entry atomically; a failure is logged once."""
    if _opened() is None:
        return
    folder = cache_folder()
    assert folder is not None  # noqa: S101
    header = json.dumps(_header(name, machine_code)).encode()
    rest = len(header).to_bytes(_LENGTH, "big") + header + machine_code.code
    try:
        # Created again in case someone has cleared the cache since.
        with files.writing(private_folder(folder) / name) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600)  # whatever the user's umask allows others
            file.write(hashlib.sha256(rest).digest() + rest)
    except OSError as error:  # a full or read-only disk; the kernel still works
        _say_not_kept(_reason(error, folder))


# Who compiles what


@contextmanager
def claim(name: str) -> Iterator[bool]:
    """Whether this process has claimed the compiling of `name`, within the ``with`` block.

    A claim is a lock of the operating system, which ends with its process, however that ends. Where
    locks are impossible, as on a read-only disk, every claim succeeds.
    """
    folder = _opened()
    if folder is None:
        yield True
        return
    path = folder / f"{name}.lock"
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError, RuntimeError) as error:
        _log.debug("There is no lock in %s: %s", folder, error)
        yield True
        return
    try:
        yield True
    finally:
        # Removed while the lock is held: whoever waits for this file finds the entry once it has
        # the lock. Two processes can then both have a claim, and only compile the same twice.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


@contextmanager
def await_claim(name: str) -> Iterator[None]:
    """Wait for a claim, with a time limit, and hold it within the ``with`` block."""
    until = time.monotonic() + _PATIENCE
    while True:
        with claim(name) as mine:
            if mine or time.monotonic() > until:
                yield
                return
        time.sleep(_PAUSE)
