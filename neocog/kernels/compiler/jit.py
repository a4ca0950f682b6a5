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
import sys
from typing import Any

import numba
from numba import njit, types
from numba._dynfunc import make_function
from numba.core.compiler import compile_result
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import Environment
from numba.core.typing import signature as typed

from neocog.errors import NeocogError
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.kernel_cache import MachineCode
from neocog.kernels.compiler.numba_passes import KernelCompiler, PartCompiler
from neocog.kernels.compiler.runtime_sizes import kind_of
from neocog.kernels.compiler.spec import SpecType
from neocog.signals import deferred_signals

__all__ = [
    "KERNEL_ARGUMENTS",
    "always_inlined",
    "called_from_python",
    "compile_unclaimed",
    "inlined",
    "kept_address",
    "kernel",
    "kernel_address",
]

if numba.config.DISABLE_JIT:
    raise NeocogError("neocog needs Numba's compiler: unset NUMBA_DISABLE_JIT.")

_OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": False}
# No wrapper for Python: kernels are called by their address.
_BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inlined = njit(**_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: For the innermost loops: LLVM would rather call a long block than duplicate its code, and then
#: pass the sums through memory.
always_inlined = njit(forceinline=True, **_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: Arguments of every kernel after the spec: operands' addresses, first item, number of items.
KERNEL_ARGUMENTS = (types.CPointer(types.int64), types.int64, types.int64)

#: Addresses of kernels that are compiled or loaded, by the kernel and its types.
_addresses: dict[tuple[Any, Any], int] = {}
#: Objects that keep their machine code alive.
_libraries: list[Any] = []


def kernel(function: Any) -> Any:
    """Compile `function` with Numba when it is first needed, and cache the machine code."""
    return njit(**_OPTIONS, **_BARE, pipeline_class=KernelCompiler)(function)


def called_from_python(function: Any) -> Any:
    """As `kernel`, for a function that Python calls with arrays and numbers."""
    dispatcher = njit(**_OPTIONS, no_cfunc_wrapper=True, pipeline_class=KernelCompiler)(function)
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
                        with deferred_signals():
                            entry = compiled(kinds)
                        result = dispatcher.overloads[kinds]
                        described = result.fndesc
                        _keep(name, result, described.llvm_cpython_wrapper_name, described.env_name)
                        return entry
            return _entered(dispatcher, kinds, code)

    dispatcher.compile = read_or_compile
    return dispatcher


def kept_address(dispatcher: Any, spec: Any) -> int | None:
    """The address of the kernel's machine code for `spec`; None if it must be compiled."""
    key = dispatcher, _signature(spec)
    if key in _addresses:
        return _addresses[key]
    with global_compiler_lock:
        if key not in _addresses:
            code = kernel_cache.read(_name(*key))
            if code is None:
                return None
            _addresses[key] = _loaded(dispatcher, code)
        return _addresses[key]


def kernel_address(dispatcher: Any, spec: Any) -> int:
    """The address of the kernel's machine code for `spec`, compiled if it must be."""
    with global_compiler_lock:
        kept = kept_address(dispatcher, spec)
        if kept is not None:
            return kept
        signature = _signature(spec)
        with deferred_signals():
            dispatcher.compile(signature)
            result = dispatcher.overloads[signature]
            symbol = result.fndesc.llvm_func_name
            address = int(result.library.get_pointer_to_function(symbol))
            _addresses[dispatcher, signature] = address
        _keep(_name(dispatcher, signature), result, symbol)
        return address


def compile_unclaimed(dispatcher: Any, spec: Any) -> bool:
    """Load or compile the kernel for `spec`; False if another process is compiling it."""
    if kept_address(dispatcher, spec) is None:
        with kernel_cache.claim(_name(dispatcher, _signature(spec))) as mine:
            if not mine:
                return False
            kernel_address(dispatcher, spec)
    return True


def _signature(spec: Any) -> tuple[Any, ...]:
    return (SpecType(kind_of(spec)), *KERNEL_ARGUMENTS)


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


def _keep(name: str, result: Any, symbol: str, environment: str = "") -> None:
    """Write compiled code to the disk, unless it depends on this process."""
    library = result.library
    code = library._compiled_object  # None, if an interrupt kept Numba from setting it
    environments = result._find_referenced_environments()
    if code and not library.has_dynamic_globals and not any(e.consts for e in environments):
        kernel_cache.write(name, MachineCode(symbol, environment, code))


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
