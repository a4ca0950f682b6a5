"""Vectors of float32 as a Numba type, as wide as the processor's, and the types of pointers."""

import os
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import models, register_model

from neocog.errors import NeocogError

__all__ = [
    "ARM",
    "BYTES",
    "DOUBLES",
    "FITS_REGISTER",
    "FLOAT",
    "FLOATS",
    "HAS_FMA",
    "I1",
    "I8",
    "I32",
    "I64",
    "INDICES",
    "INTS",
    "LANES",
    "LONGS",
    "REGISTERS",
    "SUMS",
    "VECTOR",
    "X86",
    "float32",
    "vector",
    "vectors",
]

_FEATURES = binding.get_host_cpu_features()
X86 = binding.get_default_triple().startswith(("x86_64", "i686", "amd64"))
ARM = binding.get_default_triple().startswith(("aarch64", "arm64"))
HAS_FMA = not X86 or bool(_FEATURES.get("fma"))


def _register_lanes() -> int:
    """Float32 lanes of this processor's registers."""
    if X86 and _FEATURES.get("avx512f"):
        return 16
    return 8 if X86 and _FEATURES.get("avx2") else 4


def _lanes() -> int:
    """As many as a register has, or NEOCOG_LANES to test every width."""
    asked = os.environ.get("NEOCOG_LANES", "")
    if not asked:
        return _register_lanes()
    if asked not in ("4", "8", "16"):
        raise NeocogError(f"NEOCOG_LANES (={asked[:40]!r}) must be 4, 8 or 16.")
    return int(asked)


LANES = _lanes()
#: Whether a register holds a vector. Of a wider one LLVM makes several, but not in assembly.
FITS_REGISTER = _register_lanes() >= LANES
#: The number of vector registers: 32 on AVX-512 and ARM, else 16.
REGISTERS = 32 if ARM or (X86 and LANES == 16 and _FEATURES.get("avx512f")) else 16

#: Sums to keep in registers. Sixteen registers hold 12 sums beside 2 vectors of weights and 2 of
#: pixels; Zen 3 needs 8 sums in flight to hide the latency of an FMA.
SUMS = 12 if REGISTERS == 16 else 24

# Types of LLVM.
FLOAT, I1, I8, I32, I64 = ir.FloatType(), *(ir.IntType(n) for n in (1, 8, 32, 64))
VECTOR = ir.VectorType(FLOAT, LANES)
INDICES = ir.VectorType(I32, LANES)

# Types of Numba.
FLOATS = types.CPointer(types.float32)
INTS = types.CPointer(types.int32)
float32 = types.float32
LONGS = types.CPointer(types.int64)
BYTES = types.CPointer(types.uint8)
DOUBLES = types.CPointer(types.float64)


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, VECTOR)


vector = _VectorType()


def vectors(n: int) -> Any:
    """The Numba type of a tuple of `n` vectors."""
    return types.UniTuple(vector, n)
