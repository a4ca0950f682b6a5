"""The inputs of one process's part of each batch.

In mixup an image's partner may be in the part of another process. So a part is loaded together
with the partners of its images, and mixed here, by λ and a rotation of the whole batch.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.layers import Shape
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings
from neocog.torch_engine.batches import Batches, batches_for
from neocog.torch_engine.counted_draws import drawn_mixing
from neocog.torch_engine.shares import Share

__all__ = ["SharedBatches", "shared_batches"]


class SharedBatches:
    """A process's part of each batch.

    Args:
        inner: gives the images of an order, of this process alone.
        share: that the process takes.
        batch_size: images of a whole batch.
        alpha: of mixup; 0 for none.
        seed: of augmentation.
        empty: inputs of a batch of which the process takes nothing.
    """

    def __init__(
        self,
        inner: Batches,
        share: Share,
        batch_size: int,
        alpha: float,
        seed: int,
        empty: torch.Tensor,
    ) -> None:
        self._inner, self._share, self._size = inner, share, batch_size
        self._alpha, self._seed, self._empty = alpha, seed, empty

    @property
    def memory(self) -> int:
        """Bytes that it works in, beside the data."""
        return self._inner.memory

    @property
    def reads(self) -> bool:
        """Whether it reads the images on the CPU, batch by batch."""
        return self._inner.reads

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """Go over to another order, of whole batches."""
        self._images, self._epoch = len(order), epoch
        own = self._with_partners(order) if self._alpha else self._share.order(order, self._size)
        self._inner.begin(own, epoch)

    def _with_partners(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        found = []
        for begin in range(0, len(order), self._size):
            batch = order[begin : begin + self._size]
            part = self._share.part(len(batch))
            _, rotation = drawn_mixing(self._alpha, self._seed, self._epoch, begin, len(batch))
            found += [batch[part], np.roll(batch, -rotation)[part]]
        return np.concatenate([order[:0], *found])

    def take(self, batch: int, until: int) -> torch.Tensor:
        """The inputs of the part; the next one before `until` may be prepared meanwhile."""
        begin = batch * self._size
        images = min(self._size, self._images - begin)
        if self._share.size(images) == 0:
            return self._empty
        last = self._images % self._size
        if last and self._share.size(last) == 0:  # nothing is to be prepared of the last batch
            until = min(until, self._images // self._size)
        x = self._inner.take(batch, until)
        if not self._alpha:
            return x
        share, _ = drawn_mixing(self._alpha, self._seed, self._epoch, begin, images)
        own, partners = x.chunk(2)
        return own * share + partners * (1.0 - share)

    def end(self) -> None:
        """Prepare no more."""
        self._inner.end()


def shared_batches(
    share: Share,
    input_shape: Shape,
    preprocessing: Preprocessing,
    images: NDArray[np.uint8],
    settings: TrainingSettings,
    batch_size: int,
    device: torch.device,
    threads: int,
    seed: int,
    on_compile: Callable[[int], None] | None = None,
) -> Batches:
    """What `batches_for` gives, of the part that a process takes of each batch."""
    args: tuple[Any, ...] = (device, threads, on_compile)
    if share.of == 1:
        return batches_for(input_shape, preprocessing, images, settings, batch_size, *args)
    alpha = settings.augmentation.mixup
    alone = replace(settings, augmentation=replace(settings.augmentation, mixup=0.0))
    size = share.size(batch_size) * (2 if alpha else 1)
    inner = batches_for(input_shape, preprocessing, images, alone, size, *args)
    empty = torch.zeros((0, *input_shape), device=device)
    return SharedBatches(inner, share, batch_size, alpha, seed, empty)
