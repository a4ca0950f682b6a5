"""Parameters that come to rest while the others go on."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from neocog.training.optimizers import Group, Muon, Optimizer

__all__ = ["with_frozen"]


def with_frozen(optimizer: Optimizer, patterns: Iterable[str]) -> Optimizer:
    """The optimizer, but parameters whose names match one of the patterns do not move."""
    resting = tuple(Group(pattern, frozen=True) for pattern in patterns)
    if not resting:
        return optimizer
    change: dict[str, Any] = {"groups": (*resting, *optimizer.groups)}
    if isinstance(optimizer, Muon):
        rest = optimizer.rest
        change["rest"] = _replace(rest, {"groups": (*resting, *rest.groups)})
    return _replace(optimizer, change)


def _replace(optimizer: Optimizer, change: dict[str, Any]) -> Optimizer:
    replaced: Any = replace(optimizer, **change)  # type: ignore[type-var]
    found: Optimizer = replaced
    return found
