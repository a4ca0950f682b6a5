"""Dropout that drops what neocog's kernels drop; see `neocog.kernels.elementwise.dropout`.

    y = x · m,   m = 0 where mixed(number, key) < T,   else 1 / (1 − p)

The key of an image follows from the seed, the layer, the step and the image's position in the
epoch's order. `number` counts an image's elements as neocog's engine lays them: row by row, and
channel by channel within a pixel.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from neocog.engine.ops import DropoutOp
from neocog.engine.tensor import Tensor
from neocog.kernels.elementwise.dropout import Dropout
from neocog.torch_engine.counted_draws import random_bits

__all__ = ["CountedDropout", "count_dropouts"]

_LOW = 0xFFFFFFFF
_SIGN = 1 << 31


class CountedDropout(nn.Module):  # type: ignore[misc]
    """The dropout of an operation; `draw` comes before each batch.

    Args:
        op: neocog's.
        batch: the most images.
    """

    def __init__(self, op: DropoutOp, batch: int) -> None:
        super().__init__()
        maps = (op.x.map, op.y.map, op.y.gradient_map, op.x.gradient_map)
        spec = Dropout(*maps, op.p, op.number)
        self._layer = op.number
        self._threshold, self._kept = spec.threshold + _SIGN, spec.kept
        self.register_buffer("numbers", _numbers(op.x), persistent=False)
        self.register_buffer("keys", torch.zeros(2, batch, dtype=torch.int64), persistent=False)

    def draw(self, seed: int, step: int, begin: int, images: int) -> None:
        """Set the keys of a batch.

        Args:
            seed: of dropout.
            step: steps that the optimizer took before.
            begin: the position of the batch's first image in the epoch's order.
            images: in the batch.
        """
        positions = np.arange(begin, begin + images)
        keys = random_bits(random_bits(seed, self._layer, step), positions, 0)
        halves = np.stack([keys & np.uint64(_LOW), keys >> np.uint64(32)]).astype(np.int64)
        self.keys[:, :images] = torch.from_numpy(halves).to(self.keys.device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zero some elements and scale the others up."""
        numbers = self.numbers.reshape(1, *x.shape[1:])
        low, high = self.keys[:, : len(x)].reshape(2, len(x), *(1,) * (x.dim() - 1))
        z = (numbers + low) & _LOW
        z = ((z ^ (z >> 16)) * 0x7FEB352D + high) & _LOW
        z = ((z ^ (z >> 15)) * 0x846CA68B) & _LOW
        z = (z ^ (z >> 16)) ^ _SIGN  # as signed numbers are compared
        return x * torch.where(z < self._threshold, 0.0, self._kept).to(x.dtype)


def _numbers(x: Tensor) -> torch.Tensor:
    """The number of each element, int64 in PyTorch's order of them."""
    elements = x.height * x.width * x.channels
    return torch.arange(elements).reshape(x.height, x.width, x.channels).permute(2, 0, 1).flatten()


def count_dropouts(
    module: nn.Module, dropouts: Mapping[str, DropoutOp], batch: int
) -> list[CountedDropout]:
    """Put such dropouts in the place of a module's, by their names."""
    found = []
    for name, op in dropouts.items():
        owner, _, own = name.rpartition(".")
        made = CountedDropout(op, batch)
        setattr(module.get_submodule(owner), own, made)
        found.append(made)
    return found
