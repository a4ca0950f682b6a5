"""Elementwise layers: activations, dropout, a constant factor."""

from dataclasses import dataclass
from typing import Literal

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape, check_real
from neocog.validation import choice, settle

__all__ = [
    "ELU",
    "GELU",
    "Dropout",
    "Hardsigmoid",
    "Hardswish",
    "LeakyReLU",
    "Mish",
    "ReLU",
    "ReLU6",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]


@dataclass(frozen=True)
class _Elementwise(Layer):
    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        return shape


@dataclass(frozen=True)
class ReLU(_Elementwise):
    """f(x) = max(0, x)."""


@dataclass(frozen=True)
class LeakyReLU(_Elementwise):
    """f(x) = x where x > 0, else negative_slope · x."""

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        check_real(self, "negative_slope", 0, 1e6)


@dataclass(frozen=True)
class SiLU(_Elementwise):
    """f(x) = x · σ(x), with σ(x) = 1 / (1 + exp(−x)); also called swish."""


@dataclass(frozen=True)
class GELU(_Elementwise):
    """f(x) = x · Φ(x), where Φ is the normal distribution's, or its ``"tanh"`` approximation.

    ``"none"``: x · (1 + erf(x / √2)) / 2. ``"tanh"``: x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
    (D. Hendrycks and K. Gimpel, 2016).
    """

    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        settle(self, choice, "approximate", known=("none", "tanh"), error=ArchitectureError)


@dataclass(frozen=True)
class ReLU6(_Elementwise):
    """f(x) = min(max(0, x), 6)."""


@dataclass(frozen=True)
class Hardsigmoid(_Elementwise):
    """f(x) = min(max(0, x + 3), 6) / 6, a sigmoid of straight lines."""


@dataclass(frozen=True)
class Hardswish(_Elementwise):
    """f(x) = x · min(max(0, x + 3), 6) / 6 (A. Howard et al., 2019)."""


@dataclass(frozen=True)
class ELU(_Elementwise):
    """f(x) = x where x > 0, else alpha · (exp(x) − 1) (D.-A. Clevert et al., 2016)."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_real(self, "alpha", 0, 1e6)


@dataclass(frozen=True)
class Softplus(_Elementwise):
    """f(x) = log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        check_real(self, "beta", 1e-6, 1e6)
        check_real(self, "threshold", 0, 1e6)


@dataclass(frozen=True)
class Mish(_Elementwise):
    """f(x) = x · tanh(log(1 + exp(x))) (D. Misra, 2020)."""


@dataclass(frozen=True)
class Sigmoid(_Elementwise):
    """f(x) = 1 / (1 + exp(−x))."""


@dataclass(frozen=True)
class Tanh(_Elementwise):
    """f(x) = tanh x."""


@dataclass(frozen=True)
class Dropout(_Elementwise):
    """In training, 0 with probability `p` and otherwise x / (1 − p); in evaluation, x."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check_real(self, "p", 0, 1)


@dataclass(frozen=True)
class Scale(_Elementwise):
    """f(x) = factor · x, for a constant factor; PyTorch has no layer for it."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        check_real(self, "factor", -1e6, 1e6)
