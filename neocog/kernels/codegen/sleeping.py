"""How a thread waits: with a pause, by giving its core away, or asleep until a word changes."""

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.atomics import element_place
from neocog.kernels.codegen.vector_types import I32, I64, X86

__all__ = ["pause", "scheduler_yield", "sleep_while", "wake_all"]


@intrinsic
def pause(typing_context):
    """Tell the processor that this is a spinning loop, to favor the core's other thread."""

    def generate(context, builder, signature, arguments):
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def scheduler_yield(typing_context):
    """Yield the core to another thread."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(I32, [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


# Sleeping until a word of a shared array changes: by Linux's futex, whose system call has a number
# per processor; elsewhere by a short sleep. (https://man7.org/linux/man-pages/man2/futex.2.html)
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None


_FUTEX_WAIT, _FUTEX_WAKE = 128, 129  # private to this process


def _futex(builder: Any, place: Any, operation: int, value: Any) -> None:
    # The futex is the low half of the word, which is first on little-endian processors.
    number, none = ir.Constant(I64, _FUTEX), ir.Constant(I64, 0)
    kind = ir.FunctionType(I64, [I64], var_arg=True)
    function = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    address = builder.ptrtoint(place, I64)
    arguments = [number, address, ir.Constant(I64, operation), value, none, none, none]
    builder.call(function, arguments)


def _nap(builder: Any, nanoseconds: Any) -> None:
    if sys.platform == "win32":
        kind = ir.FunctionType(ir.VoidType(), [I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "Sleep")
        builder.call(function, [ir.Constant(I32, 1)])  # milliseconds
        return
    time = ir.ArrayType(I64, 2)  # struct timespec: seconds, nanoseconds
    place = cgutils.alloca_once(builder, time)
    packed = builder.insert_value(ir.Constant(time, [0, 0]), nanoseconds, 1)
    builder.store(packed, place)
    kind = ir.FunctionType(I32, [ir.PointerType(), ir.PointerType()])
    function = cgutils.get_or_insert_function(builder.module, kind, "nanosleep")
    builder.call(function, [place, ir.Constant(ir.PointerType(), None)])


@intrinsic
def sleep_while(typing_context, array, index, value, nanoseconds):
    """Sleep if array[index] is still `value`, until `wake_all` or a spurious wake-up.

    The check and falling asleep are atomic: a change of the word followed by a wake-up is not
    missed. Systems without futexes sleep for `nanoseconds`, which is less than a second.
    """

    def generate(context, builder, signature, arguments):
        if _FUTEX is None:
            _nap(builder, arguments[3])
        else:
            place = element_place(context, builder, signature, arguments)
            _futex(builder, place, _FUTEX_WAIT, arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64, types.int64), generate


@intrinsic
def wake_all(typing_context, array, index):
    """Wake all threads in `sleep_while` at array[index]."""

    def generate(context, builder, signature, arguments):
        if _FUTEX is not None:
            place = element_place(context, builder, signature, arguments)
            _futex(builder, place, _FUTEX_WAKE, ir.Constant(I64, 2**31 - 1))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
