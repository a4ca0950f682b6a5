"""Muon as a `torch.optim.Optimizer`; the formulas are those of `neocog.kernels.optimizer.muon`.

`torch.optim.Muon` takes matrices only, computes in bfloat16 and cannot renormalize weights.
"""

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["Muon"]


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Momentum that is orthogonalized as a matrix [K, C · kh · kw] before it updates a weight.

    Args:
        groups: of parameters, each with ``lr``, ``momentum``, ``weight_decay``, ``nesterov``,
            ``scale``, ``eps``, ``renormalized``, ``iterations`` and ``coefficients``.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(list(groups), {})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Take a step by the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self._move(parameter, group)

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        velocity = state["momentum_buffer"]
        velocity.lerp_(parameter.grad, 1 - group["momentum"])
        ahead = velocity
        if group["nesterov"]:
            ahead = parameter.grad.lerp(velocity, group["momentum"])
        if group["renormalized"]:
            parameter.mul_(len(parameter) ** 0.5 / torch.linalg.vector_norm(parameter))
        moved = _orthogonal(ahead.flatten(1), group)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(moved.reshape(parameter.shape), alpha=-group["lr"] * group["scale"])


def _orthogonal(matrix: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
    """The matrix with singular values near 1, by a Newton–Schulz iteration."""
    a, b, c = group["coefficients"]
    x = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    x = x / torch.linalg.vector_norm(x).clamp(min=group["eps"])
    for _ in range(group["iterations"]):
        squares = x @ x.T
        x = a * x + (b * squares + c * squares @ squares) @ x
    return x if len(matrix) <= matrix.shape[1] else x.T
