"""Numbers that are known only at run time, for the arithmetic in blocks.

A block computes offsets such as ``place * x.pixel + v * LANES``. With constants that is a Python
integer; with a `Number` the same expression emits instructions.
"""

from typing import Any

from llvmlite import ir

from neocog.kernels.codegen.vector_types import I64

__all__ = ["Flag", "Number", "Real", "to_llvm"]


class _Unknown:
    """A value that code reads at run time."""

    def __init__(self, builder: Any, value: Any) -> None:
        self._builder = builder
        self.value = value

    def __bool__(self) -> bool:
        raise TypeError("This value is only known at run time; use emit.select, or a constant.")


class Flag(_Unknown):
    """A truth value."""


class Real(_Unknown):
    """A float64."""


class Number(_Unknown):
    """An int64, with the operations of addresses."""

    def __add__(self, other: Any) -> "Number":
        if isinstance(other, int) and other == 0:
            return self
        return Number(self._builder, self._builder.add(self.value, to_llvm(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Number":
        return Number(self._builder, self._builder.sub(self.value, to_llvm(other)))

    def __rsub__(self, other: Any) -> "Number":
        return Number(self._builder, self._builder.sub(to_llvm(other), self.value))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and other in (0, 1):
            return self if other else 0
        return Number(self._builder, self._builder.mul(self.value, to_llvm(other)))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> "Number":
        """Of numbers that are not negative."""
        return Number(self._builder, self._builder.udiv(self.value, to_llvm(other)))

    def __lt__(self, other: Any) -> Flag:
        return Flag(self._builder, self._builder.icmp_signed("<", self.value, to_llvm(other)))

    def __gt__(self, other: Any) -> Flag:
        return Flag(self._builder, self._builder.icmp_signed(">", self.value, to_llvm(other)))


def to_llvm(number: Any) -> Any:
    """The LLVM value of an integer, a `Number` or a `Flag`; LLVM values as they are."""
    if isinstance(number, _Unknown):
        return number.value
    return ir.Constant(I64, number) if isinstance(number, int) else number
