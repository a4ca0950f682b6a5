"""Where a batch's inputs come from, as PyTorch takes them: float32 [n, c, h, w], channels-last.

Images that are shown as they are lie on the device, if they fit there, and each batch is gathered
there; else a batch's bytes are gathered on the CPU and sent. Images that are varied are varied by
neocog's kernels on the CPU, which load a batch while the device computes on the one before, so that
both engines show the same pictures.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.engine.loader import Loader
from neocog.layers import Shape
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings
from neocog.torch_engine.devices import free_memory

__all__ = [
    "Batches",
    "GatheredBatches",
    "Normalize",
    "ResidentBatches",
    "VariedBatches",
    "batches_for",
    "sent",
]

# Of the device's free memory that images may take; the rest is for the network's maps.
_SHARE = 0.5
# Bytes of images that are sent at a time.
_PART = 1 << 26


class Batches(Protocol):
    """The inputs of the batches of an epoch."""

    @property
    def memory(self) -> int:
        """Bytes that it works in, beside the data."""

    @property
    def reads(self) -> bool:
        """Whether it reads the images on the CPU, batch by batch."""

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """Go over to another order of images."""

    def take(self, batch: int, until: int) -> torch.Tensor:
        """The inputs of a batch; the next one before `until` may be prepared meanwhile."""

    def end(self) -> None:
        """Prepare no more."""


def batches_for(
    input_shape: Shape,
    preprocessing: Preprocessing,
    images: NDArray[np.uint8],
    settings: TrainingSettings,
    batch_size: int,
    device: torch.device,
    threads: int,
    on_compile: Callable[[int], None] | None = None,
) -> Batches:
    """What suits the settings and the device."""
    if settings.augmentation.changes:
        loader = Loader(
            input_shape, preprocessing, images, settings, batch_size, threads, on_compile
        )
        return VariedBatches(loader, device)
    normalize = Normalize(preprocessing, device)
    if device.type != "cpu" and images.nbytes <= _SHARE * free_memory(device):
        return ResidentBatches(images, normalize, batch_size, device)
    return GatheredBatches(images, normalize, batch_size, device)


class Normalize:
    """x · scale + shift of bytes [n, h, w, c]."""

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self._scale = torch.tensor(preprocessing.scale, device=device)
        self._shift = torch.tensor(preprocessing.shift, device=device)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The inputs, float32 [n, c, h, w]."""
        x = torch.addcmul(self._shift, images.float(), self._scale)
        return x.permute(0, 3, 1, 2)


class ResidentBatches:
    """All images are on the device.

    Args:
        images: uint8 [n, height, width, channels].
        normalize: bytes to inputs.
        batch_size: images a batch.
        device: that they are sent to.
    """

    reads = False
    memory = 0

    def __init__(
        self,
        images: NDArray[np.uint8],
        normalize: Callable[[torch.Tensor], torch.Tensor],
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._normalize = normalize
        self._size = batch_size
        self._images = torch.empty(images.shape, dtype=torch.uint8, device=device)
        step = max(1, _PART // max(1, images[:1].nbytes))
        for at in range(0, len(images), step):
            # A copy, as PyTorch warns of arrays that cannot be written to.
            self._images[at : at + step] = torch.from_numpy(images[at : at + step].copy())

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """Send the order."""
        self._order = torch.from_numpy(order.copy()).to(self._images.device)

    def take(self, batch: int, until: int) -> torch.Tensor:
        """Gather the batch on the device."""
        chosen = self._order[batch * self._size : (batch + 1) * self._size]
        return self._normalize(self._images[chosen])

    def end(self) -> None:
        """Nothing: nothing is prepared."""


class GatheredBatches:
    """Each batch is gathered on the CPU, and sent as bytes.

    Args:
        images: uint8 [n, height, width, channels].
        normalize: bytes to inputs.
        batch_size: images a batch.
        device: that batches are sent to.
    """

    reads = True
    memory = 0

    def __init__(
        self,
        images: NDArray[np.uint8],
        normalize: Callable[[torch.Tensor], torch.Tensor],
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._images, self._normalize = images, normalize
        self._size, self._device = batch_size, device

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """Keep the order."""
        self._order = order

    def take(self, batch: int, until: int) -> torch.Tensor:
        """Gather the batch, and send it."""
        chosen = self._images[self._order[batch * self._size : (batch + 1) * self._size]]
        return self._normalize(sent(torch.from_numpy(chosen), self._device))

    def end(self) -> None:
        """Nothing: nothing is prepared."""


class VariedBatches:
    """Each batch is varied and normalized on the CPU, by neocog's kernels, and sent as floats."""

    reads = True

    def __init__(self, loader: Loader, device: torch.device) -> None:
        self._loader, self._device = loader, device

    @property
    def memory(self) -> int:
        """Bytes of the loader."""
        return self._loader.memory

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """See `Loader`."""
        self._loader.begin(order, epoch)

    def take(self, batch: int, until: int) -> torch.Tensor:
        """Send the batch."""
        x = torch.from_numpy(self._loader.take(batch, until))
        return sent(x, self._device).permute(0, 3, 1, 2)

    def end(self) -> None:
        """See `Loader`."""
        self._loader.end()


def sent(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on the device; to a GPU it is sent while the CPU goes on."""
    if device.type == "cuda":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
