"""Groups of ONNX's operators that together are one layer: recognized and replaced by it.

A pattern is a tuple of an operator and its inputs, which are patterns, numbers, `X` (the layer's
input, the same wherever it stands) or other names (scalars that are taken from the graph)::

    ("Mul", X, ("Sigmoid", X))              # SiLU

Inputs of Add and Mul may stand in either order.

What a part of a pattern is at a value of the graph does not depend on the rest of the pattern. It
is found once and kept, so that the time is proportional to the number of nodes, however they are
chained.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from neocog.errors import ArchitectureError, FormatError
from neocog.formats.onnx.reading.messages import Model, Operation
from neocog.formats.onnx.reading.tensors import Tensor
from neocog.layers import GELU, Hardsigmoid, Hardswish, Layer, Mish, ReLU6, SiLU, Softplus

__all__ = ["LAYER", "NORMALIZE", "simplified"]

#: Operators of our own, whose names no file can have.
LAYER, NORMALIZE = "several nodes", "normalization in several nodes"

X = "x"
Pattern = Any
# Constants are float32 in the file.
_TOLERANCE = 1e-5
# Of a pattern's node.
_MOST_INPUTS = 3
_EITHER_ORDER = ("Add", "Mul", "Min", "Max")


def _half(factor: Pattern) -> list[Pattern]:
    """The spellings of x · factor / 2."""
    return [
        ("Mul", ("Mul", X, factor), 0.5),
        ("Mul", X, ("Mul", factor, 0.5)),
        ("Mul", ("Mul", X, 0.5), factor),
        ("Div", ("Mul", X, factor), 2.0),
    ]


_CUBES = [("Pow", X, 3.0), ("Mul", X, ("Mul", X, X))]
_ERFS = [("Erf", ("Div", X, math.sqrt(2))), ("Erf", ("Mul", X, math.sqrt(0.5)))]
_TANHS = [
    ("Tanh", ("Mul", math.sqrt(2 / math.pi), ("Add", X, ("Mul", 0.044715, cube))))
    for cube in _CUBES
]
_SIX = ("Clip", ("Add", X, 3.0), 0.0, 6.0)
_SIGMOID_OF_LINES = ("HardSigmoid", X, {"alpha": (1 / 6, 0.2), "beta": (0.5, 0.5)})
_SCALED = ("Mul", X, "beta")
_SOFTPLUS = ("Div", ("Softplus", _SCALED), "beta")
_CENTERED = ("Sub", X, ("ReduceMean", X))
_VARIANCES = [
    ("ReduceMean", ("Pow", _CENTERED, 2.0)),
    ("ReduceMean", ("Mul", _CENTERED, _CENTERED)),
]
_NORMALIZED = [
    spelling
    for deviation in [("Sqrt", ("Add", variance, "eps")) for variance in _VARIANCES]
    for spelling in (("Div", _CENTERED, deviation), ("Mul", _CENTERED, ("Reciprocal", deviation)))
]

MakeLayer = Callable[[Mapping[str, Any]], Layer]
_LAYERS: list[tuple[Pattern, MakeLayer]] = [
    (("Mul", X, ("Sigmoid", X)), lambda _: SiLU()),
    (("Mul", X, ("Tanh", ("Softplus", X))), lambda _: Mish()),
    (("Min", ("Max", X, 0.0), 6.0), lambda _: ReLU6()),
    (_SIGMOID_OF_LINES, lambda _: Hardsigmoid()),
    (("Div", _SIX, 6.0), lambda _: Hardsigmoid()),
    (("Mul", X, _SIGMOID_OF_LINES), lambda _: Hardswish()),
    (("Mul", X, ("Div", _SIX, 6.0)), lambda _: Hardswish()),
    (("Div", ("Mul", X, _SIX), 6.0), lambda _: Hardswish()),
    (_SOFTPLUS, lambda found: Softplus(found["beta"])),
    (
        ("Where", ("Greater", _SCALED, "threshold"), X, _SOFTPLUS),
        lambda found: Softplus(found["beta"], found["threshold"]),
    ),
    (
        ("Where", ("Greater", X, "threshold"), X, ("Softplus", X)),
        lambda found: Softplus(1.0, found["threshold"]),
    ),
    *((one, lambda _: GELU()) for erf in _ERFS for one in _half(("Add", erf, 1.0))),
    *((one, lambda _: GELU("tanh")) for tanh in _TANHS for one in _half(("Add", tanh, 1.0))),
]


@dataclass(frozen=True)
class _Entry:
    """A pattern, and the layer's maker, if it is one.

    `needed` are the operators that give its root's inputs, and `behind` those that give the inputs
    of these: where one is missing, the pattern need not be tried.
    """

    pattern: Pattern
    needed: frozenset[str]
    behind: frozenset[str]
    make: MakeLayer | None


def _by_root() -> dict[str, list[_Entry]]:
    """The patterns by the operator at their end; longer ones, which end in shorter ones, first."""
    found: dict[str, list[_Entry]] = {}
    for pattern, make in (*reversed(_LAYERS), *((one, None) for one in _NORMALIZED)):
        parts = _parts(pattern)
        needed = frozenset(part[0] for part in parts)
        behind = frozenset(inner[0] for part in parts for inner in _parts(part))
        found.setdefault(pattern[0], []).append(_Entry(pattern, needed, behind, make))
    return found


def _parts(pattern: Pattern) -> list[Pattern]:
    """The inputs of a pattern that are patterns of an operator."""
    return [part for part in pattern if isinstance(part, tuple)]


_BY_ROOT = _by_root()


@dataclass(frozen=True)
class _Found:
    """What a pattern's names stand for, and the means in it."""

    names: Mapping[str, Any]
    means: tuple[Operation, ...] = ()


class _Matcher:
    def __init__(self, model: Model) -> None:
        self._tensors = model.tensors
        self._numbers: dict[str, float | None] = {}
        self._found: dict[tuple[int, str], _Found | None] = {}
        self._read: dict[int, frozenset[str]] = {}
        self.makers = {name: one for one in model.operations for name in one.outputs if name}

    def read(self, operation: Operation) -> frozenset[str]:
        """The operators that give a node's inputs."""
        found = self._read.get(id(operation))
        if found is None:
            made = map(self.makers.get, operation.inputs)
            found = frozenset([one.operator for one in made if one is not None])
            self._read[id(operation)] = found
        return found

    def match(self, pattern: Pattern, value: str) -> _Found | None:
        """What a pattern is at a value; None if the value is something else."""
        if isinstance(pattern, float):
            number = self._number(value)
            fits = number is not None and math.isclose(number, pattern, rel_tol=_TOLERANCE)
            return _Found({}) if fits else None
        if isinstance(pattern, str):
            what: Any = value if pattern == X else self._number(value)
            return None if what is None else _Found({pattern: what})
        key = (id(pattern), value)
        if key not in self._found:
            self._found[key] = self._of_operation(pattern, self.makers.get(value))
        return self._found[key]

    def _of_operation(self, pattern: Pattern, operation: Operation | None) -> _Found | None:
        if operation is None or operation.operator != pattern[0]:
            return None
        wanted = pattern[1:]
        if isinstance(wanted[-1], dict):
            wanted, attributes = wanted[:-1], wanted[-1]
            for name, (number, default) in attributes.items():
                given = operation.attributes.get(name, default)
                if not (isinstance(given, float) and math.isclose(given, number, rel_tol=1e-5)):
                    return None
        if len(operation.inputs) < len(wanted):
            return None
        found = self._of_inputs(wanted, operation)
        if found is None and len(wanted) == 2 and operation.operator in _EITHER_ORDER:
            found = self._of_inputs((wanted[1], wanted[0]), operation)
        return found

    def _of_inputs(self, wanted: tuple[Pattern, ...], operation: Operation) -> _Found | None:
        """What patterns are at a node's inputs, if names that they share stand for the same."""
        parts = list(zip(wanted, operation.inputs, strict=False))
        for pattern, value in parts:  # first whether it may be so at all, which is soon seen
            if isinstance(pattern, tuple):
                maker = self.makers.get(value)
                if maker is None or maker.operator != pattern[0]:
                    return None
            elif pattern != X and self._number(value) is None:
                return None
        names: dict[str, Any] = {}
        means: tuple[Operation, ...] = ()
        if operation.operator == "ReduceMean":
            means = (operation,)
        for part in parts:
            found = self.match(*part)
            if found is None:
                return None
            if any(names.setdefault(name, what) != what for name, what in found.names.items()):
                return None
            means += found.means
        return _Found(names, means)

    def _number(self, value: str) -> float | None:
        """The number that a value of the graph always has; None if it is not one number."""
        if value not in self._numbers:
            maker = self.makers.get(value)
            given: Any = self._tensors.get(value)
            if maker is not None and maker.operator == "Constant":
                given = maker.attributes.get("value", maker.attributes.get("value_float"))
            self._numbers[value] = _number(given)
        return self._numbers[value]


def _number(given: Any) -> float | None:
    """A number in a file, which may be a tensor of one; None if it is none, or not finite."""
    if isinstance(given, Tensor):
        if given.size != 1:
            return None
        array = given.array().reshape(-1)
        given = float(array[0]) if array.dtype.kind in "fiu" else None
    return given if isinstance(given, float) and math.isfinite(given) else None


def simplified(model: Model) -> tuple[Operation, ...]:
    """The nodes that the result depends on, with each known group of them as one.

    Raises:
        FormatError: two nodes give a value of the same name, or one gives an input's or a tensor's.
    """
    matcher = _Matcher(model)
    given = [name for one in model.operations for name in one.outputs if name]
    taken = {*model.tensors, *(one.name for one in model.inputs)}
    if len(given) > len(matcher.makers) or not taken.isdisjoint(given):
        raise FormatError("two of its nodes, inputs or tensors give a value of the same name.")
    replaced = [_replaced(matcher, operation) for operation in model.operations]
    return _live(replaced, (value.name for value in model.outputs))


def _replaced(matcher: _Matcher, operation: Operation) -> Operation:
    """The node, or what stands for it and those before it."""
    entries = _BY_ROOT.get(operation.operator)
    if entries is None or not operation.outputs:
        return operation
    read = matcher.read(operation)
    behind: set[str] | None = None
    for entry in entries:
        if not entry.needed <= read:
            continue
        if behind is None:
            made = (matcher.makers.get(name) for name in operation.inputs[:_MOST_INPUTS])
            behind = {name for one in made if one is not None for name in matcher.read(one)}
        if not entry.behind <= behind:
            continue
        found = matcher.match(entry.pattern, operation.outputs[0])
        if found is None:
            continue
        if entry.make is None:
            return _normalization(found, operation)
        try:
            attributes = {"layer": entry.make(found.names)}
        except ArchitectureError:
            continue
        return Operation(operation.name, LAYER, (found.names[X],), operation.outputs, attributes)
    return operation


def _normalization(found: _Found, operation: Operation) -> Operation:
    """A normalization by the means of some axes, unless its means are of different ones."""
    first = found.means[0]
    if any(
        (one.attributes, one.inputs[1:]) != (first.attributes, first.inputs[1:])
        for one in found.means
    ):
        return operation
    inputs = (found.names[X], *first.inputs[1:])
    attributes = {**first.attributes, "epsilon": found.names["eps"]}
    return Operation(operation.name, NORMALIZE, inputs, operation.outputs, attributes)


def _live(operations: list[Operation], results: Iterable[str]) -> tuple[Operation, ...]:
    """The nodes that the results depend on, in the file's order."""
    makers = {name: one for one in operations for name in one.outputs if name}
    needed: set[int] = set()
    waiting = list(results)
    while waiting:
        operation = makers.get(waiting.pop())
        if operation is not None and id(operation) not in needed:
            needed.add(id(operation))
            waiting += operation.inputs
    return tuple(one for one in operations if id(one) in needed)
