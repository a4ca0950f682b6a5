"""Sizes that machine code reads at run time, where constants would not make it faster.

A spec's attributes are constants of the kernel compiled for it (`spec_type`), as the inner loops of
direct convolutions need them: each further size is another kernel and another second of compiling.
Where the inner loops run over channels only, a spec names what its machine code depends on, its
`kind`, and gives all else as its `runtime_sizes`, a dataclass of integers. Then one kernel serves
all specs of a kind:

    g = runtime_sizes(spec, operands)    # in a kernel; spec is the kind
    for row in range(g.rows): …

Blocks may take `g` and read its numbers too.

Both are properties of the spec; the kind names the class of its sizes as `runtime_sizes`. A spec
without `kind` is its own kind.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

__all__ = ["MOST_OPERANDS", "Items", "OfItems", "kind_of", "numbers_of", "runtime_sizes"]

#: Most operands of a kernel. The next number in their table is the address of its runtime sizes.
MOST_OPERANDS = 10


def kind_of(spec: Any) -> Any:
    """What a spec's machine code depends on."""
    return getattr(spec, "kind", spec)


def numbers_of(spec: Any) -> NDArray[np.int64]:
    """A spec's runtime sizes as a kernel reads them; empty if it has none."""
    sizes = getattr(spec, "runtime_sizes", None)
    names = () if sizes is None else (field.name for field in fields(sizes))
    return np.array([getattr(sizes, name) for name in names], np.int64)


@dataclass(frozen=True)
class Items:
    """A parameter that is processed in items of `item` floats; these are its runtime sizes."""

    item: int

    @property
    def kind(self) -> "OfItems":
        """What the machine code depends on."""
        return OfItems()

    @property
    def runtime_sizes(self) -> "Items":
        """All sizes."""
        return Items(self.item)


@dataclass(frozen=True)
class OfItems:
    """The kind of specs whose machine code depends on nothing but the kernel."""

    runtime_sizes = Items


class _Unpacked:
    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def __getattr__(self, name: str) -> Any:
        return self._read(name)


class _RuntimeSizesType(types.Type):
    """The Numba type of a pointer to the numbers of one class."""

    dtype = types.int64

    def __init__(self, of: type) -> None:
        self.names = [field.name for field in fields(of)]
        super().__init__(name=f"runtime_sizes({of.__module__}.{of.__qualname__})")

    def unpacked(self, context: Any, builder: Any, value: Any) -> Any:
        """An object for blocks, whose attributes are loaded when they are used."""
        return _Unpacked(lambda name: self.read(context, builder, value, name))

    def read(self, context: Any, builder: Any, value: Any, name: str) -> Any:
        """One of the numbers."""
        number = _load(context, builder, value, self.names.index(name))
        # Nothing writes there while a kernel runs, so LLVM may load a number once per loop.
        number.set_metadata("invariant.load", builder.module.add_metadata([]))
        return number


def _load(context: Any, builder: Any, pointer: Any, index: int) -> Any:
    whole = context.get_value_type(types.int64)
    place = builder.gep(pointer, [context.get_constant(types.int64, index)], source_etype=whole)
    return builder.load(place, typ=whole)


register_model(_RuntimeSizesType)(models.PointerModel)


@infer_getattr
class _GeometryAttribute(AttributeTemplate):
    key = _RuntimeSizesType

    def generic_resolve(self, numbers, attribute):
        return types.intp if attribute in numbers.names else None


@lower_getattr_generic(_RuntimeSizesType)
def _read(context, builder, numbers, value, attribute):
    return numbers.read(context, builder, value, attribute)


@intrinsic
def runtime_sizes(typing_context, spec, operands):
    """The runtime sizes of the spec that a kernel runs for."""
    result = _RuntimeSizesType(spec.value.runtime_sizes)

    def generate(context, builder, signature, arguments):
        address = _load(context, builder, arguments[1], MOST_OPERANDS)
        return builder.inttoptr(address, context.get_value_type(signature.return_type))

    return result(spec, operands), generate
