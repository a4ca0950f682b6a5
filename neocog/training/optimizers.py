"""How weights move against their gradient, as `kernels.update` and `kernels.muon` compute it.

Names and defaults are those of `torch.optim`. An optimizer says of each parameter by what `Rule` it
moves; `groups` give some parameters a rate or a weight decay of their own, or none at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.training.plain import build, describe
from neocog.validation import as_row, choice, flag, real, refuse, row, settle, shown, whole

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Group",
    "Muon",
    "Optimizer",
    "RMSprop",
    "Rule",
]

# Below it float32 knows no number; an ε of zero would divide padding by zero.
_LEAST = 1e-37


def _settle_rate(owner: object, setting: str = "lr") -> None:
    settle(owner, real, setting, above=0, wanted="a positive number, such as 0.001")


def _settle_decay(owner: object, *settings: str) -> None:
    settle(owner, real, *settings, least=0, wanted="a number, at least 0")


def _settle_part(owner: object, setting: str) -> None:
    settle(owner, real, setting, least=0, below=1, wanted="at least 0 and below 1")


def _settle_eps(owner: object) -> None:
    settle(owner, real, "eps", least=_LEAST, wanted=f"a positive number, at least {_LEAST}")


@dataclass(frozen=True)
class Group:
    """What some parameters have of their own; the first group that matches a name decides.

    Args:
        match: a pattern for parameters' names with * and ?: ``"*.bias"``, ``"conv1.weight"``.
        lr: the rate, or None for the optimizer's.
        weight_decay: the decay, or None for the optimizer's.
        frozen: the parameters do not move.
    """

    match: str
    lr: float | None = None
    weight_decay: float | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.match, str) or not self.match:
            raise refuse("Group: match", self.match, "a pattern for names, such as '*.bias'")
        if self.lr is not None:
            _settle_rate(self)
        if self.weight_decay is not None:
            _settle_decay(self, "weight_decay")
        settle(self, flag, "frozen")


@dataclass(frozen=True)
class Rule:
    """By what one parameter moves, as kernels want it.

    Args:
        kind: "sgd", "adam", "rmsprop", "adagrad", "muon" or "frozen".
        settings: eight numbers in the order of that kind's kernel.
        flags: what the kernel's spec has: ``momentum``, ``nesterov``, ``decay``, ``decoupled``,
            ``renormalized``.
        state: the arrays that are kept for the parameter, each with the number that fills it at
            the beginning.
        iteration: of Muon, the further arguments of `muon_plan`.
    """

    kind: str
    settings: tuple[float, ...]
    flags: dict[str, bool] = field(default_factory=dict)
    state: tuple[tuple[str, float], ...] = ()
    iteration: dict[str, Any] = field(default_factory=dict)


_FROZEN = Rule("frozen", (0.0,) * 8)


def _eight(*values: float) -> tuple[float, ...]:
    return tuple(float(v) for v in (*values, *(0,) * (8 - len(values))))


class Optimizer:
    """What every optimizer has; each is a frozen dataclass."""

    #: The kernel that moves its parameters.
    kind: ClassVar[str]

    lr: float
    weight_decay: float
    groups: tuple[Group, ...]

    def rule_for(self, name: str, shape: tuple[int, ...], *, moves_momentum: bool = False) -> Rule:
        """By what a parameter moves.

        Args:
            name: such as ``"conv1.weight"``.
            shape: PyTorch's.
            moves_momentum: whether the schedule sets a momentum, which then needs its state.
        """
        group = next((g for g in self.groups if fnmatchcase(name, g.match)), None)
        if group is None:
            return self._rule(shape, self.lr, self.weight_decay, moves_momentum)
        if group.frozen:
            return _FROZEN
        lr = self.lr if group.lr is None else group.lr
        decay = self.weight_decay if group.weight_decay is None else group.weight_decay
        return self._rule(shape, lr, decay, moves_momentum)

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        raise NotImplementedError

    def settings_for(self, name: str, shape: tuple[int, ...]) -> tuple[str, NDArray[np.float64]]:
        """The kernel's kind for a parameter, and its eight settings."""
        rule = self.rule_for(name, shape)
        return rule.kind, np.array(rule.settings)

    def check(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `NeocogError` for a group that matches none of the parameters (shapes by name)."""
        for group in self.groups:
            if not any(fnmatchcase(name, group.match) for name in parameters):
                raise NeocogError(
                    f"{type(self).__name__}: no parameter is called {shown(group.match)}. There "
                    f"are: {', '.join(parameters)}."
                )

    def _settle_groups(self) -> None:
        groups = as_row(self.groups)
        if groups is None or not all(isinstance(group, Group) for group in groups):
            raise refuse(f"{type(self).__name__}: groups", self.groups, "a tuple of Group")
        object.__setattr__(self, "groups", groups)

    def to_dict(self) -> dict[str, Any]:
        """The optimizer as plain data; `from_dict` is the way back."""
        return dict(describe(self, OPTIMIZERS))

    @staticmethod
    def from_dict(description: object) -> "Optimizer":
        """The optimizer of a description such as ``{"type": "sgd", "lr": 0.1}``."""
        parts = {"groups": Group}
        optimizer: Optimizer = build(description, OPTIMIZERS, "optimizer", parts)
        return optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent as in `torch.optim.SGD`: v ← momentum · v + g, w ← w − lr · v."""

    lr: float = 0.001
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    groups: tuple[Group, ...] = ()

    kind: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        _settle_rate(self)
        _settle_part(self, "momentum")
        _settle_decay(self, "weight_decay")
        settle(self, flag, "nesterov")
        if self.nesterov and self.momentum == 0:
            raise NeocogError("SGD: nesterov needs a momentum, such as 0.9.")
        self._settle_groups()

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        momentum = self.momentum > 0 or moves_momentum
        flags = {"momentum": momentum, "nesterov": self.nesterov, "decay": decay > 0}
        state = (("velocity", 0.0),) if momentum else ()
        return Rule("sgd", _eight(lr, decay, self.momentum), flags, state)


@dataclass(frozen=True)
class Adam(Optimizer):
    """A rate for every weight, from running means of its gradient and its square.

    As in `torch.optim.Adam`; D. P. Kingma and J. Ba, "Adam: a method for stochastic
    optimization", 2014. Weight decay is added to the gradient.
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    groups: tuple[Group, ...] = ()

    kind: ClassVar[str] = "adam"
    #: Whether weight decay works on the weights themselves.
    decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _settle_rate(self)
        wanted = "two numbers, at least 0 and below 1"
        settle(self, row, "betas", count=2, least=0, below=1, wanted=wanted)
        _settle_eps(self)
        _settle_decay(self, "weight_decay")
        self._settle_groups()

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        flags = {"decay": decay > 0, "decoupled": self.decoupled and decay > 0}
        state = ("mean", 0.0), ("square", 0.0)
        return Rule("adam", _eight(lr, decay, *self.betas, self.eps), flags, state)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay works on the weights themselves, as in `torch.optim.AdamW`.

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2017.
    """

    weight_decay: float = 0.01

    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """A rate for every weight from the running mean of its gradient's square.

    As in `torch.optim.RMSprop`; T. Tieleman and G. Hinton, lecture 6.5, 2012.
    """

    lr: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    groups: tuple[Group, ...] = ()

    kind: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        _settle_rate(self)
        _settle_part(self, "alpha")
        _settle_eps(self)
        _settle_decay(self, "weight_decay")
        _settle_part(self, "momentum")
        self._settle_groups()

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        momentum = self.momentum > 0 or moves_momentum
        settings = _eight(lr, decay, self.momentum, self.alpha, self.eps)
        state = (("square", 0.0), *((("velocity", 0.0),) if momentum else ()))
        return Rule("rmsprop", settings, {"momentum": momentum, "decay": decay > 0}, state)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """A rate for every weight from the sum of its gradients' squares.

    As in `torch.optim.Adagrad`; J. Duchi, E. Hazan and Y. Singer, 2011.
    """

    lr: float = 0.01
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    groups: tuple[Group, ...] = ()

    kind: ClassVar[str] = "adagrad"

    def __post_init__(self) -> None:
        _settle_rate(self)
        _settle_decay(self, "lr_decay", "weight_decay", "initial_accumulator_value")
        _settle_eps(self)
        self._settle_groups()

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        settings = _eight(lr, decay, self.lr_decay, self.eps)
        flags = {"momentum": False, "decay": decay > 0}
        return Rule("adagrad", settings, flags, (("square", self.initial_accumulator_value),))


@dataclass(frozen=True)
class Muon(Optimizer):
    """Convolutions' weights move by their momentum made orthogonal, all else by another optimizer.

    As in `torch.optim.Muon`, with a weight [K, C, kh, kw] as the matrix [K, C · kh · kw]; K. Jordan
    et al., "Muon: an optimizer for hidden layers in neural networks", 2024.

    Args:
        lr: the rate; a step changes every direction of the weight by about so much.
        weight_decay: of the weights themselves; PyTorch's default.
        momentum: of the running mean of gradients.
        nesterov: look ahead along the momentum.
        ns_coefficients: of the Newton–Schulz iteration.
        eps: the least norm that a gradient is divided by.
        ns_steps: iterations.
        adjust_lr_fn: "original": the rate times √max(1, rows / columns); "match_rms_adamw": times
            0.2 √max(rows, columns); "none": as it is, as in airbench94_muon.
        renormalize: before its step each weight gets the norm √K, as in airbench94_muon.
        rest: moves all that is not the weight of a convolution.
        groups: of convolutions' weights; `rest` has its own.
    """

    lr: float = 0.001
    weight_decay: float = 0.1
    momentum: float = 0.95
    nesterov: bool = True
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315)
    eps: float = 1e-7
    ns_steps: int = 5
    adjust_lr_fn: str = "original"
    renormalize: bool = False
    rest: Optimizer = field(default_factory=AdamW)
    groups: tuple[Group, ...] = ()

    kind: ClassVar[str] = "muon"

    def __post_init__(self) -> None:
        _settle_rate(self)
        _settle_decay(self, "weight_decay")
        _settle_part(self, "momentum")
        settle(self, flag, "nesterov", "renormalize")
        settle(self, row, "ns_coefficients", count=3, wanted="three numbers")
        _settle_eps(self)
        settle(self, whole, "ns_steps", least=1, most=99, wanted="a whole number, 1 to 99")
        settle(self, choice, "adjust_lr_fn", known=("original", "match_rms_adamw", "none"))
        if not isinstance(self.rest, Optimizer) or isinstance(self.rest, Muon):
            raise refuse("Muon: rest", self.rest, "another optimizer than Muon")
        self._settle_groups()

    def rule_for(self, name: str, shape: tuple[int, ...], *, moves_momentum: bool = False) -> Rule:
        """By what a parameter moves; see `Optimizer`."""
        if len(shape) != 4:
            return self.rest.rule_for(name, shape, moves_momentum=moves_momentum)
        return super().rule_for(name, shape, moves_momentum=moves_momentum)

    def check(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `NeocogError` for a group that matches none of the parameters it is for."""
        super().check({name: shape for name, shape in parameters.items() if len(shape) == 4})
        self.rest.check({name: shape for name, shape in parameters.items() if len(shape) != 4})

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        rows, columns = shape[0], prod(shape[1:])
        scale = 1.0
        if self.adjust_lr_fn == "original":
            scale = sqrt(max(1.0, rows / columns))
        elif self.adjust_lr_fn == "match_rms_adamw":
            scale = 0.2 * sqrt(max(rows, columns))
        settings = _eight(lr, decay, self.momentum, scale, self.eps, sqrt(rows))
        flags = {
            "nesterov": self.nesterov,
            "decay": decay > 0,
            "renormalized": self.renormalize,
        }
        iteration = {"iterations": self.ns_steps, "coefficients": self.ns_coefficients}
        return Rule("muon", settings, flags, (("velocity", 0.0),), iteration)


#: Every optimizer by name. Recipes are built from these and from nothing else.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "muon": Muon,
}
