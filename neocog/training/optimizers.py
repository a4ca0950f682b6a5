"""How weights move against their gradient; the arithmetic is `neocog.kernels.update`'s."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from neocog.errors import NeocogError

__all__ = ["SGD", "Adam", "Optimizer"]


def _check_rate(name: str, lr: float) -> None:
    if not (isfinite(lr) and lr > 0):
        raise NeocogError(f"{name}: lr (={lr}) must be a positive number, such as 0.001.")


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent as in `torch.optim.SGD`: v ← momentum · v + g, w ← w − lr · v."""

    lr: float = 0.001
    momentum: float = 0.0

    kind: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        _check_rate("SGD", self.lr)
        if not 0 <= self.momentum < 1:
            raise NeocogError(f"SGD: momentum (={self.momentum}) must be at least 0 and below 1.")

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers in the kernel's order."""
        return self.lr, self.momentum


@dataclass(frozen=True)
class Adam:
    """A rate for every weight, from running means of its gradient and its square.

    As in `torch.optim.Adam`; D. P. Kingma and J. Ba, "Adam: a method for stochastic
    optimization", 2014.
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    kind: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        _check_rate("Adam", self.lr)
        if len(self.betas) != 2 or not all(0 <= b < 1 for b in self.betas):
            raise NeocogError(
                f"Adam: betas (={self.betas}) must be two numbers, at least 0 and below 1."
            )
        if not (isfinite(self.eps) and self.eps > 0):
            raise NeocogError(f"Adam: eps (={self.eps}) must be a positive number.")

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers in the kernel's order."""
        return self.lr, *self.betas, self.eps


Optimizer = SGD | Adam
