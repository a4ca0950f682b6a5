"""Vectors of float32 as a Numba type, and blocks of unrolled vector code.

The only module that imports llvmlite. Numba's own vectorizer reaches a fifth of the processor's
peak in a convolution; code that names its registers reaches four fifths. So the inner part of
every kernel is a *block*: a Python function that, while Numba compiles, emits straight-line vector
code through an `Emitter`, its loops unrolled and sized by the spec's constants. The loops around
a block are ordinary Numba.

    @block(accumulators)
    def add_row(e, s, acc, x):                  # e: Emitter, s: the spec, the rest: values
        return [e.add(a, e.load(x, i * LANES)) for i, a in enumerate(acc)]

    acc = add_row(s, acc, x)                    # in a kernel

Values are pointers to float32 or int32, whole numbers, single vectors, tuples of vectors or whole
numbers, or a `runtime_sizes`.
"""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from neocog.errors import NeocogError

__all__ = [
    "BYTES",
    "DOUBLES",
    "FLOATS",
    "INTS",
    "LANES",
    "LONGS",
    "REGISTERS",
    "Emitter",
    "accumulators",
    "advance",
    "atomic_add",
    "atomic_compare_exchange",
    "atomic_exchange",
    "atomic_load",
    "atomic_store",
    "block",
    "float32",
    "flush_denormals",
    "function_pointer_call",
    "longs_at",
    "nothing",
    "pause",
    "pixel_sum",
    "pointer",
    "restore_denormals",
    "rolled",
    "scheduler_yield",
    "sleep_while",
    "stack_floats",
    "vectors",
    "wake_all",
    "zeros",
]

_FEATURES = binding.get_host_cpu_features()
_X86 = binding.get_default_triple().startswith(("x86_64", "i686", "amd64"))
_ARM = binding.get_default_triple().startswith(("aarch64", "arm64"))
_HAS_FMA = not _X86 or bool(_FEATURES.get("fma"))


def _host_lanes() -> int:
    """Floats in a vector of this processor, or NEOCOG_LANES, so that every width can be tested."""
    asked = os.environ.get("NEOCOG_LANES", "")
    if asked:
        if asked not in ("4", "8", "16"):
            raise NeocogError(f"NEOCOG_LANES (={asked[:40]!r}) must be 4, 8 or 16.")
        return int(asked)
    if _X86 and _FEATURES.get("avx512f"):
        return 16
    return 8 if _X86 and _FEATURES.get("avx2") else 4


LANES = _host_lanes()
#: Vector registers to plan for: 32 on AVX-512 and ARM, else 16.
REGISTERS = 32 if _ARM or (_X86 and LANES == 16 and _FEATURES.get("avx512f")) else 16

_FLOAT, _I1, _I8, _I32, _I64 = ir.FloatType(), *(ir.IntType(n) for n in (1, 8, 32, 64))
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INDICES = ir.VectorType(_I32, LANES)

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
        super().__init__(manager, numba_type, _VECTOR)


vector = _VectorType()


def vectors(n: int) -> Any:
    """The Numba type of a tuple of `n` vectors."""
    return types.UniTuple(vector, n)


def _several(element: Any, n: int) -> Any:
    """The type of a vector of `n` elements, two at least.

    On a vector of one LLVM's passes fail by an assertion, which ends the process.
    """
    if n < 2:
        raise ValueError(f"A vector of {n} elements must be emitted as a single number.")
    return ir.VectorType(element, n)


class Emitter:
    """Emits vector instructions while Numba compiles; what its methods give are LLVM values.

    Offsets are in elements, and may be whole numbers or LLVM values.
    """

    def __init__(self, builder: Any) -> None:
        self._b = builder

    def _address(self, pointer: Any, offset: Any, element: Any) -> Any:
        index = ir.Constant(_I64, offset) if isinstance(offset, int) else offset
        return self._b.gep(pointer, [index], source_etype=element)

    def offset(self, *steps: tuple[int, Any]) -> Any:
        """Σ count · stride, where a stride may be an LLVM value."""
        known = sum(count * stride for count, stride in steps if isinstance(stride, int))
        total = ir.Constant(_I64, known)
        for count, stride in steps:
            if not isinstance(stride, int) and count:
                total = self._b.add(total, self._b.mul(stride, ir.Constant(_I64, count)))
        return total

    def below(self, number: int, limit: Any) -> Any:
        """Whether a number is less than an LLVM value."""
        return self._b.icmp_signed("<", ir.Constant(_I64, number), limit)

    def constant(self, value: float) -> Any:
        """A vector that holds `value` in every lane."""
        return ir.Constant(_VECTOR, [float(value)] * LANES)

    def pattern(self, values: Sequence[float]) -> Any:
        """A vector of these values, over and over."""
        lanes = [float(values[lane % len(values)]) for lane in range(LANES)]
        return ir.Constant(_VECTOR, lanes)

    def first_lanes(self, n: int) -> Any:
        """A condition that holds in the first `n` lanes."""
        return ir.Constant(ir.VectorType(_I1, LANES), [lane < n for lane in range(LANES)])

    def splat(self, scalar: Any) -> Any:
        """A vector that holds an LLVM float in every lane."""
        zero = ir.Constant(_I32, 0)
        single = self._b.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, zero)
        return self._b.shuffle_vector(
            single, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_INDICES, [0] * LANES)
        )

    def load(self, pointer: Any, offset: Any = 0) -> Any:
        """The vector at pointer + offset, which need not be aligned."""
        return self._b.load(self._address(pointer, offset, _FLOAT), align=4, typ=_VECTOR)

    def broadcast(self, pointer: Any, offset: Any = 0) -> Any:
        """The one float at pointer + offset, in every lane."""
        return self.splat(self._b.load(self._address(pointer, offset, _FLOAT), align=4, typ=_FLOAT))

    def load_bytes(
        self, pointer: Any, floats: int, given: int, wanted: int, *, backward: bool = False
    ) -> list[Any]:
        """Bytes from `pointer` on as vectors of floats 0 to 255, so many floats in all.

        Of every `wanted` floats the first `given` come from memory and the others are zero.
        `backward` gives the last such group first.
        """
        count = floats // wanted * given
        kind = _several(_I8, count)
        raw = self._b.load(self._address(pointer, 0, _I8), align=1, typ=kind)
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
            bytes_ = self._b.shuffle_vector(raw, zero, ir.Constant(_INDICES, places))
            vectors_.append(self._b.sitofp(self._b.zext(bytes_, _INDICES), _VECTOR))
        return vectors_

    def load_half(self, pointer: Any, offset: Any = 0) -> Any:
        """Half a vector at pointer + offset, with zeros behind it."""
        half = _several(_FLOAT, LANES // 2)
        value = self._b.load(self._address(pointer, offset, _FLOAT), align=4, typ=half)
        zero = ir.Constant(half, [0.0] * (LANES // 2))
        return self._b.shuffle_vector(value, zero, ir.Constant(_INDICES, list(range(LANES))))

    def load_first(self, pointer: Any, offset: Any, n: int) -> Any:
        """The first `n` floats at pointer + offset, with zeros behind; a whole vector has LANES."""
        return self._load_first(pointer, offset, n, _VECTOR)

    def load_first_indices(self, pointer: Any, offset: Any, n: int) -> Any:
        """The first `n` int32 at pointer + offset, with zeros behind."""
        return self._load_first(pointer, offset, n, _INDICES)

    def _load_first(self, pointer: Any, offset: Any, n: int, kind: Any) -> Any:
        place = self._address(pointer, offset, _I32)
        if n >= LANES:
            return self._b.load(place, align=4, typ=kind)
        if n == 1:
            value = self._b.load(place, align=4, typ=kind.element)
            return self._b.insert_element(ir.Constant(kind, None), value, ir.Constant(_I32, 0))
        some = _several(kind.element, n)
        value = self._b.load(place, align=4, typ=some)
        places = [min(lane, n) for lane in range(LANES)]
        return self._b.shuffle_vector(value, ir.Constant(some, None), ir.Constant(_INDICES, places))

    def load_offset(self, pointer: Any, offset: Any = 0) -> Any:
        """The one int32 at pointer + offset, as an offset."""
        number = self._b.load(self._address(pointer, offset, _I32), align=4, typ=_I32)
        return self._b.sext(number, _I64)

    def advance(self, pointer: Any, offset: Any) -> Any:
        """The pointer `offset` floats after `pointer`."""
        return self._address(pointer, offset, _FLOAT)

    def opaque(self, pointer: Any) -> Any:
        """The same pointer, and LLVM does not know it.

        Or it computes what lies at fixed distances from a loop's pointer once before the loop, as
        dozens of pointers, for which there are no registers.
        """
        kind = ir.FunctionType(pointer.type, [pointer.type])
        return self._b.asm(kind, "", "=r,0", [pointer], side_effect=False)

    def fence(self) -> None:
        """Nothing in the machine code, but LLVM moves no load or store past it.

        Its scheduler moves loads up to where registers no longer hold what they give.
        """
        self._b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)

    def store(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        """Write a vector to pointer + offset."""
        place = self._address(pointer, offset, _FLOAT)
        # llvmlite still checks what a pointer points to; in the machine code this is nothing.
        self._b.store(value, self._b.bitcast(place, value.type.as_pointer()), align=4)

    def store_first(self, value: Any, pointer: Any, offset: Any, n: int) -> None:
        """Write the first `n` lanes to pointer + offset; a whole vector has LANES."""
        if n == 1:
            value = self._b.extract_element(value, ir.Constant(_I32, 0))
        elif n < LANES:
            places = ir.Constant(_several(_I32, n), list(range(n)))
            value = self._b.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)
        self.store(value, pointer, offset)

    def load_indices(self, pointer: Any, offset: Any = 0) -> Any:
        """The vector of int32 at pointer + offset."""
        return self._b.load(self._address(pointer, offset, _I32), align=4, typ=_INDICES)

    def indices(self, value: int) -> Any:
        """A vector of int32 that holds `value` in every lane."""
        return ir.Constant(_INDICES, [value] * LANES)

    def splat_indices(self, number: Any) -> Any:
        """A vector of int32 that holds the low 32 bits of a whole number in every lane."""
        low = number if number.type == _I32 else self._b.trunc(number, _I32)
        undefined = ir.Constant(_INDICES, ir.Undefined)
        single = self._b.insert_element(undefined, low, ir.Constant(_I32, 0))
        return self._b.shuffle_vector(single, undefined, ir.Constant(_INDICES, [0] * LANES))

    def counting_indices(self) -> Any:
        """A vector of int32 that holds 0 in its first lane, 1 in its second and so on."""
        return ir.Constant(_INDICES, list(range(LANES)))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a · b + c, rounded once where the processor can."""
        if not _HAS_FMA:  # llvm.fma would become a library call a lane
            return self._b.fadd(self._b.fmul(a, b), c)
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fma.v{LANES}f32"
        return self._b.call(cgutils.get_or_insert_function(self._b.module, kind, name), [a, b, c])

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
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        name = f"llvm.sqrt.v{LANES}f32"
        return self._b.call(cgutils.get_or_insert_function(self._b.module, kind, name), [a])

    def absolute(self, a: Any) -> Any:
        """|a|."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
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
        """The bits in which two int32 differ."""
        return self._b.xor(a, b)

    def shift_right(self, a: Any, n: int) -> Any:
        """The bits of an int32 moved down by `n`, with zeros above."""
        return self._b.lshr(a, self.indices(n))

    def less_indices(self, a: Any, b: Any) -> Any:
        """a < b lane by lane, of int32."""
        return self._b.icmp_signed("<", a, b)

    def equal_indices(self, a: Any, b: Any) -> Any:
        """a = b lane by lane, of int32."""
        return self._b.icmp_signed("==", a, b)

    def both(self, a: Any, b: Any) -> Any:
        """Where both of two conditions hold."""
        return self._b.and_(a, b)

    def either(self, a: Any, b: Any) -> Any:
        """Where one of two conditions holds."""
        return self._b.or_(a, b)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """`a` where the condition holds, else `b`."""
        return self._b.select(condition, a, b)

    def relu(self, a: Any) -> Any:
        """max(0, a), with NaN staying NaN; written so that it is one instruction."""
        zero = self.constant(0.0)
        return self.select(self.greater(zero, a), zero, a)

    def relu_float(self, a: Any) -> Any:
        """max(0, a) of a single float, with NaN staying NaN."""
        zero = ir.Constant(_FLOAT, 0.0)
        return self._b.select(self._b.fcmp_ordered(">", zero, a), zero, a)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of both; where one is NaN, `b`."""
        return self.select(self.greater(a, b), a, b)

    def round_to_int(self, a: Any) -> tuple[Any, Any]:
        """`a` rounded to the nearest whole number, as floats and as int32; |a| < 2**22."""
        magic = self.constant(1.5 * 2**23)
        shifted = self.add(a, magic)
        whole = self.sub(shifted, magic)
        return whole, self._b.fptosi(whole, _INDICES)

    def to_indices(self, a: Any) -> Any:
        """Floats that are whole numbers as int32."""
        return self._b.fptosi(a, _INDICES)

    def power_of_two(self, exponent: Any) -> Any:
        """2**exponent for int32 from −126 to 127."""
        biased = self._b.add(exponent, self.indices(127))
        return self._b.bitcast(self._b.shl(biased, self.indices(23)), _VECTOR)

    def exchange(self, a: Any, distance: int) -> Any:
        """Lanes so far apart, a power of two, in each other's place."""
        lanes = [lane ^ distance for lane in range(LANES)]
        return self._b.shuffle_vector(
            a, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_INDICES, lanes)
        )

    def sum(self, a: Any) -> Any:
        """The sum of the lanes, in one fixed order: a float."""
        return self._fold(a, self.add)

    def sum_of_squares(self, values: Sequence[Any]) -> Any:
        """Σ a² over all lanes of some vectors, in one fixed order: a float64, as are the sums."""
        kind = ir.VectorType(ir.DoubleType(), LANES)
        sums = [self._b.fpext(a, kind) for a in values]
        sums = [self._b.fmul(a, a) for a in sums]
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=False)
            sums = [self._b.fadd(a, b) for a, b in pairs] + sums[len(sums) // 2 * 2 :]
        lanes = [self._b.extract_element(sums[0], ir.Constant(_I32, n)) for n in range(LANES)]
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
                a, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_INDICES, lanes)
            )
            a = combine(a, other)
        return self._b.extract_element(a, ir.Constant(_I32, 0))

    def transpose(self, rows: Sequence[Any]) -> list[Any]:
        """LANES vectors as the rows of a square: its columns."""
        rows, n = list(rows), LANES // 2
        while n > 0:  # exchange the off-diagonal quarters of every square of 2n × 2n
            left = [i - n + LANES if i & n else i for i in range(LANES)]
            right = [i + LANES if i & n else i + n for i in range(LANES)]
            for i in range(LANES):
                if not i & n:
                    a, b = rows[i], rows[i + n]
                    rows[i], rows[i + n] = (
                        self._b.shuffle_vector(a, b, ir.Constant(_INDICES, lanes))
                        for lanes in (left, right)
                    )
            n //= 2
        return rows

    def lane(self, a: Any, n: int) -> Any:
        """The float in lane `n`."""
        return self._b.extract_element(a, ir.Constant(_I32, n))

    def load_float(self, pointer: Any, offset: Any = 0) -> Any:
        """One float at pointer + offset."""
        return self._b.load(self._address(pointer, offset, _FLOAT), align=4, typ=_FLOAT)

    def store_float(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        """Write one float to pointer + offset."""
        self._b.store(value, self._address(pointer, offset, _FLOAT), align=4)

    def add_float(self, a: Any, b: Any) -> Any:
        """a + b of single floats."""
        return self._b.fadd(a, b)

    def prefetch(self, pointer: Any, offset: Any) -> None:
        """Ask for the cache line at pointer + offset bytes."""
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(self._b.module, kind, "llvm.prefetch.p0")
        read, keep, data = (ir.Constant(_I32, n) for n in (0, 3, 1))
        self._b.call(function, [self._address(pointer, offset, _I8), read, keep, data])


def accumulators(spec: Any, *arguments: Any) -> Any:
    """For `block`: the result has the type of the first tuple of vectors among the arguments."""
    return next(a for a in arguments if isinstance(a, types.UniTuple))


def nothing(spec: Any, *arguments: Any) -> Any:
    """For `block`: there is no result."""
    return types.void


def block(returns: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an emitting function callable from kernels as ``function(spec, *values)``.

    Args:
        returns: gives the Numba result type for (spec, *types of the values).
    """

    def decorate(emit: Callable[..., Any]) -> Any:
        # Numba wants an intrinsic's parameters by name and number, hence the generated signature.
        count = emit.__code__.co_argcount - 2
        names = [f"value{i}" for i in range(count)]

        def unpack(context: Any, builder: Any, kind: Any, value: Any) -> Any:
            if isinstance(kind, types.BaseTuple):
                return [builder.extract_value(value, i) for i in range(kind.count)]
            if hasattr(kind, "unpacked"):
                return kind.unpacked(context, builder, value)
            return value

        def typed(typing_context: Any, spec: Any, *values: Any) -> Any:
            result = returns(spec.value, *values)
            signature = result(spec, *values)

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                pairs = zip(signature.args[1:], arguments[1:], strict=True)
                values = (unpack(context, builder, kind, value) for kind, value in pairs)
                out = emit(Emitter(builder), spec.value, *values)
                if isinstance(signature.return_type, types.UniTuple):
                    return cgutils.pack_array(builder, out)
                return context.get_dummy_value() if out is None else out

            return signature, generate

        space: dict[str, Any] = {"typed": typed}
        listed = ", ".join(["typing_context", "spec", *names])
        exec(f"def {emit.__name__}({listed}):\n    return typed({listed})\n", space)  # noqa: S102
        function = space[emit.__name__]
        function.__doc__ = emit.__doc__
        function.__module__ = emit.__module__
        return intrinsic(function)

    return decorate


@intrinsic(prefer_literal=True)
def zeros(typing_context, n):
    """A tuple of `n` vectors of zeros, `n` being a constant; at least one."""
    kind = vectors(max(1, n.literal_value))

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        return cgutils.pack_array(builder, [zero] * kind.count)

    return kind(n), generate


@intrinsic(prefer_literal=True)
def stack_floats(typing_context, n):
    """A pointer to `n` floats on the stack, `n` being a constant: for panels of a few kilobytes."""
    size = n.literal_value

    def generate(context, builder, signature, arguments):
        with builder.goto_entry_block():  # cgutils.alloca_once would write zeros, float by float
            place = builder.alloca(ir.ArrayType(_FLOAT, size))
        place.align = 64
        return builder.bitcast(place, context.get_value_type(FLOATS))

    return FLOATS(n), generate


@intrinsic
def pointer(typing_context, table, index, kind):
    """The pointer whose address is table[index]; `kind` is FLOATS, INTS, …, as a type."""
    result = kind.instance_type

    def generate(context, builder, signature, arguments):
        place = builder.gep(arguments[0], [arguments[1]], source_etype=_I64)
        return builder.inttoptr(
            builder.load(place, typ=_I64), context.get_value_type(signature.return_type)
        )

    return result(table, types.intp, kind), generate


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


# Pixels of four bytes


@intrinsic
def pixel_sum(typing_context, pixels, at, weights, first, pairs, into, to):
    """Store Σ weight · pixel, with 22 bits after the point, rounded and cut off to bytes.

    `pixels` and `into` are arrays of bytes, a pixel being four from `at` and `to` on; `weights` one
    of int32, four equal ones a pixel, from `first` on. Pixels are taken two at a time: `pairs`. Of
    what is stored the fourth byte is of no use. Numba's vectorizer leaves such short sums alone.
    """
    signature = types.void(pixels, types.intp, weights, types.intp, types.intp, into, types.intp)

    def generate(context, builder, signature, arguments):
        pixels, at, weights, first, pairs, into, to = arguments

        def place(kind, array, offset, element, count):
            data = context.make_array(kind)(context, builder, array).data
            address = builder.gep(data, [offset], source_etype=element)
            return builder.bitcast(address, ir.VectorType(element, count).as_pointer())

        eight, four = ir.VectorType(_I32, 8), ir.VectorType(_I32, 4)
        half = [1 << 21] * 4 + [0] * 4
        total = cgutils.alloca_once_value(builder, ir.Constant(eight, half))
        kinds = signature.args
        with cgutils.for_range(builder, pairs) as loop:
            offset = builder.mul(loop.index, ir.Constant(_I64, 8))
            x = place(kinds[0], pixels, builder.add(at, offset), _I8, 8)
            w = place(kinds[2], weights, builder.add(first, offset), _I32, 8)
            x = builder.load(x, align=1, typ=ir.VectorType(_I8, 8))
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
        level = builder.trunc(level, ir.VectorType(_I8, 4))
        builder.store(level, place(kinds[5], into, to, _I8, 4), align=1)
        return context.get_dummy_value()

    return signature, generate


# Atomics, for barriers. An element is an int64 of a shared array.


def _element(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]], source_etype=_I64)


@intrinsic
def atomic_add(typing_context, array, index, value):
    """Add to array[index] and give what stood there before."""

    def generate(context, builder, signature, arguments):
        place = _element(context, builder, signature, arguments)
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def atomic_exchange(typing_context, array, index, value):
    """Set array[index] and give what stood there before, in one order with all exchanges."""

    def generate(context, builder, signature, arguments):
        place = _element(context, builder, signature, arguments)
        return builder.atomic_rmw("xchg", place, arguments[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def atomic_compare_exchange(typing_context, array, index, expected, value):
    """Set array[index] if it is as expected, and give what stood there before."""

    def generate(context, builder, signature, arguments):
        place = _element(context, builder, signature, arguments)
        pair = builder.cmpxchg(place, arguments[2], arguments[3], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 0)

    return types.int64(array, types.intp, types.int64, types.int64), generate


@intrinsic
def atomic_load(typing_context, array, index):
    """array[index], and everything that was written before it was stored."""

    def generate(context, builder, signature, arguments):
        place = _element(context, builder, signature, arguments)
        return builder.load_atomic(place, "seq_cst", 8, typ=_I64)

    return types.int64(array, types.intp), generate


@intrinsic
def atomic_store(typing_context, array, index, value):
    """Set array[index] after everything that was written before."""

    def generate(context, builder, signature, arguments):
        place = _element(context, builder, signature, arguments)
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


@intrinsic
def pause(typing_context):
    """Say that this is a waiting loop, so that a thread beside it on the core can run."""

    def generate(context, builder, signature, arguments):
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def rolled(typing_context, number):
    """The whole number, and LLVM does not know which; in the machine code it is nothing.

    A loop of so many passes is not unrolled as a whole, and one with this inside it not in part.
    LLVM takes Zen's loop buffer for one of 4,096 operations and would unroll blocks that are long
    already until they fill it: seconds of compiling for nothing.
    """

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_I64, [_I64])
        return builder.asm(kind, "", "=r,0", arguments, side_effect=True)

    return types.intp(types.intp), generate


@intrinsic
def scheduler_yield(typing_context):
    """Let another thread have the core."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_I32, [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


# Sleeping until a word of a shared array changes: Linux's futex, with the number of its system
# call by processor; a nap elsewhere. (https://man7.org/linux/man-pages/man2/futex.2.html)

_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None
_FUTEX_WAIT, _FUTEX_WAKE = 128, 129  # of this process alone


def _futex(builder: Any, place: Any, operation: int, value: Any) -> None:
    # The futex is the low half of the word, which comes first on these processors.
    number, none = ir.Constant(_I64, _FUTEX), ir.Constant(_I64, 0)
    kind = ir.FunctionType(_I64, [_I64], var_arg=True)
    function = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    address = builder.ptrtoint(place, _I64)
    arguments = [number, address, ir.Constant(_I64, operation), value, none, none, none]
    builder.call(function, arguments)


def _nap(builder: Any, nanoseconds: Any) -> None:
    if sys.platform == "win32":
        kind = ir.FunctionType(ir.VoidType(), [_I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "Sleep")
        builder.call(function, [ir.Constant(_I32, 1)])  # milliseconds
        return
    time = ir.ArrayType(_I64, 2)  # struct timespec: seconds, nanoseconds
    place = cgutils.alloca_once(builder, time)
    packed = builder.insert_value(ir.Constant(time, [0, 0]), nanoseconds, 1)
    builder.store(packed, place)
    kind = ir.FunctionType(_I32, [ir.PointerType(), ir.PointerType()])
    function = cgutils.get_or_insert_function(builder.module, kind, "nanosleep")
    builder.call(function, [place, ir.Constant(ir.PointerType(), None)])


@intrinsic
def sleep_while(typing_context, array, index, value, nanoseconds):
    """Sleep if array[index] is still `value`, until `wake_all`; perhaps less.

    The look and the falling asleep are one: who changes the word and then wakes is not missed.
    Where the system has no such thing, sleep for so many nanoseconds, below a second.
    """

    def generate(context, builder, signature, arguments):
        if _FUTEX is None:
            _nap(builder, arguments[3])
        else:
            place = _element(context, builder, signature, arguments)
            _futex(builder, place, _FUTEX_WAIT, arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64, types.int64), generate


@intrinsic
def wake_all(typing_context, array, index):
    """Wake all who sleep by `sleep_while` at array[index]."""

    def generate(context, builder, signature, arguments):
        if _FUTEX is not None:
            place = _element(context, builder, signature, arguments)
            _futex(builder, place, _FUTEX_WAKE, ir.Constant(_I64, 2**31 - 1))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


# Denormals. Gradients that fade to below 1e-38 would cost 100 cycles an operation.


def _control_register(builder: Any, value: Any = None) -> Any:
    """Read the float control register (x86 MXCSR, ARM FPCR), or write it."""
    if _X86:
        place = cgutils.alloca_once(builder, _I32)
        if value is not None:
            builder.store(builder.trunc(value, _I32), place)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
        name = "llvm.x86.sse.stmxcsr" if value is None else "llvm.x86.sse.ldmxcsr"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [place])
        return builder.zext(builder.load(place, typ=_I32), _I64)
    if value is None:
        kind, name = ir.FunctionType(_I64, []), "llvm.aarch64.get.fpcr"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
    kind, name = ir.FunctionType(ir.VoidType(), [_I64]), "llvm.aarch64.set.fpcr"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])


@intrinsic
def flush_denormals(typing_context):
    """Treat denormals as zero in this thread from here on; gives what `restore_denormals` wants."""

    def generate(context, builder, signature, arguments):
        if not (_X86 or _ARM):
            return ir.Constant(_I64, 0)
        before = _control_register(builder)
        bits = 0x8040 if _X86 else 1 << 24  # flush results and read operands as zero
        _control_register(builder, builder.or_(before, ir.Constant(_I64, bits)))
        return before

    return types.int64(), generate


@intrinsic
def restore_denormals(typing_context, before):
    """Undo `flush_denormals`."""

    def generate(context, builder, signature, arguments):
        if _X86 or _ARM:
            _control_register(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def function_pointer_call(argument_types: Sequence[Any]) -> Any:
    """A Numba function that calls the compiled function at an address, with Numba's convention.

    The result takes (address, *arguments) of `argument_types` and gives nothing.
    """
    kinds = list(argument_types)

    @intrinsic
    def call(typing_context, address, operands, first, count):
        signature = types.void(types.int64, *kinds[1:])

        def generate(context, builder, signature, arguments):
            kind = context.call_conv.get_function_type(types.none, kinds)
            target = builder.inttoptr(arguments[0], kind.as_pointer())
            values = [context.get_dummy_value(), *arguments[1:]]
            context.call_conv.call_function(builder, target, types.none, kinds, values)
            return context.get_dummy_value()

        return signature, generate

    return call
