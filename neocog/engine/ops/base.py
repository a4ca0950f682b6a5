"""What every operation does."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.tensor import Parameter, Tensor

__all__ = ["Op"]


@dataclass(eq=False)
class Op(ABC):
    """Layers that run as one; it puts its instructions into a plan, forward and back.

    Attributes:
        name: the first layer's; its parameters are called after it.
        inputs: the tensors that it reads.
        y: the tensor it gives.
    """

    name: str
    inputs: tuple[Tensor, ...]
    y: Tensor

    @property
    def x(self) -> Tensor:
        """The first of the tensors that it reads."""
        return self.inputs[0]

    def parameters(self) -> list[Parameter]:
        """What it learns."""
        return []

    def ask_borders(self) -> None:  # noqa: B027  (most want none)
        """Tell x's and y's tensors which borders of zeros it wants around them."""

    @abstractmethod
    def forward(self, builder: Builder) -> None:
        """Put in what computes y from x."""

    @abstractmethod
    def backward(self, builder: Builder) -> None:
        """Put in what passes y's gradient to x, and what computes its parameters' gradients."""
