"""`Dispatch`: registers one rule per layer, for whatever processes layers."""

from collections.abc import Callable
from typing import Generic, TypeVar

from neocog.layers.base import Layer

__all__ = ["Dispatch"]

Rule = TypeVar("Rule")


class Dispatch(Generic[Rule]):
    """The rules of a backend by layer.

    ``formula = Dispatch()`` gives the decorator ``@formula(ReLU)``, and `of` finds the rule of a
    layer, or of the nearest base class that has one.
    """

    def __init__(self) -> None:
        self._rules: dict[type[Layer], Rule] = {}

    def __call__(self, *kinds: type[Layer]) -> Callable[[Rule], Rule]:
        """A decorator that registers a rule for these layers."""

        def register(rule: Rule) -> Rule:
            self._rules.update(dict.fromkeys(kinds, rule))
            return rule

        return register

    def of(self, layer: Layer | type[Layer]) -> Rule | None:
        """The layer's rule; None if there is none."""
        kind = layer if isinstance(layer, type) else type(layer)
        return next((self._rules[base] for base in kind.__mro__ if base in self._rules), None)
