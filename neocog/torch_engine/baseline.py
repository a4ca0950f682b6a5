"""The note's network in PyTorch, as fast as possible on a CPU, to compare neocog with.

All data are in memory, so there is no overhead of a DataLoader. They are either bytes, which each
step normalizes as neocog does, or float32 that was normalized before the clock starts.
"""

import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

__all__ = ["Baseline"]


class Baseline:
    """The note's network with its training loop and its predictions.

    Args:
        state: weights by name, in the names that neocog and PyTorch share.
        images: uint8 [n, 32, 32, 3].
        labels: int64 [n].
    """

    def __init__(
        self,
        state: Mapping[str, NDArray[np.float32]],
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
    ) -> None:
        self._state = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
        self._raw = torch.from_numpy(np.ascontiguousarray(images))
        self._x = self.normalize(self._raw)
        self._y = torch.from_numpy(labels)
        self._net = self._fresh()

    def _fresh(self) -> nn.Module:
        net = nn.Sequential()
        net.add_module("conv1", nn.Conv2d(3, 16, 3, padding=1))
        net.add_module("relu", nn.ReLU())
        net.add_module("pool", nn.MaxPool2d(2))
        net.add_module("flatten", nn.Flatten())
        net.add_module("fc", nn.Linear(16 * 16 * 16, len(self._state["fc.bias"])))
        net.load_state_dict(self._state)
        return net

    @staticmethod
    def normalize(images: torch.Tensor) -> torch.Tensor:
        """(x / 255 − 0.5) / 0.5 of bytes [n, h, w, c], as float32 [n, c, h, w]."""
        return (images.permute(0, 3, 1, 2).contiguous().float() / 255 - 0.5) / 0.5

    def train(
        self,
        order: NDArray[np.int64],
        batch: int,
        lr: float,
        momentum: float,
        threads: int,
        *,
        prepared: bool,
    ) -> tuple[float, list[float]]:
        """Train from the given weights; returns seconds per step and the loss of each step."""
        torch.set_num_threads(threads)
        net = self._fresh()
        optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
        loss_of = nn.CrossEntropyLoss()
        batches = torch.from_numpy(order).split(batch)
        losses = []
        began = time.perf_counter()
        for indices in batches:
            optimizer.zero_grad()
            x = self._x[indices] if prepared else self.normalize(self._raw[indices])
            loss = loss_of(net(x), self._y[indices])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return (time.perf_counter() - began) / len(batches), losses

    def predict(self, count: int, repeat: int, threads: int) -> tuple[float, NDArray[np.float32]]:
        """Predict the first `count` images from bytes; returns seconds and the probabilities."""
        torch.set_num_threads(threads)
        with torch.inference_mode():
            found = torch.softmax(self._net(self.normalize(self._raw[:count])), 1)
            began = time.perf_counter()
            for _ in range(repeat):
                found = torch.softmax(self._net(self.normalize(self._raw[:count])), 1)
            return (time.perf_counter() - began) / repeat, found.numpy()
