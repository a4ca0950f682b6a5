"""Atomic operations on int64 elements of a shared array, for barriers.

The array may also be given as a pointer to its first element.
"""

from numba import types
from numba.extending import intrinsic

from neocog.kernels.codegen.vector_types import I64

__all__ = [
    "atomic_add",
    "atomic_compare_exchange",
    "atomic_exchange",
    "atomic_load",
    "atomic_store",
    "element_place",
]


def element_place(context, builder, signature, arguments):
    """The address of array[index], of an intrinsic's first two arguments."""
    kind, data = signature.args[0], arguments[0]
    if isinstance(kind, types.Array):
        data = context.make_array(kind)(context, builder, data).data
    return builder.gep(data, [arguments[1]], source_etype=I64)


@intrinsic
def atomic_add(typing_context, array, index, value):
    """Add to array[index]; returns the old value."""

    def generate(context, builder, signature, arguments):
        place = element_place(context, builder, signature, arguments)
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def atomic_exchange(typing_context, array, index, value):
    """Set array[index], sequentially consistent with all exchanges; returns the old value."""

    def generate(context, builder, signature, arguments):
        place = element_place(context, builder, signature, arguments)
        return builder.atomic_rmw("xchg", place, arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def atomic_compare_exchange(typing_context, array, index, expected, value):
    """Set array[index] if it has the expected value; returns the old value."""

    def generate(context, builder, signature, arguments):
        place = element_place(context, builder, signature, arguments)
        pair = builder.cmpxchg(place, arguments[2], arguments[3], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 0)

    return types.int64(array, types.intp, types.int64, types.int64), generate


@intrinsic
def atomic_load(typing_context, array, index):
    """array[index], as an acquire: also makes visible what was written before its store."""

    def generate(context, builder, signature, arguments):
        place = element_place(context, builder, signature, arguments)
        return builder.load_atomic(place, "seq_cst", 8, typ=I64)

    return types.int64(array, types.intp), generate


@intrinsic
def atomic_store(typing_context, array, index, value):
    """Set array[index], as a release: after all earlier writes."""

    def generate(context, builder, signature, arguments):
        place = element_place(context, builder, signature, arguments)
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate
