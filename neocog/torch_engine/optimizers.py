"""The optimizers of `neocog.settings.optimizers`, by those of `torch.optim`.

A parameter's rule says how it is updated; parameters of equal rules are a group. What an optimizer
remembers has neocog's names at the border: ``conv1.weight.velocity`` and not ``momentum_buffer``,
so that a checkpoint of one engine is one of the other, too.
"""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.settings.optimizers import Rule
from neocog.torch_engine.muon import Muon

__all__ = ["Updates"]

Floats = NDArray[np.float32]

#: By kind of rule: what torch.optim calls the arrays of the state.
_STATE = {
    "sgd": {"velocity": "momentum_buffer"},
    "adam": {"mean": "exp_avg", "square": "exp_avg_sq"},
    "rmsprop": {"square": "square_avg", "velocity": "momentum_buffer"},
    "adagrad": {"square": "sum"},
    "muon": {"velocity": "momentum_buffer"},
}
# In the place of a momentum of 0, with which torch.optim would forget the velocity that a schedule
# needs in later steps: the velocity is the gradient then.
_NEXT_TO_NOTHING = 1e-38


class Updates:
    """Moves the parameters that are not frozen.

    Args:
        parameters: by name, of those that move.
        rules: by name.

    Attributes:
        parameters: those that move, by name.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], rules: Mapping[str, Rule]
    ) -> None:
        self.parameters = dict(parameters)
        self._rules = rules
        alike: dict[str, list[str]] = {}
        for name in parameters:
            alike.setdefault(repr(rules[name]), []).append(name)
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for names in alike.values():
            rule = rules[names[0]]
            group = {"params": [parameters[name] for name in names], "rule": rule}
            by_kind.setdefault(rule.kind, []).append(group | _numbers(rule))
        self._optimizers = {kind: _make(kind, groups) for kind, groups in by_kind.items()}
        for name, parameter in self.parameters.items():
            kept = self._kept(name)
            kept["step"] = torch.tensor(0.0)
            for word, filled in rules[name].state:
                kept[_STATE[rules[name].kind][word]] = torch.full_like(parameter, filled)

    def _kept(self, name: str) -> dict[str, Any]:
        """What torch.optim remembers of a parameter."""
        optimizer = self._optimizers[self._rules[name].kind]
        found: dict[str, Any] = optimizer.state[self.parameters[name]]
        return found

    def begin(self, steps: int) -> None:
        """Go on after so many steps, on which the correction of Adam's means depends."""
        for name in self.parameters:
            self._kept(name)["step"] = torch.tensor(float(steps))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, factor: float, momentum: float) -> None:
        """Take a step by the gradients.

        Args:
            factor: of the learning rates.
            momentum: in the place of the rules' own, β₁ in Adam; NaN for those.
        """
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                rule = group["rule"]
                group["lr"] = rule.settings[0] * factor
                _set_momentum(group, rule, momentum)
            optimizer.step()

    def zero_gradients(self) -> None:
        """Forget all gradients."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def arrays(self) -> Iterator[tuple[str, torch.Tensor]]:
        """What is remembered between two steps, by neocog's names."""
        for name in self.parameters:
            kept, rule = self._kept(name), self._rules[name]
            for word, _ in rule.state:
                yield f"{name}.{word}", kept[_STATE[rule.kind][word]]


def _numbers(rule: Rule) -> dict[str, Any]:
    """A rule's numbers by the names of torch.optim."""
    lr, decay, *others = rule.settings
    found: dict[str, Any] = {"lr": lr, "weight_decay": decay}
    if rule.kind == "sgd":
        return found | {"momentum": others[0], "nesterov": rule.flags["nesterov"]}
    if rule.kind == "adam":
        return found | {"betas": (others[0], others[1]), "eps": others[2]}
    if rule.kind == "rmsprop":
        return found | {"momentum": others[0], "alpha": others[1], "eps": others[2]}
    if rule.kind == "adagrad":
        return found | {"lr_decay": others[0], "eps": others[1]}
    names = ("momentum", "scale", "eps")
    flags = {name: rule.flags[name] for name in ("nesterov", "renormalized")}
    return found | dict(zip(names, others, strict=False)) | flags | dict(rule.iteration)


def _make(kind: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if kind == "sgd":
        return torch.optim.SGD(groups)
    if kind == "adam":
        # Groups of one optimizer. Those without weight decay are the same by both.
        decoupled = any(group["rule"].flags["decoupled"] for group in groups)
        return torch.optim.AdamW(groups) if decoupled else torch.optim.Adam(groups)
    if kind == "rmsprop":
        return torch.optim.RMSprop(groups)
    if kind == "adagrad":
        return torch.optim.Adagrad(groups)
    return Muon(groups)


def _set_momentum(group: dict[str, Any], rule: Rule, momentum: float) -> None:
    if "betas" in group:
        own = rule.settings[2]
        group["betas"] = (own if isnan(momentum) else momentum, group["betas"][1])
    elif "momentum" in group:
        found = rule.settings[2] if isnan(momentum) else momentum
        if rule.kind != "muon" and rule.flags["momentum"]:
            found = max(found, _NEXT_TO_NOTHING)
        group["momentum"] = found
