"""Loops and variables in blocks, for code whose loops are the same around different bodies.

    with emit.loop(0, width, 8) as column:         # `column` is a Number
        total.set(emit.add(total.get(), emit.load(x, column)))

A kernel's own loops are Numba code, which takes Numba a third of a second to compile. Loops that
a block emits take none of that, and what runs inside them may be a Python function.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import I64, VECTOR

__all__ = ["LoopEmitter", "Variable"]


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
        index.add_incoming(b.add(index, step, flags=("nsw",)), b.block)
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
        a, b = to_llvm(a), to_llvm(b)
        return Number(self._b, self._b.select(self._b.icmp_signed("<", a, b), a, b))

    def multiple(self, number: Any, of: int) -> Number:
        """The largest multiple of a power of two that is at most `number`."""
        return Number(self._b, self._b.and_(to_llvm(number), ir.Constant(I64, -of)))
