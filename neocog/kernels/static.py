"""Shapes are types: a stage whose attributes are constants of the kernel compiled for it."""

from dataclasses import is_dataclass
from typing import Any

from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model

__all__ = ["StaticType"]


class StaticType(types.Type):
    """The Numba type of one stage; two stages that are equal are one type.

    `value` is a frozen dataclass. Its whole-number attributes and properties are literals in the
    kernel, so loops have constant bounds; attributes that are dataclasses are static in turn.
    Blocks read `value` while they emit.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__(name=f"Static[{value!r}]")


@register_model(StaticType)
class _StaticModel(models.OpaqueModel):
    pass


@infer_getattr
class _StaticAttribute(AttributeTemplate):
    key = StaticType

    def generic_resolve(self, static, attribute):
        value = getattr(static.value, attribute)
        if is_dataclass(value):
            return StaticType(value)
        return types.literal(value) if isinstance(value, bool | int) else types.float64


@lower_getattr_generic(StaticType)
def _lower(context, builder, static, value, attribute):
    constant = getattr(static.value, attribute)
    if is_dataclass(constant):
        return context.get_dummy_value()
    kind = {bool: types.boolean, int: types.intp, float: types.float64}[type(constant)]
    return context.get_constant(kind, constant)
