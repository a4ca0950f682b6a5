"""Specs as Numba types: some attributes are constants of the machine code, all others are read.

A spec is a frozen dataclass that says what a kernel works on. The class names its `constants`:
attributes, also dotted ones, that the machine code is made for, such as the number of vectors in a
register block. Specs of one class with equal constants are of one *kind* and share machine code;
the code reads all other attributes when it runs. Kernels and blocks write ``spec.x.row`` for both.

    @dataclass(frozen=True)
    class Copy(Spec):
        x: FeatureMap
        y: FeatureMap
        vectors: int
        constants = ("vectors",)

Attributes are fields or properties: integers, truth values, floats, dataclasses of such, and, if
they are read at run time, tuples of integers, which a kernel sees as a pointer to them. A dataclass
among the constants is constant with all that is in it. So is a dataclass that is no `Spec`.

What is read is found while a kernel is compiled: each attribute gets a place in the kernel's table
of numbers when it is first used. `CompiledKernel.sizes` lists them, and `numbers_of` fills the
table for a spec.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import FunctionType, MethodType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model
from numpy.typing import NDArray

from neocog.kernels.codegen.numbers import Flag, Number, Real
from neocog.kernels.codegen.vector_types import LONGS

__all__ = ["Kind", "Size", "Spec", "SpecType", "kind_of", "numbers_of", "sizes_of"]


class Spec:
    """Base class of the specs whose attributes, but for the `constants`, are read at run time."""

    constants: ClassVar[tuple[str, ...]] = ()


class Kind(NamedTuple):
    """What machine code is made for: a class of specs and the values of its constants."""

    of: type
    constants: tuple[Any, ...]

    @property
    def named(self) -> list[str]:
        """The constants by name, as in ``vectors=2`` or ``bias``; without those that are false."""
        named = zip(self.of.constants, self.constants, strict=True)  # type: ignore[attr-defined]
        return [part for name, value in named for part in _shown(name, value)]

    def __str__(self) -> str:
        return ", ".join(self.named)


def _shown(name: str, value: Any) -> list[str]:
    if is_dataclass(value):
        parts = ((field.name, field.default) for field in fields(value))
        changed = [one for one, default in parts if getattr(value, one) != default]
        return [
            part for one in changed for part in _shown(f"{name}.{one}", getattr(value, one))
        ] or [name]
    if value is True:
        return [name]
    return [] if value is False or value is None else [f"{name}={value}"]


class Size(NamedTuple):
    """A number that machine code reads from its table.

    Attributes:
        path: the attribute of the spec, dotted.
        code: ``i`` for an integer, ``b`` for a truth value, ``f`` for a float, ``t`` for a tuple.
    """

    path: str
    code: str


_CODES = {int: "i", bool: "b", float: "f", tuple: "t"}


def kind_of(spec: Any) -> Any:
    """What a spec's machine code depends on; equal and hashable."""
    if not isinstance(spec, Spec):
        return spec
    return Kind(type(spec), tuple(attrgetter(path)(spec) for path in type(spec).constants))


def numbers_of(sizes: Sequence[Size], spec: Any) -> NDArray[np.int64]:
    """The table of numbers that a kernel with these `sizes` reads for a spec.

    Tuples follow behind the numbers, and their places hold addresses. The array must stay where it
    is in memory.
    """
    values = [attrgetter(size.path)(spec) for size in sizes]
    longer = sum(len(value) for value in values if isinstance(value, tuple))
    numbers = np.zeros(len(values) + longer, np.int64)
    end = len(values)
    for n, (size, value) in enumerate(zip(sizes, values, strict=True)):
        if _CODES[type(value)] != size.code:
            raise TypeError(f"{size.path} (={value!r}) of {type(spec).__name__} changes its type.")
        if size.code == "f":
            numbers.view(np.float64)[n] = value
        elif size.code == "t":
            numbers[n] = numbers.ctypes.data + 8 * end
            numbers[end : end + len(value)] = value
            end += len(value)
        else:
            numbers[n] = value
    return numbers


#: The sizes that are read so far, by the name of the kind's type: parts of kernels are compiled
#: once per kind, so that all kernels of a kind in this process have one table.
_sizes: dict[str, dict[Size, int]] = {}


class _View:
    """A spec for blocks: its attributes are constants, or are read where they are used."""

    def __init__(self, kind: "SpecType", read: Callable[["SpecType", Size], Any]) -> None:
        self._kind, self._read = kind, read

    def __getattr__(self, name: str) -> Any:
        method = self._kind.method(name)
        if method is not None:
            return MethodType(method, self)
        found = self._kind.attribute(name)
        if isinstance(found, SpecType):
            return found.value if found.is_constant else _View(found, self._read)
        return self._read(self._kind, found) if isinstance(found, Size) else found


def _constants_only(kind: "SpecType", size: Size) -> Any:
    raise TypeError(
        f"{size.path} of {type(kind.root).__name__} is read at run time, so no type can depend on "
        "it. Name it among the constants."
    )


class SpecType(types.Type):
    """The Numba type of the specs of a kind, or of one of their attributes that is a dataclass.

    Args:
        value: a spec of the kind, or its attribute.
        path: the attribute, dotted; empty for the spec itself.
        root: the spec.
    """

    dtype = types.int64  # of the table

    def __init__(self, value: Any, path: str = "", root: Any = None) -> None:
        self.value, self.path = value, path
        self.root = value if root is None else root
        self.is_constant = not isinstance(self.root, Spec)
        self._attributes: dict[str, Any] = {}
        # Numba repeats the names of a function's types in its symbols. A short name instead of the
        # value's repr saves a tenth of the compile time.
        kind = repr(kind_of(self.root))
        digest = hashlib.sha256(kind.encode()).hexdigest()[:32]
        self._table = f"{type(self.root).__name__}_{digest}"
        super().__init__(name=f"{self._table}.{path}" if path else self._table)

    def __reduce__(self) -> Any:
        # Attributes may refer back to their spec, which Numba's unpickling cannot handle.
        return SpecType, (self.value, self.path, self.root)

    @property
    def sizes(self) -> list[Size]:
        """The sizes that are read so far."""
        return list(_sizes.get(self._table, ()))

    def attribute(self, name: str) -> Any:
        """A `SpecType`, a `Size`, or the value of a constant."""
        # Cached, because some are long chains of properties.
        if name not in self._attributes:
            self._attributes[name] = self._found(name)
        return self._attributes[name]

    def _found(self, name: str) -> Any:
        value = getattr(self.value, name)
        path = f"{self.path}.{name}" if self.path else name
        if self.is_constant or path in type(self.root).constants:
            return SpecType(value) if is_dataclass(value) else value
        if is_dataclass(value):
            return SpecType(value, path, self.root)
        return Size(path, _CODES[type(value)])

    def place(self, size: Size) -> int:
        """Where the table has a size."""
        table = _sizes.setdefault(self._table, {})
        return table.setdefault(size, len(table))

    def method(self, name: str) -> FunctionType | None:
        """The class's method of this name, if there is one."""
        found = getattr(type(self.value), name, None)
        return found if isinstance(found, FunctionType) else None

    # Protocol of `codegen.block`

    def constants_view(self) -> Any:
        """The spec for what must be known before code is emitted."""
        return self.value if self.is_constant else _View(self, _constants_only)

    def unpacked(self, context: Any, builder: Any, value: Any) -> Any:
        """The spec for a block that emits code."""
        if self.is_constant:
            return self.value

        def read(part: SpecType, size: Size) -> Any:
            found = _load(context, builder, part, value, size)
            wrapped = {"i": Number, "b": Flag, "f": Real}.get(size.code)
            return found if wrapped is None else wrapped(builder, found)

        return _View(self, read)


def sizes_of(spec: Any) -> list[Size]:
    """The sizes that the kernels of a spec's kind read that were compiled in this process."""
    return SpecType(spec).sizes


_NUMBA = {"i": types.intp, "b": types.boolean, "f": types.float64, "t": LONGS}


def _load(context: Any, builder: Any, kind: SpecType, table: Any, size: Size) -> Any:
    """Emit the reading of a number."""
    whole = context.get_value_type(types.int64)
    stored = context.get_value_type(types.float64) if size.code == "f" else whole
    index = context.get_constant(types.int64, kind.place(size))
    number = builder.load(builder.gep(table, [index], source_etype=whole), typ=stored)
    # Nothing writes there while a kernel runs, so LLVM may load a number once per loop.
    number.set_metadata("invariant.load", builder.module.add_metadata([]))
    if size.code == "b":
        return builder.icmp_signed("!=", number, context.get_constant(types.int64, 0))
    if size.code == "t":
        return builder.inttoptr(number, context.get_value_type(LONGS))
    return number


register_model(SpecType)(models.PointerModel)


@infer_getattr
class _SpecAttribute(AttributeTemplate):
    key = SpecType

    def generic_resolve(self, kind, attribute):
        found = kind.attribute(attribute)
        if isinstance(found, SpecType):
            return found
        if isinstance(found, Size):
            return _NUMBA[found.code]
        return types.literal(found) if isinstance(found, bool | int) else types.float64


@lower_getattr_generic(SpecType)
def _lower(context, builder, kind, value, attribute):
    found = kind.attribute(attribute)
    if isinstance(found, SpecType):
        return value
    if isinstance(found, Size):
        return _load(context, builder, kind, value, found)
    of = {bool: types.boolean, int: types.intp, float: types.float64}[type(found)]
    return context.get_constant(of, found)
