"""Averages of weights over the steps of a run; see `neocog.kernels.optimizer.averaging`.

moving average      a ← a + (1 − d)(w − a)
lookahead           a ← a + (1 − d)(w − a),   w ← a
"""

from collections.abc import Mapping
from math import isnan

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["Averages"]


class Averages:
    """The averages of some parameters.

    Args:
        kind: "average", "lookahead", or "" for none.
        parameters: by name; their values are where the averages begin.

    Attributes:
        values: the averages by name.
    """

    def __init__(self, kind: str, parameters: Mapping[str, torch.Tensor]) -> None:
        self._is_lookahead = kind == "lookahead"
        self._parameters = dict(parameters) if kind else {}
        self.values = {name: w.detach().clone() for name, w in self._parameters.items()}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, decay: float) -> None:
        """Take a step with the decay d; nothing if that is NaN."""
        if not self.values or isnan(decay):
            return
        averages, weights = list(self.values.values()), list(self._parameters.values())
        get_ema_multi_avg_fn(decay)(averages, weights, None)
        if self._is_lookahead:
            for average, weight in zip(averages, weights, strict=True):
                weight.copy_(average)
