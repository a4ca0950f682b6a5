r"""Batch normalization over the batch of all processes; `torch.nn.SyncBatchNorm` is for GPUs only.

Each process has the count n_r, the mean m_r and the sum of squares around it q_r of its part:

    n = Σ n_r,   m = Σ n_r m_r / n,   q = Σ (q_r + n_r (m_r − m)²),   σ² = q / n
    y = w (x − m) / √(σ² + ε) + b
    dx = w / √(σ² + ε) · (dy − Σ dy / n − x̂ Σ dy x̂ / n),   dw = Σ dy x̂,   db = Σ dy

where the sums of dx are over all processes, and those of dw and db over one: what the processes
have of the gradients of parameters is added up later. All processes add in the order of ranks, and
so get the same bits.

T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", 1979.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["SyncBatchNorm2d", "synchronize"]

_DIMS = (0, 2, 3)


class _Normalize(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        mean: torch.Tensor,
        scale: torch.Tensor,
        count: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        group: Any,
    ) -> torch.Tensor:
        """y of one process's part, by the mean and 1 / √(σ² + ε) of all."""
        normal = (x.float() - _wide(mean)) * _wide(scale)
        ctx.save_for_backward(normal, scale, count, weight)
        ctx.group, ctx.kind = group, x.dtype
        if weight is None or bias is None:
            return normal.to(x.dtype)
        return torch.addcmul(_wide(bias), normal, _wide(weight)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients of x, w and b."""
        normal, scale, count, weight = ctx.saved_tensors
        dy = dy.float()
        db, dw = dy.sum(_DIMS), (dy * normal).sum(_DIMS)
        sums = torch.stack([db, dw])
        dist.all_reduce(sums, group=ctx.group)
        of_all = sums / count
        by = scale if weight is None else scale * weight
        dx = _wide(by) * (dy - _wide(of_all[0]) - normal * _wide(of_all[1]))
        affine = (dw, db) if weight is not None else (None, None)
        return dx.to(ctx.kind), None, None, None, *affine, None


def _wide(channels: torch.Tensor) -> torch.Tensor:
    return channels.reshape(1, -1, 1, 1)


class SyncBatchNorm2d(nn.BatchNorm2d):  # type: ignore[misc]
    """Batch normalization of training, whose batch is that of all processes.

    Args:
        of: the layer whose parameters and running statistics it takes over.
        group: of the processes.
    """

    def __init__(self, of: nn.BatchNorm2d, group: Any) -> None:
        super().__init__(of.num_features, eps=of.eps, momentum=of.momentum, affine=of.affine)
        self._group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize, and move the running statistics."""
        with torch.no_grad():
            count, mean, squares = self._statistics(x.float())
            if count.item() <= 1:  # in PyTorch's words, which `devices.explained` knows
                raise ValueError("Expected more than 1 value per channel when training")
            variance = squares / count
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(squares / (count - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = torch.rsqrt(variance + self.eps)
        found = _Normalize.apply(x, mean, scale, count, self.weight, self.bias, self._group)
        return found.contiguous(memory_format=torch.channels_last)

    def _statistics(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The count, the mean and the sum of squares around it, of all processes."""
        count = x.new_full((1,), x.numel() // x.shape[1])
        mean = x.sum(_DIMS) / count.clamp(min=1)  # of nothing it is 0
        squares = (x - _wide(mean)).square().sum(_DIMS)
        own = torch.cat([count, mean, squares])
        of_all = [torch.empty_like(own) for _ in range(dist.get_world_size(self._group))]
        dist.all_gather(of_all, own, group=self._group)
        rows = torch.stack(of_all)
        counts, means, sums = rows.split([1, len(mean), len(mean)], 1)
        whole = counts.sum(0)
        mean = (counts * means).sum(0) / whole
        return whole, mean, (sums + counts * (means - mean).square()).sum(0)


def synchronize(module: nn.Module, group: Any) -> None:
    """Put such layers in the place of a module's batch normalizations."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            owner, _, own = name.rpartition(".")
            setattr(module.get_submodule(owner), own, SyncBatchNorm2d(layer, group))
