"""Loads, stores and constants of vector code."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from neocog.kernels.codegen.numbers import Number, Real, to_llvm
from neocog.kernels.codegen.vector_types import (
    ARM,
    FITS_REGISTER,
    FLOAT,
    I8,
    I32,
    I64,
    INDICES,
    LANES,
    VECTOR,
)

__all__ = ["MemoryEmitter"]


# Made once, because they are emitted thousands of times.
_UNDEFINED, _FIRST = ir.Constant(VECTOR, ir.Undefined), ir.Constant(I32, 0)
_ALL_FIRST = ir.Constant(INDICES, [0] * LANES)


def _several(element: Any, n: int) -> Any:
    """The type of a vector of `n` elements, at least two.

    LLVM's passes fail with an assertion on a vector of one, which ends the process.
    """
    if n < 2:
        raise ValueError(f"A vector of {n} elements must be emitted as a single number.")
    return ir.VectorType(element, n)


class MemoryEmitter:
    """Emits loads, stores and constants; the first half of `Emitter`."""

    def __init__(self, builder: Any) -> None:
        self._b = builder

    @property
    def builder(self) -> Any:
        """What the instructions are emitted to."""
        return self._b

    def _address(self, pointer: Any, offset: Any, element: Any) -> Any:
        return self._b.gep(pointer, [to_llvm(offset)], source_etype=element)

    def offset(self, *steps: tuple[int, Any]) -> Any:
        """Σ count · stride."""
        return sum(count * stride for count, stride in steps)

    def below(self, number: Any, limit: Any) -> Any:
        """Whether a number is less than another."""
        return self._b.icmp_signed("<", to_llvm(number), to_llvm(limit))

    def constant(self, value: Any) -> Any:
        """A vector with `value` in every lane."""
        if isinstance(value, Real):
            return self.splat(self._b.fptrunc(value.value, FLOAT))
        return ir.Constant(VECTOR, [float(value)] * LANES)

    def pattern(self, values: Sequence[float]) -> Any:
        """A vector of these values, repeated."""
        lanes = [float(values[lane % len(values)]) for lane in range(LANES)]
        return ir.Constant(VECTOR, lanes)

    def splat(self, scalar: Any) -> Any:
        """A vector with an LLVM float in every lane."""
        single = self._b.insert_element(_UNDEFINED, scalar, _FIRST)
        return self._b.shuffle_vector(single, _UNDEFINED, _ALL_FIRST)

    def load(self, pointer: Any, offset: Any = 0) -> Any:
        """The vector at pointer + offset, which need not be aligned."""
        return self._b.load(self._address(pointer, offset, FLOAT), align=4, typ=VECTOR)

    def broadcast(self, pointer: Any, offset: Any = 0) -> Any:
        """The float at pointer + offset, in every lane."""
        return self.splat(self._b.load(self._address(pointer, offset, FLOAT), align=4, typ=FLOAT))

    def load_bytes(
        self, pointer: Any, floats: int, given: int, wanted: int, *, backward: bool = False
    ) -> list[Any]:
        """Bytes from `pointer` on as vectors of floats 0 to 255, `floats` in all.

        Of every `wanted` floats the first `given` come from memory and the others are zero. With
        `backward` the last such group comes first.
        """
        count = floats // wanted * given
        kind = _several(I8, count)
        raw = self._b.load(self._address(pointer, 0, I8), align=1, typ=kind)
        zero = ir.Constant(kind, [0] * count)
        vectors_ = []
        for start in range(0, floats, LANES):
            groups = [at // wanted for at in range(start, start + LANES)]
            if backward:
                groups = [floats // wanted - 1 - group for group in groups]
            places = [
                group * given + at % wanted if at % wanted < given else count
                for at, group in enumerate(groups, start)
            ]
            bytes_ = self._b.shuffle_vector(raw, zero, ir.Constant(INDICES, places))
            vectors_.append(self._b.sitofp(self._b.zext(bytes_, INDICES), VECTOR))
        return vectors_

    def load_first(self, pointer: Any, offset: Any, n: int) -> Any:
        """The first `n` floats at pointer + offset, followed by zeros."""
        place = self._address(pointer, offset, FLOAT)
        if n >= LANES:
            return self._b.load(place, align=4, typ=VECTOR)
        if n == 1:
            value = self._b.load(place, align=4, typ=FLOAT)
            return self._b.insert_element(ir.Constant(VECTOR, None), value, ir.Constant(I32, 0))
        some = _several(FLOAT, n)
        value = self._b.load(place, align=4, typ=some)
        places = [min(lane, n) for lane in range(LANES)]
        return self._b.shuffle_vector(value, ir.Constant(some, None), ir.Constant(INDICES, places))

    def load_lanes(self, pointer: Any, offset: Any, n: Any) -> Any:
        """`load_first` for a number of floats that is known at run time."""
        mask = self.lanes_below(n)
        declared = ir.FunctionType(VECTOR, [ir.PointerType(), I32, mask.type, VECTOR])
        function = self._masked("load", VECTOR, declared)
        place = self._address(pointer, offset, FLOAT)
        zeros = ir.Constant(VECTOR, None)
        return self._b.call(function, [place, ir.Constant(I32, 4), mask, zeros])

    def _masked(self, verb: str, kind: Any, declared: Any) -> Any:
        name = f"llvm.masked.{verb}.v{LANES}{'f' if kind == VECTOR else 'i'}32.p0"
        return cgutils.get_or_insert_function(self._b.module, declared, name)

    def lanes_below(self, n: Any) -> Any:
        """A mask of the first `n` lanes; `n` is known at run time."""
        return self._b.icmp_signed("<", self.counting_indices(), self.splat_indices(n))

    def load_offset(self, pointer: Any, offset: Any = 0) -> Any:
        """The int32 at pointer + offset, as an offset."""
        number = self._b.load(self._address(pointer, offset, I32), align=4, typ=I32)
        return self._b.sext(number, I64)

    def load_long(self, pointer: Any, offset: Any = 0) -> Number:
        """The int64 at pointer + offset."""
        return Number(self._b, self._b.load(self._address(pointer, offset, I64), typ=I64))

    def advance(self, pointer: Any, offset: Any) -> Any:
        """The pointer `offset` floats after `pointer`."""
        return self._address(pointer, offset, FLOAT)

    def advance_bytes(self, pointer: Any, offset: Any) -> Any:
        """The pointer `offset` bytes after `pointer`: an addition, where floats need a shift."""
        return self._address(pointer, offset, I8)

    def opaque(self, pointer: Any) -> Any:
        """The same pointer, hidden from LLVM's optimizer.

        Otherwise LLVM computes the addresses at fixed distances from a loop's pointer before the
        loop, as dozens of pointers for which there are no registers.
        """
        kind = ir.FunctionType(pointer.type, [pointer.type])
        return self._b.asm(kind, "", "=r,0", [pointer], side_effect=False)

    def settle(self, values: Sequence[Any]) -> list[Any]:
        """The same vectors; LLVM computes them before any load or store that follows.

        `fence` does not order arithmetic, of which LLVM's scheduler would put off so much that its
        operands no longer fit into registers. Vectors wider than a register are left to it.
        """
        if not FITS_REGISTER:
            return list(values)
        count = len(values)
        result = ir.LiteralStructType([VECTOR] * count) if count > 1 else VECTOR
        kind = ir.FunctionType(result, [VECTOR] * count)
        register = "=w" if ARM else "=v"
        ties = [str(n) for n in range(count)]
        constraint = ",".join([register] * count + ties + ["~{memory}"])
        settled = self._b.asm(kind, "", constraint, values, side_effect=True)
        if count == 1:
            return [settled]
        return [self._b.extract_value(settled, n) for n in range(count)]

    def store(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        """Write a vector to pointer + offset."""
        place = self._address(pointer, offset, FLOAT)
        # llvmlite still has typed pointers; the cast is nothing in the machine code.
        self._b.store(value, self._b.bitcast(place, value.type.as_pointer()), align=4)

    def store_first(self, value: Any, pointer: Any, offset: Any, n: int) -> None:
        """Write the first `n` lanes to pointer + offset."""
        if n == 1:
            value = self._b.extract_element(value, ir.Constant(I32, 0))
        elif n < LANES:
            places = ir.Constant(_several(I32, n), list(range(n)))
            value = self._b.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)
        self.store(value, pointer, offset)

    def store_lanes(self, value: Any, pointer: Any, offset: Any, n: Any) -> None:
        """`store_first` for a number of lanes that is known at run time."""
        mask = self.lanes_below(n)
        kinds = [value.type, ir.PointerType(), I32, mask.type]
        function = self._masked("store", value.type, ir.FunctionType(ir.VoidType(), kinds))
        place = self._address(pointer, offset, I32)
        self._b.call(function, [value, place, ir.Constant(I32, 4), mask])

    def load_indices(self, pointer: Any, offset: Any = 0) -> Any:
        """The vector of int32 at pointer + offset."""
        return self._b.load(self._address(pointer, offset, I32), align=4, typ=INDICES)

    def indices(self, value: Any) -> Any:
        """A vector of int32 with `value` in every lane."""
        if isinstance(value, Number):
            return self.splat_indices(value)
        return ir.Constant(INDICES, [value] * LANES)

    def splat_indices(self, number: Any) -> Any:
        """A vector of int32 with the low 32 bits of an integer in every lane."""
        number = to_llvm(number)
        low = number if number.type == I32 else self._b.trunc(number, I32)
        undefined = ir.Constant(INDICES, ir.Undefined)
        single = self._b.insert_element(undefined, low, ir.Constant(I32, 0))
        return self._b.shuffle_vector(single, undefined, ir.Constant(INDICES, [0] * LANES))

    def counting_indices(self) -> Any:
        """The vector 0, 1, 2, … of int32."""
        return ir.Constant(INDICES, list(range(LANES)))

    def load_float(self, pointer: Any, offset: Any = 0) -> Any:
        """One float at pointer + offset."""
        return self._b.load(self._address(pointer, offset, FLOAT), align=4, typ=FLOAT)

    def store_float(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        """Write one float to pointer + offset."""
        self._b.store(value, self._address(pointer, offset, FLOAT), align=4)

    def prefetch(self, pointer: Any, offset: Any) -> None:
        """Prefetch the cache line at pointer + offset bytes."""
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), I32, I32, I32])
        function = cgutils.get_or_insert_function(self._b.module, kind, "llvm.prefetch.p0")
        read, keep, data = (ir.Constant(I32, n) for n in (0, 3, 1))
        self._b.call(function, [self._address(pointer, offset, I8), read, keep, data])
