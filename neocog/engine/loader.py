"""A program that only loads images, varied and normalized, for another engine to train on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neocog.engine.builder import Builder
from neocog.engine.ops import LoadOp
from neocog.engine.plan import Scope
from neocog.engine.program import Program
from neocog.engine.program_options import ProgramOptions
from neocog.engine.state import fill_preprocessing
from neocog.engine.tensor import Tensor
from neocog.layers import Shape
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings

__all__ = ["Loader"]

# As much of a seed as augmentation looks at.
_SEEN_OF_SEED = 0xFFFFFFFF


class Loader:
    """Gives the inputs of one batch after another, and computes the next while one is used.

    They are those that `Trainer` would train on, bit for bit.

    Args:
        input_shape: channels, height and width of the network's input.
        preprocessing: how pixels become inputs.
        images: uint8 [n, height, width, channels], contiguous; of any height and width if they are
            cropped.
        settings: of the training.
        batch_size: images a batch.
        threads: that load.
        on_compile: told how many kernels are compiled first, if any are.
    """

    def __init__(
        self,
        input_shape: Shape,
        preprocessing: Preprocessing,
        images: NDArray[np.uint8],
        settings: TrainingSettings,
        batch_size: int,
        threads: int,
        on_compile: Callable[[int], None] | None = None,
    ) -> None:
        channels, height, width = input_shape
        self._x = Tensor("input", height, width, channels, dense=True)
        self._images = images
        self._batch_size = batch_size
        stored = images.shape[1:3] if images.shape[1:3] != (height, width) else None
        options = ProgramOptions.of(replace(settings, averaging=None), stored=stored)
        builder = Builder(batch_size, batch_size, keep_activations=True, options=options)
        LoadOp("input", (), self._x).forward(builder)
        builder.plan.buffer("losses", 8, Scope.BATCH)  # every program that runs for long has them
        builder.cut()
        builder.plan.settle()
        self._program = Program(builder.plan, threads, batch_size, on_compile)
        fill_preprocessing(self._program, (channels, height, width), preprocessing)
        if "augment" in builder.plan.buffers:
            seed = settings.seed & _SEEN_OF_SEED
            self._program.memory.array("augment", np.int64)[0] = seed
        self._order = np.zeros(0, np.int64)
        self._under_way = -1

    @property
    def memory(self) -> int:
        """Bytes that it works in, beside the data."""
        return self._program.memory.size

    def begin(self, order: NDArray[np.int64], epoch: int) -> None:
        """Go over to another order of images, and to this epoch's changes of them."""
        self.end()
        self._order = np.ascontiguousarray(order)
        if "augment" in self._program.plan.buffers:
            self._program.memory.array("augment", np.int64)[1] = epoch
        nothing = np.zeros(1)
        self._program.bind({"images": self._images, "order": self._order, "labels": nothing})

    def end(self) -> None:
        """Wait until nothing is loaded any more."""
        self._program.end()
        self._under_way = -1

    def take(self, batch: int, until: int) -> NDArray[np.float32]:
        """The inputs of a batch, float32 [n, height, width, channels]; a copy.

        The next one is then loaded in the background, if it comes before batch `until`.
        """
        if self._under_way != batch:
            self._start(batch)
        self._run.finish()
        size = self._x.map
        images = min(self._batch_size, len(self._order) - batch * self._batch_size)
        whole = self._program.memory.array("input", np.float32, images).reshape(images, size.size)
        rows = whole[:, : size.content].reshape(images, size.height, size.width, size.pixel)
        found = np.array(rows[..., : size.channels], order="C")
        self._under_way = -1
        if batch + 1 < until:
            self._start(batch + 1)
        return found

    def _start(self, batch: int) -> None:
        self._program.end()
        record = np.zeros(batch + 1)
        self._run = self._program.start(len(self._order), record, 0, batch, batch + 1)
        self._under_way = batch
