"""How kernels are compiled, and kept for the next process.

Every compile setting is here. `kernel` marks a function whose machine code is kept on disk,
`inlined` and `always_inlined` one that is only ever part of a kernel.

No fast-math: it would assume NaN and infinity away, and a diverging run must be seen.

Numba's own disk cache is not used because it looks only at the file that a cached function stands
in, so an edit in `simd.py` would leave stale code in use; because a torn entry makes it raise; and
because it unpickles what it finds. Here nothing but object code is kept (`kernel_cache`), which is
enough: kernels are called by their address, and what Python calls by that of Numba's way in.

Ctrl+C waits until a kernel is compiled or loaded: an exception in the midst of LLVM's work has it
free a module twice, and abort the process.
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
from neocog.kernels import kernel_cache
from neocog.kernels.kernel_cache import MachineCode
from neocog.kernels.numba_passes import KernelCompiler, PartCompiler
from neocog.kernels.runtime_sizes import kind_of
from neocog.kernels.spec_type import SpecType
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
# No way into them from Python: kernels are called by their address.
_BARE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inlined = njit(**_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: The same for what stands in the innermost loops: LLVM would rather call a long block than have
#: its code twice, and pass the sums through memory.
always_inlined = njit(forceinline=True, **_OPTIONS, **_BARE, pipeline_class=PartCompiler)

#: What every kernel of a program takes: operands' addresses, first item, number of items.
KERNEL_ARGUMENTS = (types.CPointer(types.int64), types.int64, types.int64)

#: Addresses of kernels that are compiled or read, by the kernel and its types.
_addresses: dict[tuple[Any, Any], int] = {}
#: What holds their machine code.
_libraries: list[Any] = []


def kernel(function: Any) -> Any:
    """Compile `function` with Numba when it is first needed, and keep the machine code."""
    return njit(**_OPTIONS, **_BARE, pipeline_class=KernelCompiler)(function)


def called_from_python(function: Any) -> Any:
    """The same for a function that Python calls with arrays and numbers."""
    dispatcher = njit(**_OPTIONS, no_cfunc_wrapper=True, pipeline_class=KernelCompiler)(function)
    compiled = dispatcher.compile

    def read_or_compile(kinds: Any) -> Any:
        with global_compiler_lock:
            if kinds in dispatcher.overloads:  # another thread has compiled it
                return dispatcher.overloads[kinds].entry_point
            name = _name(dispatcher, kinds)
            found = kernel_cache.read(name)
            if found is None:
                with kernel_cache.await_claim(name):
                    found = kernel_cache.read(name)
                    if found is None:
                        with deferred_signals():
                            entry = compiled(kinds)
                        result = dispatcher.overloads[kinds]
                        described = result.fndesc
                        _keep(name, result, described.llvm_cpython_wrapper_name, described.env_name)
                        return entry
            return _entered(dispatcher, kinds, found)

    dispatcher.compile = read_or_compile
    return dispatcher


def kept_address(dispatcher: Any, spec: Any) -> int | None:
    """The address of the kernel's machine code for `spec`; None if it must be compiled."""
    key = dispatcher, _signature(spec)
    if key in _addresses:
        return _addresses[key]
    with global_compiler_lock:
        if key not in _addresses:
            found = kernel_cache.read(_name(*key))
            if found is None:
                return None
            _addresses[key] = _loaded(dispatcher, found)
        return _addresses[key]


def kernel_address(dispatcher: Any, spec: Any) -> int:
    """The address of the kernel's machine code for `spec`, compiled if it must be."""
    with global_compiler_lock:
        found = kept_address(dispatcher, spec)
        if found is not None:
            return found
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
    """Have the kernel's machine code for `spec`; False if another process is compiling it."""
    if kept_address(dispatcher, spec) is None:
        with kernel_cache.claim(_name(dispatcher, _signature(spec))) as mine:
            if not mine:
                return False
            kernel_address(dispatcher, spec)
    return True


def _signature(spec: Any) -> tuple[Any, ...]:
    return (SpecType(kind_of(spec)), *KERNEL_ARGUMENTS)


def _name(dispatcher: Any, signature: Any) -> str:
    """Of its entry: the function, and a hash of what it is compiled for."""
    function = dispatcher.py_func
    compiled_for = (
        function.__module__,
        str(signature),
        dispatcher.targetctx.codegen().magic_tuple(),
    )
    digest = hashlib.sha256(repr(compiled_for).encode()).hexdigest()
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}-{digest[:40]}"


def _keep(name: str, result: Any, symbol: str, environment: str = "") -> None:
    """Write what was compiled to the disk, if nothing in it belongs to this process alone."""
    library = result.library
    code = library._compiled_object  # none, where an interrupt kept Numba from noting it
    environments = result._find_referenced_environments()
    if code and not library.has_dynamic_globals and not any(e.consts for e in environments):
        kernel_cache.write(name, MachineCode(symbol, environment, code))


def _loaded(dispatcher: Any, found: MachineCode) -> int:
    """The address of what was read, in this process's memory."""
    context = dispatcher.targetctx
    with deferred_signals():
        context.refresh()  # what machine code calls of Numba's must be there
        library = context.codegen().create_library(found.symbol)
        library.enable_object_caching()
        library._set_compiled_object(found.code)
        library._finalize_final_module()
        _libraries.append(library)
        return int(context.codegen()._engine.get_function_address(found.symbol))


def _entered(dispatcher: Any, kinds: Any, found: MachineCode) -> Any:
    """Have the dispatcher call what was read for arguments of these types; gives what it calls."""
    function = dispatcher.py_func
    address = _loaded(dispatcher, found)
    environment = Environment(function.__globals__)
    environment.env_name = found.environment
    dispatcher.targetctx.codegen().set_env(found.environment, environment)
    module = sys.modules[function.__module__]
    entry = make_function(module, function.__name__, "", address, environment, (_libraries[-1],))
    dispatcher.add_overload(
        compile_result(
            signature=typed(types.none, *kinds),  # nobody asks for the type of the result
            entry_point=entry,
            environment=environment,
            objectmode=False,
        )
    )
    return entry
