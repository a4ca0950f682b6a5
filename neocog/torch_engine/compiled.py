"""A module that is compiled for the batches of an epoch, and not again for the last one.

`torch.compile` compiles for the shapes that it meets. The last batch of an epoch may be smaller,
and would have everything compiled a second time, for one step an epoch. It is computed uncompiled.
"""

import torch
from torch import nn

__all__ = ["CompiledForBatches"]


class CompiledForBatches(nn.Module):  # type: ignore[misc]
    """Computes whole batches by a compiled module, and others by the module itself.

    Args:
        module: whose parameters are this module's.
        images: in a whole batch.
    """

    def __init__(self, module: nn.Module, images: int) -> None:
        super().__init__()
        self.module = module
        self._images = images
        # In a tuple, so that it is no part of this module, which has its parameters once already.
        self._compiled = (torch.compile(module, dynamic=False),)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module gives."""
        chosen = self._compiled[0] if len(x) == self._images else self.module
        return chosen(x)
