"""Contiguous arrays of Numba's that own no memory: the caller's, or on the stack.

Numba's `carray` and `np.empty` need its runtime.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.pointers import on_stack

__all__ = ["array_at", "pointer_to", "stack_array"]


def array_at(context: Any, builder: Any, kind: Any, data: Any, shape: Sequence[Any]) -> Any:
    """Emit an array of the type `kind` at a pointer; its shape are LLVM values."""
    array = context.make_array(kind)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    itemsize = context.get_constant(types.intp, size)
    *strides, _ = accumulate([itemsize, *reversed(shape)], builder.mul)
    array.data = data
    array.itemsize = itemsize
    *_, array.nitems = accumulate(shape, builder.mul)
    array.shape = cgutils.pack_array(builder, shape)
    array.strides = cgutils.pack_array(builder, strides[::-1])
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


def stack_array(dtype: Any, *shape: int) -> Any:
    """A function for kernels: a new array on the stack, of some kilobytes at most."""
    kind = types.Array(dtype, len(shape), "C")

    @intrinsic
    def new(typing_context):
        def generate(context, builder, signature, arguments):
            data = on_stack(builder, context.get_data_type(dtype), prod(shape))
            sizes = [context.get_constant(types.intp, n) for n in shape]
            return array_at(context, builder, kind, data, sizes)

        return kind(), generate

    return new


@intrinsic
def pointer_to(typing_context, array):
    """The pointer to an array's first element."""

    def generate(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate
