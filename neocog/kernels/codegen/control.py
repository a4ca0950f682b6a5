"""Loops and branches within a block, as LLVM's basic blocks.

They cost a fraction of what Numba takes for the same in a kernel, and what they carry stays in
registers: Numba passes a tuple of vectors through memory from one function to the next, of which
LLVM then frees it, but at the price of a compile per length of the tuple.
"""

from collections.abc import Callable, Sequence
from typing import Any

from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import I64

__all__ = ["either_way", "repeat"]

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
