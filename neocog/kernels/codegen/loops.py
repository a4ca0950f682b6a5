"""Loops, branches and variables in blocks, as LLVM's basic blocks.

    with emit.loop(0, width, 8) as column:         # `column` is a Number
        total.set(emit.add(total.get(), emit.load(x, column)))

A kernel's own loops are Numba code, which takes Numba a third of a second to compile. Loops that
a block emits take none of that, and what runs inside them may be a Python function.

`repeat` and `either_way` are for vectors that one round hands to the next, or that a branch gives:
these stay in registers, where Numba passes a tuple of vectors through memory from one function to
the next.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import FLOAT, I64, VECTOR

__all__ = ["LoopEmitter", "Variable", "either_way", "repeat"]


class Variable:
    """A vector that changes while code runs; in a register where there is one."""

    def __init__(self, builder: Any, value: Any) -> None:
        self._b = builder
        with builder.goto_entry_block():
            self._place = builder.alloca(VECTOR)
        self.set(value)

    def get(self) -> Any:
        """What it is now."""
        return self._b.load(self._place, typ=VECTOR)

    def set(self, value: Any) -> None:
        """Change it."""
        self._b.store(value, self._place)


class LoopEmitter:
    """Emits loops, branches and variables; a part of `Emitter`."""

    _b: Any

    @contextmanager
    def loop(self, begin: Any, end: Any, step: int | Number = 1) -> Iterator[Number]:
        """The code within runs for each number of range(begin, end, step)."""
        b = self._b
        begin, end, step = to_llvm(begin), to_llvm(end), to_llvm(step)
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        before = b.block
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        index.add_incoming(begin, before)
        b.cbranch(b.icmp_signed("<", index, end), body, after)
        b.position_at_end(body)
        yield Number(b, index)
        index.add_incoming(b.add(index, step), b.block)
        b.branch(head)
        b.position_at_end(after)

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        """The code within runs only if a truth value is true."""
        with self._b.if_then(to_llvm(condition)):
            yield

    def variable(self, value: Any) -> Variable:
        """A variable that starts with this vector."""
        return Variable(self._b, value)

    def smaller(self, a: Any, b: Any) -> Number:
        """The smaller of two integers."""
        return self.choose(self._b.icmp_signed("<", to_llvm(a), to_llvm(b)), a, b)

    def bigger(self, a: Any, b: Any) -> Number:
        """The bigger of two integers."""
        return self.choose(self._b.icmp_signed(">", to_llvm(a), to_llvm(b)), a, b)

    def rolled(self, number: Number) -> Number:
        """The integer itself, hidden from LLVM's optimizer; see `pointers.rolled`."""
        kind = ir.FunctionType(I64, [I64])
        hidden = self._b.asm(kind, "", "=r,0", [to_llvm(number)], side_effect=True)
        return Number(self._b, hidden)

    def reciprocal(self, number: Number) -> Any:
        """1 / number, an LLVM float."""
        return self._b.fdiv(ir.Constant(FLOAT, 1.0), self._b.sitofp(to_llvm(number), FLOAT))

    def choose(self, condition: Any, a: Any, b: Any) -> Number:
        """The integer `a` where the condition holds, else `b`."""
        return Number(self._b, self._b.select(to_llvm(condition), to_llvm(a), to_llvm(b)))

    def multiple(self, number: Any, of: int) -> Number:
        """The largest multiple of a power of two that is at most `number`."""
        return Number(self._b, self._b.and_(to_llvm(number), ir.Constant(I64, -of)))


# Values that stay in registers

_Values = Sequence[Any]


def _wrapped(builder: Any, value: Any) -> Any:
    return Number(builder, value) if getattr(value, "type", None) == I64 else value


def repeat(
    emit: Any,
    times: Any,
    values: _Values,
    body: Callable[[Number, list[Any]], _Values],
    *,
    at_least_once: bool = False,
) -> list[Any]:
    """What `values` are after so many rounds of ``values = body(round, values)``; perhaps none.

    Where there is `at_least_once` a round, no values need to be brought together behind the loop.
    """
    builder = emit.builder
    first, limit = [to_llvm(value) for value in values], to_llvm(times)
    before = builder.block
    loop, after = (builder.append_basic_block(name) for name in ("repeat", "repeated"))
    if at_least_once:
        builder.branch(loop)
    else:
        builder.cbranch(builder.icmp_signed(">", limit, I64(0)), loop, after)
    builder.position_at_end(loop)
    index = builder.phi(I64)
    carried = [builder.phi(value.type) for value in first]
    results = body(Number(builder, index), [_wrapped(builder, value) for value in carried])
    last = [to_llvm(value) for value in results]
    following = builder.add(index, I64(1))
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", following, limit), loop, after)
    pairs = zip([I64(0), *first], [following, *last], strict=True)
    for phi, (start, result) in zip([index, *carried], pairs, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(result, end)
    builder.position_at_end(after)
    return _merged(builder, [(last, end)] if at_least_once else [(first, before), (last, end)])


def either_way(
    emit: Any,
    condition: Any,
    then: Callable[[], _Values | None],
    otherwise: Callable[[], _Values | None],
) -> list[Any]:
    """The values of `then()` where the condition holds at run time, else those of the other."""
    builder = emit.builder
    ways = [builder.append_basic_block(name) for name in ("then", "otherwise")]
    after = builder.append_basic_block("chosen")
    builder.cbranch(to_llvm(condition), *ways)
    ends = []
    for way, emitted in zip(ways, (then, otherwise), strict=True):
        builder.position_at_end(way)
        values = [to_llvm(value) for value in emitted() or ()]
        ends.append((values, builder.block))
        builder.branch(after)
    builder.position_at_end(after)
    return _merged(builder, ends)


def _merged(builder: Any, ends: Sequence[tuple[list[Any], Any]]) -> list[Any]:
    merged = []
    for values in zip(*(values for values, _ in ends), strict=True):
        phi = builder.phi(values[0].type)
        for value, (_, block) in zip(values, ends, strict=True):
            phi.add_incoming(value, block)
        merged.append(_wrapped(builder, phi))
    return merged
