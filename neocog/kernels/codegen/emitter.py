"""The instructions that a block is made of: arithmetic, comparisons and moves between lanes."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from neocog.kernels.codegen.loops import LoopEmitter
from neocog.kernels.codegen.memory import MemoryEmitter
from neocog.kernels.codegen.numbers import to_llvm
from neocog.kernels.codegen.vector_types import HAS_FMA, I32, INDICES, LANES, VECTOR

__all__ = ["Emitter"]


# Made once, because it is emitted thousands of times.
_OF_THREE, _FMA = ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"


class Emitter(MemoryEmitter, LoopEmitter):
    """Emits vector instructions while Numba compiles; its methods return LLVM values.

    Offsets are in elements, and may be integers or LLVM values.
    """

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a · b + c, rounded once if the processor has FMA."""
        if not HAS_FMA:  # llvm.fma would become a library call per lane
            return self._b.fadd(self._b.fmul(a, b), c)
        function = cgutils.get_or_insert_function(self._b.module, _OF_THREE, _FMA)
        return self._b.call(function, [a, b, c])

    def add(self, a: Any, b: Any) -> Any:
        """a + b."""
        return self._b.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        """a − b."""
        return self._b.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """a · b."""
        return self._b.fmul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        """a / b."""
        return self._b.fdiv(a, b)

    def sqrt(self, a: Any) -> Any:
        """√a."""
        kind = ir.FunctionType(VECTOR, [VECTOR])
        name = f"llvm.sqrt.v{LANES}f32"
        return self._b.call(cgutils.get_or_insert_function(self._b.module, kind, name), [a])

    def absolute(self, a: Any) -> Any:
        """|a|."""
        kind = ir.FunctionType(VECTOR, [VECTOR])
        name = f"llvm.fabs.v{LANES}f32"
        return self._b.call(cgutils.get_or_insert_function(self._b.module, kind, name), [a])

    def greater(self, a: Any, b: Any) -> Any:
        """a > b lane by lane; false where either is NaN."""
        return self._b.fcmp_ordered(">", a, b)

    def unordered(self, a: Any, b: Any) -> Any:
        """Where a or b is NaN."""
        return self._b.fcmp_unordered("uno", a, b)

    def at_most(self, a: Any, b: Any) -> Any:
        """a ≤ b lane by lane; false where either is NaN."""
        return self._b.fcmp_ordered("<=", a, b)

    def add_indices(self, a: Any, b: Any) -> Any:
        """a + b of int32."""
        return self._b.add(a, b)

    def mul_indices(self, a: Any, b: Any) -> Any:
        """a · b of int32, modulo 2³²."""
        return self._b.mul(a, b)

    def xor_indices(self, a: Any, b: Any) -> Any:
        """a xor b, of int32."""
        return self._b.xor(a, b)

    def shift_right(self, a: Any, n: int) -> Any:
        """The logical right shift of int32 by `n` bits."""
        return self._b.lshr(a, self.indices(n))

    def less_indices(self, a: Any, b: Any) -> Any:
        """a < b lane by lane, of int32."""
        return self._b.icmp_signed("<", a, b)

    def equal_indices(self, a: Any, b: Any) -> Any:
        """a = b lane by lane, of int32."""
        return self._b.icmp_signed("==", a, b)

    def both(self, a: Any, b: Any) -> Any:
        """The lanes in which both masks are set."""
        return self._b.and_(to_llvm(a), to_llvm(b))

    def either(self, a: Any, b: Any) -> Any:
        """The lanes in which at least one mask is set."""
        return self._b.or_(to_llvm(a), to_llvm(b))

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """`a` where the mask is set, else `b`."""
        return self._b.select(to_llvm(condition), to_llvm(a), to_llvm(b))

    def relu(self, a: Any) -> Any:
        """max(0, a), where NaN stays NaN; written so that it is one instruction."""
        zero = self.constant(0.0)
        return self.select(self.greater(zero, a), zero, a)

    def limit(self, a: Any, low: Any, high: Any) -> Any:
        """min(max(a, low), high), where NaN of a stays NaN."""
        a = self.select(self.greater(low, a), low, a)
        return self.select(self.greater(a, high), high, a)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of a and b; `b` where one is NaN."""
        return self.select(self.greater(a, b), a, b)

    def round_to_int(self, a: Any) -> tuple[Any, Any]:
        """`a` rounded to the nearest integer, as floats and as int32; |a| < 2**22."""
        magic = self.constant(1.5 * 2**23)
        shifted = self.add(a, magic)
        whole = self.sub(shifted, magic)
        return whole, self._b.fptosi(whole, INDICES)

    def bits(self, a: Any) -> Any:
        """The bits of floats as int32."""
        return self._b.bitcast(a, INDICES)

    def power_of_two(self, exponent: Any) -> Any:
        """2**exponent for int32 from −126 to 127."""
        biased = self._b.add(exponent, self.indices(127))
        return self._b.bitcast(self._b.shl(biased, self.indices(23)), VECTOR)

    def exchange(self, a: Any, distance: int) -> Any:
        """Exchange lanes that are `distance`, a power of two, apart."""
        lanes = [lane ^ distance for lane in range(LANES)]
        return self._b.shuffle_vector(
            a, ir.Constant(VECTOR, ir.Undefined), ir.Constant(INDICES, lanes)
        )

    def sum(self, a: Any) -> Any:
        """The sum of the lanes in a fixed order, as a float."""
        return self._fold(a, self.add)

    def sums(self, values: Sequence[Any]) -> list[Any]:
        """The sum of each vector's lanes, as `sum` adds them, one after another in vectors.

        Two vectors are halved in one step, which takes half as many shuffles as one `sum` for
        each. What is in the lanes after the last sum is undefined.
        """
        groups = [values[at : at + LANES] for at in range(0, len(values), LANES)]
        return [self._sums(group) for group in groups]

    def _sums(self, values: Sequence[Any]) -> Any:
        undefined, n = ir.Constant(VECTOR, ir.Undefined), LANES
        while n > 1:
            n //= 2
            low = [lane // n * 2 * n + lane % n for lane in range(LANES)]  # of two vectors in a row
            low_half = ir.Constant(INDICES, low)
            high_half = ir.Constant(INDICES, [lane + n for lane in low])
            pairs = [[*values[at : at + 2], undefined][:2] for at in range(0, len(values), 2)]
            values = [
                self._b.fadd(
                    self._b.shuffle_vector(a, b, low_half), self._b.shuffle_vector(a, b, high_half)
                )
                for a, b in pairs
            ]
        return values[0]

    def lanes(self, values: Sequence[Any], start: int, n: int) -> Any:
        """Lanes `start` … `start` + n of vectors in a row, as the first of a vector."""
        if start % LANES == 0:
            return values[start // LANES]
        a = values[start // LANES]
        b = values[(start + n - 1) // LANES]
        places = ir.Constant(INDICES, [start % LANES + min(lane, n - 1) for lane in range(LANES)])
        return self._b.shuffle_vector(a, b, places)

    def sum_of_squares(self, values: Sequence[Any]) -> Any:
        """Σ a² over all lanes of several vectors, summed in float64 in a fixed order."""
        kind = ir.VectorType(ir.DoubleType(), LANES)
        sums = [self._b.fpext(a, kind) for a in values]
        sums = [self._b.fmul(a, a) for a in sums]
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=False)
            sums = [self._b.fadd(a, b) for a, b in pairs] + sums[len(sums) // 2 * 2 :]
        lanes = [self._b.extract_element(sums[0], ir.Constant(I32, n)) for n in range(LANES)]
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [self._b.fadd(lanes[n], lanes[n + half]) for n in range(half)]
        return lanes[0]

    def max(self, a: Any) -> Any:
        """The largest lane, a float."""
        return self._fold(a, self.larger)

    def _fold(self, a: Any, combine: Callable[[Any, Any], Any]) -> Any:
        n = LANES
        while n > 1:
            n //= 2
            lanes = [i + n if i < n else i for i in range(LANES)]
            other = self._b.shuffle_vector(
                a, ir.Constant(VECTOR, ir.Undefined), ir.Constant(INDICES, lanes)
            )
            a = combine(a, other)
        return self._b.extract_element(a, ir.Constant(I32, 0))

    def transpose(self, rows: Sequence[Any]) -> list[Any]:
        """The transpose of LANES vectors."""
        rows, n = list(rows), LANES // 2
        while n > 0:  # exchange the off-diagonal quarters of every square of 2n × 2n
            left = [i - n + LANES if i & n else i for i in range(LANES)]
            right = [i + LANES if i & n else i + n for i in range(LANES)]
            for i in range(LANES):
                if not i & n:
                    a, b = rows[i], rows[i + n]
                    rows[i], rows[i + n] = (
                        self._b.shuffle_vector(a, b, ir.Constant(INDICES, lanes))
                        for lanes in (left, right)
                    )
            n //= 2
        return rows

    def lane(self, a: Any, n: int) -> Any:
        """The float in lane `n`."""
        return self._b.extract_element(a, ir.Constant(I32, n))
