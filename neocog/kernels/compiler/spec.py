"""Specs as Numba types: their attributes are constants of the kernel compiled for them."""

import hashlib
from dataclasses import is_dataclass
from typing import Any

from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model

__all__ = ["SpecType"]


class SpecType(types.Type):
    """The Numba type of a spec; equal specs have the same type.

    `value` is a frozen dataclass. Its integer attributes and properties are literals in the kernel,
    so loops have constant bounds; attributes that are dataclasses have a `SpecType` in turn. Blocks
    read `value` while they emit code.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._attributes: dict[str, Any] = {}
        # Numba repeats the names of a function's types in its symbols. A short name instead of the
        # value's repr saves a tenth of the compile time.
        digest = hashlib.sha256(repr(value).encode()).hexdigest()[:32]
        super().__init__(name=f"{type(value).__name__}_{digest}")

    def __reduce__(self) -> Any:
        # Attributes may refer back to their spec, which Numba's unpickling cannot handle.
        return SpecType, (self.value,)

    def attribute(self, name: str) -> Any:
        """The attribute's value, cached, because some are long chains of properties."""
        if name not in self._attributes:
            value = getattr(self.value, name)
            self._attributes[name] = SpecType(value) if is_dataclass(value) else value
        return self._attributes[name]


@register_model(SpecType)
class _StaticModel(models.OpaqueModel):
    pass


@infer_getattr
class _StaticAttribute(AttributeTemplate):
    key = SpecType

    def generic_resolve(self, static, attribute):
        value = static.attribute(attribute)
        if isinstance(value, SpecType):
            return value
        return types.literal(value) if isinstance(value, bool | int) else types.float64


@lower_getattr_generic(SpecType)
def _lower(context, builder, static, value, attribute):
    constant = static.attribute(attribute)
    if isinstance(constant, SpecType):
        return context.get_dummy_value()
    kind = {bool: types.boolean, int: types.intp, float: types.float64}[type(constant)]
    return context.get_constant(kind, constant)
