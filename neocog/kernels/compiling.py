"""How kernels are compiled, and kept for the next process.

Every compile setting is here. `kernel` marks a function whose machine code is kept on disk,
`inlined` and `always_inlined` one that is only ever part of a kernel.

No fast-math: it would assume NaN and infinity away, and a diverging run must be seen.

Numba's own disk cache is not used because it looks only at the file that a cached function stands
in, so an edit in `simd.py` would leave stale code in use; and because a torn entry makes it raise.
Here the folder is named by a hash of every source file of this package, and a file carries
the hash of its own content: what does not match is compiled again.
"""

import hashlib
import os
import pickle
import sys
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import platformdirs
from numba import njit, types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from neocog.files import write_bytes
from neocog.kernels.geometry import kind_of
from neocog.kernels.pipeline import KernelCompiler, PartCompiler
from neocog.kernels.simd import LANES
from neocog.kernels.static import StaticType

__all__ = [
    "KERNEL_ARGUMENTS",
    "always_inlined",
    "cache_folder",
    "called_from_python",
    "inlined",
    "is_kept",
    "kernel",
    "kernel_address",
]

_OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}
# No way into them from Python: kernels are called by their address.
_BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inlined = njit(**_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: The same for what stands in the innermost loops: LLVM would rather call a long block than have
#: its code twice, and pass the sums through memory.
always_inlined = njit(forceinline=True, **_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: What every kernel of a program takes: operands' addresses, first item, number of items.
KERNEL_ARGUMENTS = (types.CPointer(types.int64), types.int64, types.int64)


@cache
def cache_folder() -> Path:
    """Where machine code is kept: one folder for each state of the sources and of Numba."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (numba.__version__, llvmlite.__version__, sys.version, LANES)
    digest.update(repr(versions).encode())
    root = os.environ.get("NEOCOG_CACHE_DIR") or platformdirs.user_cache_path("neocog")
    return Path(root) / "kernels" / digest.hexdigest()[:20]


class DiskCache(_Cache):
    """Machine code of one function, a file for each signature and processor."""

    def __init__(self, function: Any) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def enable(self) -> None:
        pass

    def disable(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def path(self, signature: Any, codegen: Any) -> Path:
        key = repr((str(signature), codegen.magic_tuple())).encode()
        return cache_folder() / f"{self._name}-{hashlib.sha256(key).hexdigest()[:24]}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        try:
            content = self.path(sig, target_context.codegen()).read_bytes()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            # Only ever what this program itself wrote into the user's own cache folder.
            payload = pickle.loads(content[32:])  # noqa: S301
            return CompileResult._rebuild(target_context, *payload)
        except Exception:  # whatever is wrong with an entry, compiling mends it
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        content = pickle.dumps(data._reduce(), protocol=pickle.HIGHEST_PROTOCOL)
        path = self.path(sig, data.codegen)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_bytes(path, hashlib.sha256(content).digest() + content)
        except OSError:  # a full or read-only disk: the kernel still runs, and compiles again
            return


def kernel(function: Any) -> Any:
    """Compile `function` with Numba when it is first needed, and keep the machine code."""
    dispatcher = njit(**_OPTIONS, **_BARE, pipeline_class=KernelCompiler)(function)
    dispatcher._cache = DiskCache(function)
    return dispatcher


def called_from_python(function: Any) -> Any:
    """The same for a function that Python calls with arrays and numbers."""
    dispatcher = njit(**_OPTIONS, pipeline_class=KernelCompiler)(function)
    dispatcher._cache = DiskCache(function)
    return dispatcher


def is_kept(dispatcher: Any, stage: Any) -> bool:
    """Whether the kernel's machine code for `stage` is on disk, so that it need not compile."""
    signature = _signature(stage)
    if signature in dispatcher.overloads:
        return True
    try:
        return bool(dispatcher._cache.path(signature, dispatcher.targetctx.codegen()).exists())
    except OSError:  # a folder that is not this user's
        return False


def _signature(stage: Any) -> tuple[Any, ...]:
    return (StaticType(kind_of(stage)), *KERNEL_ARGUMENTS)


def kernel_address(dispatcher: Any, stage: Any) -> int:
    """The address of the kernel's machine code for `stage`, compiled if it must be."""
    signature = _signature(stage)
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))
