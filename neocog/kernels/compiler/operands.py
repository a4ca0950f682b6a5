"""Operands of kernels by name: a table of addresses as a Numba type.

    @kernel(x=FLOATS, y=FLOATS, gate=maybe(FLOATS))
    def relu(spec, o, first, count):
        value = o.x[0]

An operand's address is that of the first item that a call works on. `maybe` marks one that some
specs do not use.

What Python hands to a function (`python_function`) is such a table, too. Its operands can also be
integers, which are in the table themselves, and contiguous arrays: an address and then the shape.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model

from neocog.kernels.codegen.arrays import array_at

__all__ = ["MOST_OPERANDS", "OperandsType", "in_order", "maybe", "operands_at"]

#: Most operands of a kernel.
MOST_OPERANDS = 10


class _Maybe(NamedTuple):
    type: Any


def maybe(kind: Any) -> Any:
    """The type of an operand that need not be given."""
    return _Maybe(kind)


def in_order(
    name: str, declared: Mapping[str, Any], given: Mapping[str, str | None]
) -> tuple[str | None, ...]:
    """What is given for each declared operand of a kernel, in their order.

    Raises:
        TypeError: an operand is missing, or no operand has a name that is given.
    """
    unknown = [one for one in given if one not in declared]
    missing = [one for one, kind in declared.items() if not isinstance(kind, _Maybe)]
    missing = [one for one in missing if given.get(one) is None]
    if unknown or missing:
        wrong = f"has no operand {unknown[0]}" if unknown else f"needs the operand {missing[0]}"
        raise TypeError(f"{name} {wrong}. Its operands are: {', '.join(declared)}.")
    return tuple(given.get(one) for one in declared)


class OperandsType(types.Type):
    """The Numba type of the table of a kernel's operands, which are its attributes.

    Attributes:
        kinds: the type of each operand.
        places: where each one begins in the table.
        size: the words of the table.
    """

    dtype = types.int64

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.kinds = {
            name: kind.type if isinstance(kind, _Maybe) else kind for name, kind in declared.items()
        }
        *begins, self.size = accumulate(map(_words, self.kinds.values()), initial=0)
        self.places = dict(zip(self.kinds, begins, strict=True))
        listed = ", ".join(f"{name}: {kind}" for name, kind in self.kinds.items())
        super().__init__(name=f"operands({listed})")


def _words(kind: Any) -> int:
    return 1 + kind.ndim if isinstance(kind, types.Array) else 1


def operands_at(operands: OperandsType) -> Any:
    """A function for kernels, which takes the place of such a table as a pointer to int64."""

    @intrinsic
    def at(typing_context, pointer):
        return operands(pointer), lambda context, builder, signature, arguments: arguments[0]

    return at


register_model(OperandsType)(models.PointerModel)


@infer_getattr
class _OperandAttribute(AttributeTemplate):
    key = OperandsType

    def generic_resolve(self, operands, attribute):
        return operands.kinds.get(attribute)


@lower_getattr_generic(OperandsType)
def _lower(context, builder, operands, value, attribute):
    kind, begin = operands.kinds[attribute], operands.places[attribute]
    word = context.get_value_type(types.int64)

    def read(n):
        index = context.get_constant(types.int64, begin + n)
        return builder.load(builder.gep(value, [index], source_etype=word), typ=word)

    if isinstance(kind, types.Integer):
        return read(0)
    if not isinstance(kind, types.Array):
        return builder.inttoptr(read(0), context.get_value_type(kind))
    data = builder.inttoptr(read(0), context.get_value_type(types.CPointer(kind.dtype)))
    return array_at(context, builder, kind, data, [read(n) for n in range(1, _words(kind))])
