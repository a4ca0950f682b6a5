"""Compiles kernels, and caches their machine code for other processes.

All compile settings are here. `kernel` marks a function whose machine code is cached on disk,
`inlined` and `always_inlined` mark functions that are only parts of kernels. `python_function` has
functions that Python calls.

There is no fast-math: it would assume that NaN and infinity do not occur, and hide divergence.

Numba's own disk cache has three faults. It only looks at the file of the cached function, so an
edit in `emitter.py` would leave stale code in use; a truncated entry makes it raise; and it
unpickles files. Here only object code is cached (`kernel_cache`). That is enough, because all of it
is called by its address. Nor does it need Numba's runtime, which takes a third of a second to
load: nothing in it allocates memory or sees an object of Python's.

Ctrl+C waits until a kernel is compiled or loaded: an exception in the middle of LLVM's work makes
it free a module twice, which aborts the process.
"""

import hashlib
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
from numba import njit, types
from numba.core.compiler_lock import global_compiler_lock

from neocog.errors import NeocogError
from neocog.kernels.codegen.loading import load
from neocog.kernels.codegen.vector_types import LONGS
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.kernel_cache import MachineCode
from neocog.kernels.compiler.numba_passes import KernelCompiler, PartCompiler
from neocog.kernels.compiler.operands import OperandsType, in_order
from neocog.kernels.compiler.spec import Size, SpecType, kind_of, numbers_of, sizes_of
from neocog.signals import deferred_signals

__all__ = [
    "KERNEL_ARGUMENTS",
    "Compilable",
    "CompiledKernel",
    "Kernel",
    "always_inlined",
    "awaited_kernel",
    "cache_entry",
    "compile_unclaimed",
    "compiled_kernel",
    "inlined",
    "kept_kernel",
    "kernel",
]

if numba.config.DISABLE_JIT:
    raise NeocogError("neocog needs Numba's compiler: unset NUMBA_DISABLE_JIT.")

_log = logging.getLogger("neocog")

_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    # No wrapper for Python, because all is called by its address, and no memory that Numba manages.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}

inlined = njit(**_OPTIONS, pipeline_class=PartCompiler)

#: For the innermost loops: LLVM would rather call a long block than duplicate its code, and then
#: pass the sums through memory.
always_inlined = njit(forceinline=True, **_OPTIONS, pipeline_class=PartCompiler)

#: Arguments of every kernel: the table of its spec's numbers, that of its operands' addresses, the
#: first item and the number of items.
KERNEL_ARGUMENTS = (LONGS, LONGS, types.int64, types.int64)

_ITEMS = (types.int64, types.int64)


class CompiledKernel(NamedTuple):
    """The machine code of a kernel for one kind of specs.

    Attributes:
        address: of the function.
        sizes: what it reads from the table of numbers; see `numbers_of`.
    """

    address: int
    sizes: tuple[Size, ...]


class Compilable(ABC):
    """A function that is compiled, for each kind of specs if it has any.

    Attributes:
        function: the Python function.
        operands: the types of its operands by name; in the order of their table.
        operands_type: the Numba type of their table.
        dispatcher: what Numba compiles.
    """

    def __init__(self, function: Any, operands: Mapping[str, Any]) -> None:
        self.function, self.operands = function, dict(operands)
        self.operands_type = OperandsType(operands)
        self.dispatcher = njit(**_OPTIONS, pipeline_class=KernelCompiler)(function)
        self.__name__, self.__module__ = function.__name__, function.__module__
        self.__doc__ = function.__doc__

    def __reduce__(self) -> Any:
        return getattr, (sys.modules[self.__module__], self.__name__)

    @abstractmethod
    def signature(self, spec: Any) -> tuple[Any, ...]:
        """The Numba types of its arguments for a spec."""


class Kernel(Compilable):
    """A function (spec, operands, first, count) that runs over items of its operands."""

    def signature(self, spec: Any) -> tuple[Any, ...]:
        """The Numba types of its arguments for a spec."""
        return (SpecType(spec), self.operands_type, *_ITEMS)

    def in_order(self, given: Mapping[str, str | None]) -> tuple[str | None, ...]:
        """What is given for each operand, in the order of their table; see `operands.in_order`."""
        return in_order(self.__name__, self.operands, given)


#: Kernels that are compiled or loaded, by the kernel and the kind.
_compiled: dict[tuple[Compilable, Any], CompiledKernel] = {}


def kernel(**operands: Any) -> Callable[[Any], Kernel]:
    """Declare a kernel's operands: their names and pointer types, in the order of their table."""
    return lambda function: Kernel(function, operands)


def kept_kernel(kernel: Compilable, spec: Any) -> CompiledKernel | None:
    """The kernel's machine code for the kind of `spec`; None if it must be compiled."""
    key = kernel, kind_of(spec)
    if key in _compiled:
        return _compiled[key]
    with global_compiler_lock:
        if key not in _compiled:
            code = cache_entry(kernel, spec)
            if code is None or not _can_be_read(code.sizes, spec):
                return None
            _compiled[key] = CompiledKernel(_loaded(code), code.sizes)
        return _compiled[key]


def cache_entry(kernel: Compilable, spec: Any) -> MachineCode | None:
    """What the disk has for the kind of `spec`; it is not loaded."""
    return kernel_cache.read(_name(kernel, spec))


def _can_be_read(sizes: tuple[Size, ...], spec: Any) -> bool:
    try:
        numbers_of(sizes, spec)
    except (AttributeError, KeyError, TypeError) as error:
        _log.debug("Machine code for %s is not used: %s", type(spec).__name__, error)
        return False
    return True


def compiled_kernel(kernel: Compilable, spec: Any) -> CompiledKernel:
    """The kernel's machine code for the kind of `spec`, compiled if it must be."""
    with global_compiler_lock:
        kept = kept_kernel(kernel, spec)
        if kept is not None:
            return kept
        signature, dispatcher = kernel.signature(spec), kernel.dispatcher
        with deferred_signals():
            began = time.perf_counter()
            dispatcher.compile(signature)
            seconds = time.perf_counter() - began
            result = dispatcher.overloads[signature]
            symbol = result.fndesc.llvm_func_name
            address = int(result.library.get_pointer_to_function(symbol))
            sizes = tuple(sizes_of(spec))
            compiled = _compiled[kernel, kind_of(spec)] = CompiledKernel(address, sizes)
        library = result.library
        code = library._compiled_object  # None, if an interrupt kept Numba from setting it
        if code and not library.has_dynamic_globals:
            kernel_cache.write(_name(kernel, spec), MachineCode(symbol, code, sizes, seconds))
        return compiled


def awaited_kernel(kernel: Compilable, spec: Any) -> CompiledKernel:
    """As `compiled_kernel`; if another process is compiling it, wait for that with a time limit."""
    kept = kept_kernel(kernel, spec)
    if kept is None:
        with kernel_cache.await_claim(_name(kernel, spec)):
            return compiled_kernel(kernel, spec)
    return kept


def compile_unclaimed(kernel: Compilable, spec: Any) -> bool:
    """Load or compile the kernel for `spec`; False if another process is compiling it."""
    if kept_kernel(kernel, spec) is None:
        with kernel_cache.claim(_name(kernel, spec)) as mine:
            if not mine:
                return False
            compiled_kernel(kernel, spec)
    return True


def _name(kernel: Compilable, spec: Any) -> str:
    """The name of a cache entry: the function, and a hash of its argument types."""
    function, dispatcher = kernel.function, kernel.dispatcher
    compiled_for = (
        function.__module__,
        str(kernel.signature(spec)),
        dispatcher.targetctx.codegen().magic_tuple(),
    )
    digest = hashlib.sha256(repr(compiled_for).encode()).hexdigest()
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}-{digest[:40]}"


def _loaded(code: MachineCode) -> int:
    """Load a cache entry into memory; returns the address of its function."""
    with deferred_signals():
        return load(code.code, code.symbol)
