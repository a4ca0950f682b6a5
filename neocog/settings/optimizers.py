"""Optimizers: how a step changes the weights; `kernels.optimizer` compute it.

Names and defaults are those of `torch.optim`. An optimizer gives the update `Rule` of each
parameter; `groups` give some parameters their own learning rate or weight decay, or freeze them.
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

# The smallest normal float32; with an ε of zero, zero would be divided by zero.
_LEAST = 1e-37
_RATE: dict[str, Any] = {"above": 0, "wanted": "a positive number, such as 0.001"}
_DECAY: dict[str, Any] = {"low": 0, "wanted": "a number, at least 0"}
_PART: dict[str, Any] = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}
_EPS: dict[str, Any] = {
    "low": _LEAST,
    "wanted": f"a positive number, at least {_LEAST}",
    "help": "added to divisors to keep them above zero",
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
    return setting(default, option="--weight-decay", help="weight decay", **_DECAY)


def _momentum(default: float) -> Any:
    return setting(default, option="--momentum", help="momentum", **_PART)


def _nesterov(default: bool) -> Any:
    return setting(default, option="--nesterov", help="use Nesterov momentum")


def _groups() -> Any:
    return setting((), help="parameters with their own learning rate, decay or freezing")


@dataclass(frozen=True)
class Group(Settings):
    """Settings for the parameters that match a pattern; the first group that matches is used."""

    match: str = setting(help="a pattern for parameters' names, with * and ?, such as '*.bias'")
    lr: float | None = setting(None, help="learning rate; None: the optimizer's", **_RATE)
    weight_decay: float | None = setting(None, help="weight decay; None: the optimizer's", **_DECAY)
    frozen: bool = setting(False, help="keep the parameters as they are")

    @classmethod
    def prefix(cls) -> str:
        """See `Settings`."""
        return "Group: "

    def check_together(self) -> None:
        """The pattern must not be empty."""
        if not self.match:
            raise refuse("Group: match", self.match, "a pattern for names, such as '*.bias'")


@dataclass(frozen=True)
class Rule:
    """How one parameter is updated, in the form that the kernels take.

    Args:
        kind: "sgd", "adam", "rmsprop", "adagrad", "muon" or "frozen".
        settings: eight numbers, in the order of that kind's kernel.
        flags: features of the kernel that are on: ``momentum``, ``nesterov``, ``decay``,
            ``decoupled``, ``renormalized``.
        state: names of the optimizer's arrays for the parameter, each with the number that it is
            filled with at first.
        iteration: for Muon, the further arguments of `muon_plan`.
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
    """How weights are updated; each kind is a class named as in `torch.optim`."""

    #: The kind of kernel that updates its parameters.
    kind: ClassVar[str]

    lr: float
    weight_decay: float
    groups: tuple[Group, ...]

    def rule_for(self, name: str, shape: tuple[int, ...], *, moves_momentum: bool = False) -> Rule:
        """The rule that updates a parameter.

        Args:
            name: of the parameter, such as ``"conv1.weight"``.
            shape: PyTorch's shape of the parameter.
            moves_momentum: whether the schedule changes the momentum, which then needs its state.
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
        """Raise `NeocogError` for a group that matches no parameter (shapes by name)."""
        for group in self.groups:
            if not any(fnmatchcase(name, group.match) for name in parameters):
                raise NeocogError(
                    f"{type(self).__name__}: no parameter is called {shown(group.match)}. There "
                    f"are: {', '.join(parameters)}."
                )

    def with_frozen(self, patterns: Iterable[str]) -> Self:
        """The same optimizer, with the parameters that match one of the patterns frozen."""
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
        """Nesterov needs a momentum."""
        if self.nesterov and self.momentum == 0:
            raise NeocogError("SGD: nesterov needs a momentum, such as 0.9.")

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        momentum = self.momentum > 0 or moves_momentum
        flags = {"momentum": momentum, "nesterov": self.nesterov, "decay": decay > 0}
        state = (("velocity", 0.0),) if momentum else ()
        return Rule("sgd", _eight(lr, decay, self.momentum), flags, state)


@dataclass(frozen=True)
class Adam(Optimizer, name="adam"):
    """Adam: step sizes per weight, from running means of the gradient and of its square.

    As in `torch.optim.Adam`; D. P. Kingma and J. Ba, "Adam: a method for stochastic
    optimization", 2014. Weight decay is added to the gradient.
    """

    lr: float = _rate(0.001)
    betas: tuple[float, float] = setting(
        (0.9, 0.999),
        low=0,
        below=1,
        wanted="two numbers, at least 0 and below 1",
        help="decay rates of the running means of the gradient and of its square",
    )
    eps: float = setting(1e-8, **_EPS)
    weight_decay: float = _weight_decay(0.0)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "adam"
    #: Whether weight decay is applied to the weights instead of the gradient.
    decoupled: ClassVar[bool] = False

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        flags = {"decay": decay > 0, "decoupled": self.decoupled and decay > 0}
        state = ("mean", 0.0), ("square", 0.0)
        return Rule("adam", _eight(lr, decay, *self.betas, self.eps), flags, state)


@dataclass(frozen=True)
class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay, applied to the weights, as in `torch.optim.AdamW`.

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2017.
    """

    weight_decay: float = _weight_decay(0.01)

    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer, name="rmsprop"):
    """RMSprop: step sizes per weight, from a running mean of the squared gradient.

    As in `torch.optim.RMSprop`; T. Tieleman and G. Hinton, lecture 6.5, 2012.
    """

    lr: float = _rate(0.01)
    alpha: float = setting(0.99, help="decay rate of the mean of the squared gradient", **_PART)
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
    """Adagrad: step sizes per weight, from the sum of the squared gradients.

    As in `torch.optim.Adagrad`; J. Duchi, E. Hazan and Y. Singer, 2011.
    """

    lr: float = _rate(0.01)
    lr_decay: float = setting(0.0, help="divide the rate by 1 + this value · steps", **_DECAY)
    weight_decay: float = _weight_decay(0.0)
    initial_accumulator_value: float = setting(0.0, help="initial sum of squares", **_DECAY)
    eps: float = setting(1e-10, **_EPS)
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "adagrad"

    def _rule(self, shape: tuple[int, ...], lr: float, decay: float, moves_momentum: bool) -> Rule:
        numbers = _eight(lr, decay, self.lr_decay, self.eps)
        flags = {"momentum": False, "decay": decay > 0}
        return Rule("adagrad", numbers, flags, (("square", self.initial_accumulator_value),))


@dataclass(frozen=True)
class Muon(Optimizer, name="muon"):
    """Muon: orthogonalized momentum for convolutions, another optimizer for all other parameters.

    As in `torch.optim.Muon`, with a weight [K, C, kh, kw] as the matrix [K, C · kh · kw]; K. Jordan
    et al., "Muon: an optimizer for hidden layers in neural networks", 2024. A step changes every
    singular direction of a weight by about the learning rate. With `adjust_lr_fn` "original" the
    rate is multiplied by √max(1, rows / columns), with "match_rms_adamw" by
    0.2 √max(rows, columns), and with "none" it is used as it is.
    """

    lr: float = _rate(0.001)
    weight_decay: float = _weight_decay(0.1)
    momentum: float = _momentum(0.95)
    nesterov: bool = _nesterov(True)
    ns_coefficients: tuple[float, float, float] = setting(
        (3.4445, -4.775, 2.0315),
        wanted="three numbers",
        help="coefficients of the Newton–Schulz iteration",
    )
    eps: float = setting(1e-7, **(_EPS | {"help": "smallest norm that gradients are divided by"}))
    ns_steps: int = setting(
        5, low=1, high=99, wanted="a whole number, 1 to 99", help="Newton–Schulz iterations"
    )
    adjust_lr_fn: str = setting(
        "original",
        choices=("original", "match_rms_adamw", "none"),
        help="how the learning rate is scaled by the shape of a weight",
    )
    renormalize: bool = setting(
        False, help="normalize each weight to norm √K before its step, as airbench94_muon"
    )
    rest: Optimizer = setting(
        default_factory=AdamW, help="optimizer of all parameters but the weights of convolutions"
    )
    groups: tuple[Group, ...] = _groups()

    kind: ClassVar[str] = "muon"

    def check_together(self) -> None:
        """`rest` must be another optimizer."""
        if isinstance(self.rest, Muon):
            raise refuse("Muon: rest", self.rest, "another optimizer than Muon")

    def rule_for(self, name: str, shape: tuple[int, ...], *, moves_momentum: bool = False) -> Rule:
        """The rule that updates a parameter; see `Optimizer`."""
        if len(shape) != 4:
            return self.rest.rule_for(name, shape, moves_momentum=moves_momentum)
        return super().rule_for(name, shape, moves_momentum=moves_momentum)

    def check(self, parameters: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `NeocogError` for a group that matches none of the optimizer's own parameters."""
        super().check({name: shape for name, shape in parameters.items() if len(shape) == 4})
        self.rest.check({name: shape for name, shape in parameters.items() if len(shape) != 4})

    def with_frozen(self, patterns: Iterable[str]) -> Self:
        """See `Optimizer`; the optimizer of the rest has groups of its own."""
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
