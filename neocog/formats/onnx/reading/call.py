"""One node of an ONNX graph, as the rule of its operator sees it; and the register of rules."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, FormatError, printable
from neocog.formats.onnx.reading.importing import Anything, Importing, layer_name
from neocog.formats.onnx.reading.messages import Operation
from neocog.formats.onnx.reading.safety import LONGEST_ROW
from neocog.formats.onnx.reading.signals import PLAIN, Pending, Picture, Signal
from neocog.layers import Layer

__all__ = ["RULES", "Call", "Results", "Rule", "onnx_operator", "shortest"]

Results = Anything | list[Anything]
Rule = Callable[["Call"], Results]
Made = TypeVar("Made")

#: The rules by operator.
RULES: dict[str, Rule] = {}


def onnx_operator(*operators: str) -> Callable[[Rule], Rule]:
    """A decorator that registers the rule of these operators."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, rule))
        return rule

    return register


def shortest(number: float) -> float:
    """The shortest decimal that is this number in float32."""
    return float(str(np.float32(number)))


class Call:
    """A node with its inputs; every attribute must be asked for, or the node is refused."""

    def __init__(self, importing: Importing, operation: Operation) -> None:
        self.importing = importing
        self.operation = operation
        self._unread = set(operation.attributes)

    @property
    def batch(self) -> int:
        """The number of images."""
        return self.importing.batch

    # Inputs

    def given(self, at: int) -> bool:
        """Whether there is this input; optional ones may be left out."""
        return at < len(self.operation.inputs) and bool(self.operation.inputs[at])

    def value(self, at: int = 0) -> Anything:
        """An input."""
        if not self.given(at):
            raise FormatError(f"{self.operation.where} has no input {at}.")
        name = self.operation.inputs[at]
        found = self.importing.value(name)
        if found is None:
            raise FormatError(f"{self.operation.where} reads {name!r}, which nothing before gives.")
        return found

    def is_constant(self, at: int) -> bool:
        """Whether an input is there and constant."""
        return self.given(at) and isinstance(self.value(at), np.ndarray)

    def signal(self, at: int = 0) -> Signal:
        """An input that is the output of a layer, in any order of its axes."""
        found = self.value(at)
        if isinstance(found, Picture):
            return self.importing.read_image(found)
        if isinstance(found, Pending):
            raise FormatError(f"{self.operation.where}: {found.why}.")
        if not isinstance(found, Signal):
            raise self.refused(f"input {at} is a constant, where there must be a layer's output")
        return found

    def plain(self, at: int = 0) -> Signal:
        """An input that is the output of a layer, in the plain order."""
        found = self.signal(at)
        if found.order != PLAIN:
            raise self.refused(f"its input's axes are in the order of {found.order}")
        return found

    def map(self, at: int = 0) -> Signal:
        """An input that is a map in the plain order, [N, C, H, W]."""
        found = self.plain(at)
        if len(found.shape) != 3:
            raise self.refused(f"its input has the shape {found.shape}, and is no map")
        return found

    def constant(self, at: int) -> NDArray[Any]:
        """An input that must be constant."""
        found = self.value(at)
        if not isinstance(found, np.ndarray):
            raise self.refused(f"input {at}, {self.operation.inputs[at]!r}, is not constant")
        return found

    def weights(self, at: int) -> NDArray[Any]:
        """An input that must be constant, and finite float32."""
        found = self.constant(at)
        if found.dtype != np.float32:
            raise self.refused(f"input {at} has numbers of {found.dtype}, not float32")
        return found

    def row(self, at: int) -> tuple[int, ...]:
        """An input of constant integers."""
        found = self.constant(at)
        if found.dtype.kind not in "iu" or found.size > LONGEST_ROW:
            raise self.refused(f"input {at} is no short row of integers")
        return tuple(found.reshape(-1).tolist())

    def number(self, at: int, default: float) -> float:
        """An input of one constant number; the default if it is left out."""
        if not self.given(at):
            return default
        found = self.constant(at)
        if found.size != 1 or found.dtype.kind not in "fiu":
            raise self.refused(f"input {at} is no single number")
        return float(found.reshape(-1)[0])

    # Attributes

    def attribute(self, name: str, kind: type[Any], default: Any) -> Any:
        """An attribute of this type; the default if it is left out."""
        self._unread.discard(name)
        found = self.operation.attributes.get(name, default)
        if found is not default and not isinstance(found, kind):
            raise self.refuse(name, "a value of another kind")
        return found

    def integer(self, name: str, default: int) -> int:
        """An integer."""
        return int(self.attribute(name, int, default))

    def real(self, name: str, default: float) -> float:
        """A number of float32, as the shortest decimal: 0.1 instead of 0.10000000149."""
        found = float(self.attribute(name, float | int, default))  # type: ignore[arg-type]
        if not math.isfinite(found):
            raise self.refuse(name, "a finite number")
        return shortest(found)

    def text(self, name: str, default: str) -> str:
        """A text."""
        return str(self.attribute(name, str, default))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A row of integers; None if it is left out."""
        found = self.attribute(name, tuple, None)
        if found is not None and not all(isinstance(one, int | np.integer) for one in found):
            raise self.refuse(name, "whole numbers")
        return None if found is None else tuple(int(one) for one in found)

    def ignore(self, *names: str) -> None:
        """Attributes that change nothing."""
        self._unread -= set(names)

    def require(self, name: str, wanted: int) -> None:
        """Refuse the node unless an attribute is this integer, which is its default, too."""
        if self.integer(name, wanted) != wanted:
            raise self.refuse(name, str(wanted))

    def check_all_read(self) -> None:
        """Refuse the node if it has an attribute that its rule does not know."""
        if self._unread:
            raise self.refuse(sorted(self._unread)[0], "no such attribute")

    # Results

    def refuse(self, name: str, wanted: str) -> FormatError:
        """An error for an attribute's value."""
        value = printable(str(self.operation.attributes.get(name)), 60)
        return self.refused(f"{name} (={value}) must be {wanted}")

    def refused(self, why: str) -> FormatError:
        """An error of this node."""
        return FormatError(f"{self.operation.where}: {why}.")

    def made(self, kind: Callable[..., Made], *arguments: Any, **named: Any) -> Made:
        """A layer; arguments that it refuses are the node's fault."""
        try:
            return kind(*arguments, **named)
        except ArchitectureError as error:
            raise FormatError(f"{self.operation.where}: {error}") from None

    def add(
        self,
        layer: Layer,
        *inputs: Signal,
        tensor: int | None = None,
        state: Mapping[str, NDArray[Any]] | None = None,
    ) -> Signal:
        """Add a layer of these inputs.

        Args:
            layer: the layer.
            inputs: what it reads.
            tensor: the input of the node whose name the layer's is taken from.
            state: its parameters and buffers by name.
        """
        weight = self.operation.inputs[tensor] if tensor is not None else ""
        name = layer_name(self.operation, weight)
        try:
            return self.importing.add(name, layer, inputs, state or {})
        except ArchitectureError as error:
            raise FormatError(f"{self.operation.where}: {error}") from None
