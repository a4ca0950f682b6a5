"""Operands of kernels by name: a table of addresses as a Numba type.

    @kernel(x=FLOATS, y=FLOATS, gate=maybe(FLOATS))
    def relu(spec, o, first, count):
        value = o.x[0]

An operand's address is that of the first item that a call works on. `maybe` marks one that some
specs do not use.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model

__all__ = ["MOST_OPERANDS", "OperandsType", "in_order", "maybe"]

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
    """The Numba type of the table of a kernel's operands; attributes are pointers."""

    dtype = types.int64

    def __init__(self, declared: Mapping[str, Any]) -> None:
        self.kinds = {
            name: kind.type if isinstance(kind, _Maybe) else kind for name, kind in declared.items()
        }
        listed = ", ".join(f"{name}: {kind}" for name, kind in self.kinds.items())
        super().__init__(name=f"operands({listed})")


register_model(OperandsType)(models.PointerModel)


@infer_getattr
class _OperandAttribute(AttributeTemplate):
    key = OperandsType

    def generic_resolve(self, operands, attribute):
        return operands.kinds.get(attribute)


@lower_getattr_generic(OperandsType)
def _lower(context, builder, operands, value, attribute):
    index = context.get_constant(types.int64, list(operands.kinds).index(attribute))
    word = context.get_value_type(types.int64)
    address = builder.load(builder.gep(value, [index], source_etype=word), typ=word)
    return builder.inttoptr(address, context.get_value_type(operands.kinds[attribute]))
