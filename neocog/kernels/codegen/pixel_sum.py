"""Weighted sums of pixels of four bytes."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.vector_types import I8, I32, I64

__all__ = ["pixel_sum"]


# Pixels of four bytes
@intrinsic
def pixel_sum(typing_context, pixels, at, weights, first, pairs, into, to):
    """Store Σ weight · pixel, in fixed point with 22 fractional bits, rounded and clipped to bytes.

    `pixels` and `into` are pointers to bytes, with four per pixel from `at` and `to` on; `weights`
    points to int32, four equal ones per pixel, from `first` on. Pixels are added in `pairs`. The
    fourth byte that is stored is meaningless. LLVM does not vectorize such short sums by itself.
    """
    signature = types.void(pixels, types.intp, weights, types.intp, types.intp, into, types.intp)

    def generate(context, builder, signature, arguments):
        pixels, at, weights, first, pairs, into, to = arguments

        def place(pointer, offset, element, count):
            address = builder.gep(pointer, [offset], source_etype=element)
            return builder.bitcast(address, ir.VectorType(element, count).as_pointer())

        eight, four = ir.VectorType(I32, 8), ir.VectorType(I32, 4)
        half = [1 << 21] * 4 + [0] * 4
        total = cgutils.alloca_once_value(builder, ir.Constant(eight, half))
        with cgutils.for_range(builder, pairs) as loop:
            offset = builder.mul(loop.index, ir.Constant(I64, 8))
            x = place(pixels, builder.add(at, offset), I8, 8)
            w = place(weights, builder.add(first, offset), I32, 8)
            x = builder.load(x, align=1, typ=ir.VectorType(I8, 8))
            w = builder.load(w, align=4, typ=eight)
            product = builder.mul(builder.zext(x, eight), w)
            builder.store(builder.add(builder.load(total), product), total)
        both = builder.load(total)
        left, right = (
            builder.shuffle_vector(both, both, ir.Constant(four, list(places)))
            for places in (range(4), range(4, 8))
        )
        level = builder.ashr(builder.add(left, right), ir.Constant(four, [22] * 4))
        for sign, limit in (("<", 0), (">", 255)):
            bound = ir.Constant(four, [limit] * 4)
            level = builder.select(builder.icmp_signed(sign, level, bound), bound, level)
        level = builder.trunc(level, ir.VectorType(I8, 4))
        builder.store(level, place(into, to, I8, 4), align=1)
        return context.get_dummy_value()

    return signature, generate
