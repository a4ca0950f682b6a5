"""Optimizers: how weights move against their gradient, as `kernels.update` and `kernels.muon` do.

Names and defaults are those of `torch.optim`. An optimizer says of each parameter by what `Rule` it
moves; `groups` give some parameters a rate or a weight decay of their own, or none at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod, sqrt
from typing import Any, ClassVar, Self

from neocog.errors import NeocogError
from neocog.settings.setting import OneOf, Settings, setting
from neocog.validation import refuse, shown

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
_RATE: dict[str, Any] = {"above": 0, "wanted": "a positive number, such as 0.001"}
_DECAY: dict[str, Any] = {"low": 0, "wanted": "a number, at least 0"}
_PART: dict[str, Any] = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}
_EPS: dict[str, Any] = {
    "low": _LEAST,
    "wanted": f"a positive number, at least {_LEAST}",
    "help": "keeps divisors above zero",
}


def _rate_or_find(text: str) -> float | str:
    """A rate on the command line, which also takes ``find``; see `neocog.cli.lr_finding`."""
    if text == "find":
        return text
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _rate(default: float) -> Any:
    about = "learning rate; find: the one that a short test finds"
    return setting(default, option="--lr", text=_rate_or_find, help=about, **_RATE)


def _weight_decay(default: float) -> Any:
    return setting(default, option="--weight-decay", help="how much weights shrink", **_DECAY)


def _momentum(default: float) -> Any:
    return setting(default, option="--momentum", help="of the running mean of gradients", **_PART)


def _nesterov(default: bool) -> Any:
    return setting(default, option="--nesterov", help="look ahead along the momentum")


def _groups() -> Any:
    return setting((), help="parameters with a rate or decay of their own, by patterns for names")


@dataclass(frozen=True)
class Group(Settings):
    """What some parameters have of their own; the first group that matches a name decides."""

    match: str = setting(help="a pattern for parameters' names with * and ?: '*.bias'")
    lr: float | None = setting(None, help="the rate, or None for the optimizer's", **_RATE)
    weight_decay: float | None = setting(
        None, help="the decay, or None for the optimizer's", **_DECAY
    )
    frozen: bool = setting(False, help="whether the parameters stay as they are")

    @classmethod
    def prefix(cls) -> str:
        """See `Settings`."""
        return "Group: "

    def check_together(self) -> None:
        """A pattern is there."""
        if not self.match:
            raise refuse("Group: match", self.match, "a pattern for names, such as '*.bias'")


@dataclass(frozen=True)
class Rule:
    """By what one parameter moves, as kernels want it.

    Args:
        kind: "sgd", "adam", "rmsprop", "adagrad", "muon" or "frozen".
        settings: eight numbers in the order of that kind's kernel.
        flags: what the kernel has: ``momentum``, ``nesterov``, ``decay``, ``decoupled``,
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


class Optimizer(OneOf):
    """How weights move; each kind is a class, and its name is that of `torch.optim`."""

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

    def check(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `NeocogError` for a group that matches none of the parameters (shapes by name)."""
        for group in self.groups:
            if not any(fnmatchcase(name, group.match) for name in parameters):
                raise NeocogError(
                    f"{type(self).__name__}: no parameter is called {shown(group.match)}. There "
                    f"are: {', '.join(parameters)}."
                )

    def with_frozen(self, patterns: Iterable[str]) -> Self:
        """The optimizer, but parameters whose names match one of the patterns do not move."""
        frozen = tuple(Group(pattern, frozen=True) for pattern in patterns)
        return replace(self, groups=(*frozen, *self.groups)) if frozen else self


@dataclass(frozen=True)
class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent as in `torch.optim.SGD`: v ← momentum · v + g, w ← w − lr · v."""

    lr: float = _rate(0.001)
    momentum: float = _momentum(0.0)
    weight_decay: float = _weight_decay(0.0)
    nesterov: bool = _nesterov(False)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "sgd"

    def check_together(self) -> None:
        """Nesterov's needs a momentum."""
        if self.nesterov and self.momentum == 0:
            raise NeocogError("SGD: nesterov needs a momentum, such as 0.9.")

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        momentum = self.momentum > 0 or moves_momentum
        flags = {"momentum": momentum, "nesterov": self.nesterov, "decay": decay > 0}
        state = (("velocity", 0.0),) if momentum else ()
        return Rule("sgd", _eight(lr, decay, self.momentum), flags, state)


@dataclass(frozen=True)
class Adam(Optimizer, name="adam"):
    """A rate for every weight, from running means of its gradient and its square.

    As in `torch.optim.Adam`; D. P. Kingma and J. Ba, "Adam: a method for stochastic
    optimization", 2014. Weight decay is added to the gradient.
    """

    lr: float = _rate(0.001)
    betas: tuple[float, float] = setting(
        (0.9, 0.999),
        low=0,
        below=1,
        wanted="two numbers, at least 0 and below 1",
        help="decays of the means of the gradient and of its square",
    )
    eps: float = setting(1e-8, **_EPS)
    weight_decay: float = _weight_decay(0.0)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "adam"
    #: Whether weight decay works on the weights themselves.
    decoupled: ClassVar[bool] = False

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        flags = {"decay": decay > 0, "decoupled": self.decoupled and decay > 0}
        state = ("mean", 0.0), ("square", 0.0)
        return Rule("adam", _eight(lr, decay, *self.betas, self.eps), flags, state)


@dataclass(frozen=True)
class AdamW(Adam, name="adamw"):
    """Adam whose weight decay works on the weights themselves, as in `torch.optim.AdamW`.

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2017.
    """

    weight_decay: float = _weight_decay(0.01)

    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer, name="rmsprop"):
    """A rate for every weight from the running mean of its gradient's square.

    As in `torch.optim.RMSprop`; T. Tieleman and G. Hinton, lecture 6.5, 2012.
    """

    lr: float = _rate(0.01)
    alpha: float = setting(0.99, help="decay of the mean of the gradient's square", **_PART)
    eps: float = setting(1e-8, **_EPS)
    weight_decay: float = _weight_decay(0.0)
    momentum: float = _momentum(0.0)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "rmsprop"

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        momentum = self.momentum > 0 or moves_momentum
        numbers = _eight(lr, decay, self.momentum, self.alpha, self.eps)
        state = (("square", 0.0), *((("velocity", 0.0),) if momentum else ()))
        return Rule("rmsprop", numbers, {"momentum": momentum, "decay": decay > 0}, state)


@dataclass(frozen=True)
class Adagrad(Optimizer, name="adagrad"):
    """A rate for every weight from the sum of its gradients' squares.

    As in `torch.optim.Adagrad`; J. Duchi, E. Hazan and Y. Singer, 2011.
    """

    lr: float = _rate(0.01)
    lr_decay: float = setting(0.0, help="the rate is divided by 1 + decay · steps", **_DECAY)
    weight_decay: float = _weight_decay(0.0)
    initial_accumulator_value: float = setting(0.0, help="what each sum begins with", **_DECAY)
    eps: float = setting(1e-10, **_EPS)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "adagrad"

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        numbers = _eight(lr, decay, self.lr_decay, self.eps)
        flags = {"momentum": False, "decay": decay > 0}
        return Rule("adagrad", numbers, flags, (("square", self.initial_accumulator_value),))


@dataclass(frozen=True)
class Muon(Optimizer, name="muon"):
    """Convolutions' weights move by their momentum made orthogonal, all else by another optimizer.

    As in `torch.optim.Muon`, with a weight [K, C, kh, kw] as the matrix [K, C · kh · kw]; K. Jordan
    et al., "Muon: an optimizer for hidden layers in neural networks", 2024. A step changes every
    direction of a weight by about the rate. `adjust_lr_fn` "original" is the rate times
    √max(1, rows / columns), "match_rms_adamw" times 0.2 √max(rows, columns), "none" as it is.
    """

    lr: float = _rate(0.001)
    weight_decay: float = _weight_decay(0.1)
    momentum: float = _momentum(0.95)
    nesterov: bool = _nesterov(True)
    ns_coefficients: tuple[float, float, float] = setting(
        (3.4445, -4.775, 2.0315), wanted="three numbers", help="of the Newton–Schulz iteration"
    )
    eps: float = setting(1e-7, **(_EPS | {"help": "the least norm that gradients are divided by"}))
    ns_steps: int = setting(
        5, low=1, high=99, wanted="a whole number, 1 to 99", help="iterations of Newton–Schulz"
    )
    adjust_lr_fn: str = setting(
        "original",
        choices=("original", "match_rms_adamw", "none"),
        help="how the rate goes with the shape of a weight",
    )
    renormalize: bool = setting(
        False, help="whether each weight gets the norm √K before its step, as in airbench94_muon"
    )
    rest: Optimizer = setting(
        default_factory=AdamW, help="moves all that is not the weight of a convolution"
    )
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "muon"

    def check_together(self) -> None:
        """The rest is moved by another optimizer."""
        if isinstance(self.rest, Muon):
            raise refuse("Muon: rest", self.rest, "another optimizer than Muon")

    def rule_for(self, name: str, shape: tuple[int, ...], *, moves_momentum: bool = False) -> Rule:
        """By what a parameter moves; see `Optimizer`."""
        if len(shape) != 4:
            return self.rest.rule_for(name, shape, moves_momentum=moves_momentum)
        return super().rule_for(name, shape, moves_momentum=moves_momentum)

    def check(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `NeocogError` for a group that matches none of the parameters it is for."""
        super().check({name: shape for name, shape in parameters.items() if len(shape) == 4})
        self.rest.check({name: shape for name, shape in parameters.items() if len(shape) != 4})

    def with_frozen(self, patterns: Iterable[str]) -> Self:
        """See `Optimizer`; the rest has its own groups."""
        patterns = list(patterns)
        return replace(super().with_frozen(patterns), rest=self.rest.with_frozen(patterns))

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        rows, columns = shape[0], prod(shape[1:])
        scale = 1.0
        if self.adjust_lr_fn == "original":
            scale = sqrt(max(1.0, rows / columns))
        elif self.adjust_lr_fn == "match_rms_adamw":
            scale = 0.2 * sqrt(max(rows, columns))
        numbers = _eight(lr, decay, self.momentum, scale, self.eps, sqrt(rows))
        flags = {
            "nesterov": self.nesterov,
            "decay": decay > 0,
            "renormalized": self.renormalize,
        }
        iteration = {"iterations": self.ns_steps, "coefficients": self.ns_coefficients}
        return Rule("muon", numbers, flags, (("velocity", 0.0),), iteration)


#: Every optimizer by name.
OPTIMIZERS = Optimizer.kinds
