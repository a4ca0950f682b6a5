"""Groups of ONNX's operators that together are one layer: recognized and replaced by it.

A pattern is a tuple of an operator and its inputs, which are patterns, numbers, `X` (the layer's
input, the same wherever it stands) or other names (scalars that are taken from the graph)::

    ("Mul", X, ("Sigmoid", X))              # SiLU

Inputs of Add and Mul may stand in either order.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, FormatError
from neocog.formats.onnx.reading.messages import Model, Operation
from neocog.layers import GELU, Hardsigmoid, Hardswish, Layer, Mish, ReLU6, SiLU, Softplus

__all__ = ["LAYER", "NORMALIZE", "live", "scalar", "simplified"]

#: Operators of our own, whose names no file can have.
LAYER, NORMALIZE = "several nodes", "normalization in several nodes"

X = "x"
Pattern = Any
# Constants are float32 in the file.
_TOLERANCE = 1e-5


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

_LAYERS: list[tuple[Pattern, Callable[[Mapping[str, float]], Layer]]] = [
    (("Mul", X, ("Sigmoid", X)), lambda _: SiLU()),
    (("Mul", X, ("Tanh", ("Softplus", X))), lambda _: Mish()),
    (("Min", ("Max", X, 0.0), 6.0), lambda _: ReLU6()),
    (_SIGMOID_OF_LINES, lambda _: Hardsigmoid()),
    (("Div", _SIX, 6.0), lambda _: Hardsigmoid()),
    (("Mul", X, _SIGMOID_OF_LINES), lambda _: Hardswish()),
    (("Mul", X, ("Div", _SIX, 6.0)), lambda _: Hardswish()),
    (("Div", ("Mul", X, _SIX), 6.0), lambda _: Hardswish()),
    (_SOFTPLUS, lambda found: Softplus(found["beta"], 1e6)),
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
_BY_ROOT: dict[str, list[tuple[Pattern, Callable[[Mapping[str, float]], Layer]]]] = {}
for _entry in _LAYERS:
    _BY_ROOT.setdefault(_entry[0][0], []).append(_entry)


@dataclass
class _Found:
    """What a pattern's names stand for, and the nodes that it covers."""

    names: dict[str, Any] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def copy(self) -> "_Found":
        return _Found(dict(self.names), list(self.operations))


class _Matcher:
    def __init__(self, model: Model) -> None:
        self._model = model
        self.makers = {name: one for one in model.operations for name in one.outputs if name}

    def match(self, pattern: Pattern, value: str, found: _Found) -> _Found | None:
        """`found` with what the value adds to it; None if the pattern is another."""
        if isinstance(pattern, float):
            number = scalar(self._model, self.makers, value)
            fits = number is not None and math.isclose(number, pattern, rel_tol=_TOLERANCE)
            return found if fits else None
        if isinstance(pattern, str):
            what: Any = value if pattern == X else scalar(self._model, self.makers, value)
            if what is None or found.names.get(pattern, what) != what:
                return None
            found.names[pattern] = what
            return found
        operation = self.makers.get(value)
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
        orders = [wanted]
        if operation.operator in ("Add", "Mul", "Min", "Max") and len(wanted) == 2:
            orders.append((wanted[1], wanted[0]))
        for order in orders:
            if not all(map(self._may_be, order, operation.inputs)):
                continue
            one: _Found | None = found.copy()
            for part, name in zip(order, operation.inputs, strict=False):
                one = self.match(part, name, one) if one is not None else None
            if one is not None:
                one.operations.append(operation)
                return one
        return None

    def operators(self, operation: Operation) -> set[str]:
        """The operators that give a node's inputs."""
        return {self.makers[name].operator for name in operation.inputs if name in self.makers}

    def _may_be(self, pattern: Pattern, value: str) -> bool:
        """Whether a value is of the pattern's operator, which is soon seen."""
        if not isinstance(pattern, tuple):
            return True
        maker = self.makers.get(value)
        return maker is not None and maker.operator == pattern[0]


def simplified(model: Model) -> tuple[Operation, ...]:
    """The nodes that the result depends on, with each known group of them as one.

    Raises:
        FormatError: two nodes give a value of the same name.
    """
    matcher = _Matcher(model)
    given = [name for one in model.operations for name in one.outputs if name]
    if len(given) > len(matcher.makers):
        raise FormatError("two of its nodes give a value of the same name.")
    replaced = [_replaced(matcher, operation) for operation in model.operations]
    return live(replaced, [value.name for value in model.outputs])


def _replaced(matcher: _Matcher, operation: Operation) -> Operation:
    """The node, or what stands for it and those before it."""
    value = operation.outputs[0] if operation.outputs else ""
    read = matcher.operators(operation)
    # Longer patterns end in shorter ones, so that they are tried first.
    for pattern, make in reversed(_BY_ROOT.get(operation.operator, [])):
        if not _needed(pattern) <= read:
            continue
        found = matcher.match(pattern, value, _Found())
        if found is not None:
            try:
                attributes: dict[str, Any] = {"layer": make(found.names)}
            except ArchitectureError:
                continue
            return Operation(
                operation.name, LAYER, (found.names[X],), operation.outputs, attributes
            )
    if operation.operator in ("Div", "Mul"):
        for pattern in _NORMALIZED:
            if not _needed(pattern) <= read:
                continue
            found = matcher.match(pattern, value, _Found())
            if found is not None:
                return _normalization(found, operation)
    return operation


def _needed(pattern: Pattern) -> set[str]:
    """The operators that a pattern's inputs are given by."""
    return {part[0] for part in pattern if isinstance(part, tuple)}


def _normalization(found: _Found, operation: Operation) -> Operation:
    """A normalization by the means of some axes, unless its means are of different ones."""
    means = [one for one in found.operations if one.operator == "ReduceMean"]
    first = means[0]
    if any(
        (one.attributes, one.inputs[1:]) != (first.attributes, first.inputs[1:]) for one in means
    ):
        return operation
    inputs = (found.names[X], *first.inputs[1:])
    attributes = {**first.attributes, "epsilon": found.names["eps"]}
    return Operation(operation.name, NORMALIZE, inputs, operation.outputs, attributes)


def live(operations: list[Operation], results: list[str]) -> tuple[Operation, ...]:
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


def scalar(model: Model, makers: Mapping[str, Operation], value: str) -> float | None:
    """The number that a value of the graph always has; None if it is not one number."""
    tensor: Any = model.tensors.get(value)
    maker = makers.get(value)
    if maker is not None and maker.operator == "Constant":
        tensor = maker.attributes.get("value", maker.attributes.get("value_float"))
    if isinstance(tensor, float):
        return tensor
    if tensor is None or not hasattr(tensor, "array") or tensor.data.size != 1:
        return None
    array: NDArray[Any] = tensor.array()
    number = float(array.reshape(-1)[0]) if array.dtype.kind in "fiu" else math.nan
    return number if np.isfinite(number) else None
