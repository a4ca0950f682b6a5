"""Denormal numbers as zero, since operations on gradients below 1e-38 take 100 cycles each."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.vector_types import ARM, I32, I64, X86

__all__ = ["flush_denormals", "restore_denormals"]


def _control_register(builder: Any, value: Any = None) -> Any:
    """Read the float control register (x86 MXCSR, ARM FPCR), or write it."""
    if X86:
        place = cgutils.alloca_once(builder, I32)
        if value is not None:
            builder.store(builder.trunc(value, I32), place)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
        name = "llvm.x86.sse.stmxcsr" if value is None else "llvm.x86.sse.ldmxcsr"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [place])
        return builder.zext(builder.load(place, typ=I32), I64)
    if value is None:
        kind, name = ir.FunctionType(I64, []), "llvm.aarch64.get.fpcr"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
    kind, name = ir.FunctionType(ir.VoidType(), [I64]), "llvm.aarch64.set.fpcr"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])


@intrinsic
def flush_denormals(typing_context):
    """Treat denormals as zero in this thread; returns the argument for `restore_denormals`."""

    def generate(context, builder, signature, arguments):
        if not (X86 or ARM):
            return ir.Constant(I64, 0)
        before = _control_register(builder)
        bits = 0x8040 if X86 else 1 << 24  # flush results and read operands as zero
        _control_register(builder, builder.or_(before, ir.Constant(I64, bits)))
        return before

    return types.int64(), generate


@intrinsic
def restore_denormals(typing_context, before):
    """Undo `flush_denormals`."""

    def generate(context, builder, signature, arguments):
        if X86 or ARM:
            _control_register(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate
