"""The base class of operations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.tensor import Parameter, Tensor

__all__ = ["Op"]


@dataclass(eq=False)
class Op(ABC):
    """One or more fused layers; adds their instructions to a plan, forward and backward.

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
        """The parameters that it learns."""
        return []

    def ask_borders(self) -> None:  # noqa: B027  (most want none)
        """Require the borders of zeros around x and around y's gradient."""

    @abstractmethod
    def forward(self, builder: Builder) -> None:
        """Add the instructions that compute y from x."""

    @abstractmethod
    def backward(self, builder: Builder) -> None:
        """Add the instructions that compute the gradients of x and of the parameters."""
