"""Pointers, tuples of zeros and calls of addresses, for the loops around blocks."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.vector_types import FLOAT, FLOATS, I64, LANES, LONGS, VECTOR, vectors

__all__ = [
    "advance",
    "function_pointer_call",
    "longs_at",
    "on_stack",
    "rolled",
    "stack_floats",
    "zeros",
]


@intrinsic(prefer_literal=True)
def zeros(typing_context, n):
    """A tuple of `n` vectors of zeros, but at least one; `n` is a constant."""
    kind = vectors(max(1, n.literal_value))

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(VECTOR, [0.0] * LANES)
        return cgutils.pack_array(builder, [zero] * kind.count)

    return kind(n), generate


@intrinsic(prefer_literal=True)
def stack_floats(typing_context, n):
    """A pointer to `n` floats on the stack, for panels of a few kilobytes; `n` is a constant."""
    size = n.literal_value

    def generate(context, builder, signature, arguments):
        return on_stack(builder, FLOAT, size)

    return FLOATS(n), generate


def on_stack(builder: Any, element: Any, size: int) -> Any:
    """Emit the pointer to `size` elements on the stack."""
    with builder.goto_entry_block():  # cgutils.alloca_once would write zeros one by one
        place = builder.alloca(ir.ArrayType(element, size))
    place.align = 64
    return builder.bitcast(place, element.as_pointer())


@intrinsic
def longs_at(typing_context, address):
    """The pointer to int64 at an address."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return LONGS(address), generate


@intrinsic
def advance(typing_context, base, offset):
    """The pointer `offset` elements after `base`."""

    def generate(context, builder, signature, arguments):
        element = context.get_value_type(base.dtype)
        return builder.gep(arguments[0], [arguments[1]], source_etype=element)

    return base(base, types.intp), generate


@intrinsic
def rolled(typing_context, number):
    """The integer itself, hidden from LLVM's optimizer, without any instruction.

    A loop with this number of iterations is not unrolled fully, and one with this in its body not
    partially. LLVM assumes a loop buffer of 4,096 operations for Zen, and would unroll blocks that
    are long already until they fill it: seconds of compiling for nothing.
    """

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(I64, [I64])
        return builder.asm(kind, "", "=r,0", arguments, side_effect=True)

    return types.intp(types.intp), generate


def function_pointer_call(argument_types: Sequence[Any]) -> Any:
    """A Numba function that calls the compiled function at an address, with Numba's convention.

    The result takes (address, *arguments); there are four arguments, and it returns nothing.
    """
    kinds = list(argument_types)

    @intrinsic
    def call(typing_context, address, numbers, operands, first, count):
        signature = types.void(types.int64, *kinds)

        def generate(context, builder, signature, arguments):
            kind = context.call_conv.get_function_type(types.none, kinds)
            target = builder.inttoptr(arguments[0], kind.as_pointer())
            context.call_conv.call_function(builder, target, types.none, kinds, arguments[1:])
            return context.get_dummy_value()

        return signature, generate

    return call
