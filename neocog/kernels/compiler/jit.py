"""Compiles kernels, and caches their machine code for other processes.

All compile settings are here. `kernel` marks a function whose machine code is cached on disk,
`inlined` and `always_inlined` mark functions that are only parts of kernels.

There is no fast-math: it would assume that NaN and infinity do not occur, and hide divergence.

Numba's own disk cache has three faults. It only looks at the file of the cached function, so an
edit in `emitter.py` would leave stale code in use; a truncated entry makes it raise; and it
unpickles files. Here only object code is cached (`kernel_cache`). That is enough, because kernels
are called by their address, and functions that Python calls by the address of Numba's wrapper.

Ctrl+C waits until a kernel is compiled or loaded: an exception in the middle of LLVM's work makes
it free a module twice, which aborts the process.
"""

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
from numba import njit, types
from numba._dynfunc import make_function
from numba.core.compiler import compile_result
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import Environment
from numba.core.typing import signature as typed

from neocog.errors import NeocogError
from neocog.kernels.codegen.vector_types import LONGS
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.kernel_cache import MachineCode
from neocog.kernels.compiler.numba_passes import FunctionCompiler, KernelCompiler, PartCompiler
from neocog.kernels.compiler.operands import OperandsType, in_order
from neocog.kernels.compiler.spec import Size, SpecType, kind_of, numbers_of, sizes_of
from neocog.signals import deferred_signals

__all__ = [
    "KERNEL_ARGUMENTS",
    "CompiledKernel",
    "Kernel",
    "PythonFunction",
    "always_inlined",
    "cache_entry",
    "called_from_python",
    "compile_unclaimed",
    "compiled_kernel",
    "inlined",
    "kept_kernel",
    "kernel",
    "python_functions",
]

if numba.config.DISABLE_JIT:
    raise NeocogError("neocog needs Numba's compiler: unset NUMBA_DISABLE_JIT.")

_log = logging.getLogger("neocog")

_OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}
# No wrapper for Python: kernels are called by their address.
_BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inlined = njit(**_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: For the innermost loops: LLVM would rather call a long block than duplicate its code, and then
#: pass the sums through memory.
always_inlined = njit(forceinline=True, **_OPTIONS, **_BARE, pipeline_class=PartCompiler)

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


class PythonFunction(NamedTuple):
    """A function that Python calls, and the types of its arguments."""

    dispatcher: Any
    arguments: tuple[Any, ...]

    def signature(self, spec: None = None) -> tuple[Any, ...]:
        """The types of its arguments; it has no spec."""
        return self.arguments

    def compile(self) -> None:
        """Load or compile it."""
        self.dispatcher.compile(self.arguments)


class Kernel:
    """A function that runs over items of its operands, compiled for each kind of specs.

    Attributes:
        function: the Python function (spec, operands, first, count).
        operands: the types of its operands by name; in the order of their table.
    """

    def __init__(self, function: Any, operands: Mapping[str, Any]) -> None:
        self.function, self.operands = function, dict(operands)
        self.dispatcher = njit(**_OPTIONS, **_BARE, pipeline_class=KernelCompiler)(function)
        self._operands_type = OperandsType(operands)
        self.__name__, self.__module__ = function.__name__, function.__module__
        self.__doc__ = function.__doc__

    def __reduce__(self) -> Any:
        return getattr, (sys.modules[self.__module__], self.__name__)

    def signature(self, spec: Any) -> tuple[Any, ...]:
        """The Numba types of its arguments for a spec."""
        return (SpecType(spec), self._operands_type, *_ITEMS)

    def in_order(self, given: Mapping[str, str | None]) -> tuple[str | None, ...]:
        """What is given for each operand, in the order of their table; see `operands.in_order`."""
        return in_order(self.__name__, self.operands, given)


#: All functions that Python calls, of the modules that are imported; by themselves.
python_functions: dict[Any, PythonFunction] = {}

#: Kernels that are compiled or loaded, by the kernel and the kind.
_compiled: dict[tuple[Kernel, Any], CompiledKernel] = {}
#: Objects that keep their machine code alive.
_libraries: list[Any] = []


def kernel(**operands: Any) -> Callable[[Any], Kernel]:
    """Declare a kernel's operands: their names and pointer types, in the order of their table."""
    return lambda function: Kernel(function, operands)


def called_from_python(*arguments: Any) -> Any:
    """As `kernel`, for a function that Python calls with arguments of these types."""

    def decorate(function: Any) -> Any:
        options = {**_OPTIONS, "no_cfunc_wrapper": True, "pipeline_class": FunctionCompiler}
        dispatcher = njit(**options)(function)
        _keep_on_disk(dispatcher)
        python_functions[dispatcher] = PythonFunction(dispatcher, arguments)
        return dispatcher

    return decorate


def _keep_on_disk(dispatcher: Any) -> None:
    """Have a dispatcher look for machine code on the disk before it compiles."""
    compiled = dispatcher.compile

    def read_or_compile(kinds: Any) -> Any:
        with global_compiler_lock:
            if kinds in dispatcher.overloads:  # another thread has compiled it
                return dispatcher.overloads[kinds].entry_point
            name = _name(dispatcher, kinds)
            code = kernel_cache.read(name)
            if code is None:
                with kernel_cache.await_claim(name):
                    code = kernel_cache.read(name)
                    if code is None:
                        began = time.perf_counter()
                        with deferred_signals():
                            entry = compiled(kinds)
                        seconds = time.perf_counter() - began
                        result = dispatcher.overloads[kinds]
                        named = result.fndesc
                        symbols = named.llvm_cpython_wrapper_name, named.env_name
                        _keep(name, result, *symbols, seconds=seconds)
                        return entry
            return _entered(dispatcher, kinds, code)

    dispatcher.compile = read_or_compile


def kept_kernel(kernel: Kernel, spec: Any) -> CompiledKernel | None:
    """The kernel's machine code for the kind of `spec`; None if it must be compiled."""
    key = kernel, kind_of(spec)
    if key in _compiled:
        return _compiled[key]
    with global_compiler_lock:
        if key not in _compiled:
            code = cache_entry(kernel, spec)
            if code is None or not _can_be_read(code.sizes, spec):
                return None
            _compiled[key] = CompiledKernel(_loaded(kernel.dispatcher, code), code.sizes)
        return _compiled[key]


def cache_entry(code: Kernel | PythonFunction, spec: Any) -> MachineCode | None:
    """What the disk has for the kind of `spec`; it is not loaded."""
    return kernel_cache.read(_name(code.dispatcher, code.signature(spec)))


def _can_be_read(sizes: tuple[Size, ...], spec: Any) -> bool:
    try:
        numbers_of(sizes, spec)
    except (AttributeError, KeyError, TypeError) as error:
        _log.debug("Machine code for %s is not used: %s", type(spec).__name__, error)
        return False
    return True


def compiled_kernel(kernel: Kernel, spec: Any) -> CompiledKernel:
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
        _keep(_name(dispatcher, signature), result, symbol, sizes=sizes, seconds=seconds)
        return compiled


def compile_unclaimed(kernel: Kernel, spec: Any) -> bool:
    """Load or compile the kernel for `spec`; False if another process is compiling it."""
    if kept_kernel(kernel, spec) is None:
        with kernel_cache.claim(_name(kernel.dispatcher, kernel.signature(spec))) as mine:
            if not mine:
                return False
            compiled_kernel(kernel, spec)
    return True


def _name(dispatcher: Any, signature: Any) -> str:
    """The name of a cache entry: the function, and a hash of its argument types."""
    function = dispatcher.py_func
    compiled_for = (
        function.__module__,
        str(signature),
        dispatcher.targetctx.codegen().magic_tuple(),
    )
    digest = hashlib.sha256(repr(compiled_for).encode()).hexdigest()
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}-{digest[:40]}"


def _keep(
    name: str,
    result: Any,
    symbol: str,
    environment: str = "",
    *,
    sizes: tuple[Size, ...] = (),
    seconds: float,
) -> None:
    """Write compiled code to the disk, unless it depends on this process."""
    library = result.library
    code = library._compiled_object  # None, if an interrupt kept Numba from setting it
    environments = result._find_referenced_environments()
    if code and not library.has_dynamic_globals and not any(e.consts for e in environments):
        kernel_cache.write(name, MachineCode(symbol, environment, code, sizes, seconds))


def _loaded(dispatcher: Any, code: MachineCode) -> int:
    """Load a cache entry into memory; returns the address of its function."""
    context = dispatcher.targetctx
    with deferred_signals():
        context.refresh()  # so that symbols of Numba's runtime exist
        library = context.codegen().create_library(code.symbol)
        library.enable_object_caching()
        library._set_compiled_object(code.code)
        library._finalize_final_module()
        _libraries.append(library)
        return int(context.codegen()._engine.get_function_address(code.symbol))


def _entered(dispatcher: Any, kinds: Any, code: MachineCode) -> Any:
    """Make the dispatcher call a cache entry for these argument types; returns the entry point."""
    function = dispatcher.py_func
    address = _loaded(dispatcher, code)
    environment = Environment(function.__globals__)
    environment.env_name = code.environment
    dispatcher.targetctx.codegen().set_env(code.environment, environment)
    module = sys.modules[function.__module__]
    entry = make_function(module, function.__name__, "", address, environment, (_libraries[-1],))
    dispatcher.add_overload(
        compile_result(
            signature=typed(types.none, *kinds),  # nobody uses the type of the result
            entry_point=entry,
            environment=environment,
            objectmode=False,
        )
    )
    return entry
