"""The steps of a run: batch after batch forward, loss, backward, and the update.

Where several processes train together, each takes its part of a batch. Its loss is the part's sum,
divided by the weight W of the whole batch, and is computed back from N times that: the mean of the
N processes' gradients, which DistributedDataParallel gives them, is then the batch's gradient.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.kernels.runtime.workers import ASKED, DONE
from neocog.settings.training import TrainingSettings
from neocog.torch_engine.averages import Averages
from neocog.torch_engine.batches import Batches
from neocog.torch_engine.counted_draws import drawn_mixing
from neocog.torch_engine.devices import computing, explained
from neocog.torch_engine.dropout import CountedDropout
from neocog.torch_engine.losses import BatchLoss, Mixing
from neocog.torch_engine.optimizers import Updates
from neocog.torch_engine.processes import Processes
from neocog.torch_engine.shares import Share

__all__ = ["Learner", "Steps"]


@dataclass(frozen=True)
class Learner:
    """A network with all that its steps need.

    Attributes:
        forward: the network, from inputs to scores.
        updates, averages: what moves the parameters.
        loss: of a batch.
        batches: the inputs.
        labels, sample_weights: of all images, on the device.
        dropouts: of the network.
        settings: of the training.
        device: that computes.
        batch_size: images a batch; the last one of an epoch may have fewer.
        threads: of the CPU.
        seed, dropout_seed: of augmentation and of dropout.
        share: of each batch that this process takes.
        processes: that train together; None of one that trains alone.
    """

    forward: Callable[[torch.Tensor], torch.Tensor]
    updates: Updates
    averages: Averages
    loss: BatchLoss
    batches: Batches
    labels: torch.Tensor
    sample_weights: torch.Tensor | None
    dropouts: Sequence[CountedDropout]
    settings: TrainingSettings
    device: torch.device
    batch_size: int
    threads: int
    seed: int
    dropout_seed: int
    share: Share
    processes: Processes | None = None


@dataclass
class Steps:
    """A run over some batches of an epoch.

    Attributes:
        learner: whose steps they are.
        order: int64, indices of images.
        record: float64 [batches], gets the mean loss of each.
        rates: float64 [batches, 4]; see `neocog.engine.Trainer.start`.
        control: words by which others see how far it is, and ask it to end.
        steps: of the optimizer that came before.
        epoch: epochs that were begun before.
        until: the batch before which to end.
    """

    learner: Learner
    order: NDArray[np.int64]
    record: NDArray[np.float64]
    rates: NDArray[np.float64]
    control: NDArray[np.int64]
    steps: int
    epoch: int
    until: int

    def take(self, rank: int = 0) -> int:
        """Take the steps in this thread; gives the batches of the epoch that are done."""
        learner = self.learner
        losing = learner.processes.losing() if learner.processes else nullcontext()
        with explained(), losing, computing(learner.device, learner.threads):
            self._ends = False
            self._order = torch.from_numpy(self.order).to(learner.device)
            learner.updates.begin(self.steps)
            learner.batches.begin(self.order, self.epoch)
            try:
                for batch in range(int(self.control[DONE]), self.until):
                    if not self._take(batch):
                        break
                    self.control[DONE] = batch + 1
                    if self._ends if learner.processes else self.control[ASKED]:
                        break
            finally:
                learner.batches.end()
        return int(self.control[DONE])

    def _take(self, batch: int) -> bool:
        """One batch; gives whether its loss was finite. If it was not, no parameter has moved."""
        learner, accumulate = self.learner, self.learner.settings.accumulate
        if batch % accumulate == 0:
            learner.updates.zero_gradients()
        loss = self._forward(batch)
        value = self._added_up(loss)
        if learner.updates.parameters:
            # N times its part, for which the mean of the processes' gradients is the whole batch's.
            loss = loss * learner.share.of if learner.share.of > 1 else loss
            (loss / accumulate if accumulate > 1 else loss).backward()
        self.record[batch] = value()
        if not isfinite(self.record[batch]):
            return False
        is_last = (batch + 1) * learner.batch_size >= len(self.order)
        if (batch + 1) % accumulate == 0 or is_last:
            self._update(batch)
        return True

    def _added_up(self, loss: torch.Tensor) -> Callable[[], float]:
        """A function that gives the loss of the whole batch.

        Processes that train together must end behind the same batch, so they also tell each other
        whether they were asked to.
        """
        number, processes = _number(loss), self.learner.processes
        if processes is None:
            return number

        def begun() -> Callable[[], tuple[float, bool]]:
            return processes.sum_up(number(), bool(self.control[ASKED]))

        # A GPU's number is not there before it has the way back to do.
        early = None if loss.device.type == "cuda" else begun()

        def value() -> float:
            whole, self._ends = (early or begun())()
            return whole

        return value

    def _forward(self, batch: int) -> torch.Tensor:
        """The mean loss of a batch, or what this process's part has of it."""
        learner, begin = self.learner, batch * self.learner.batch_size
        images = min(learner.batch_size, len(self.order) - begin)
        part = learner.share.part(images)
        for dropout in learner.dropouts:
            own = part.stop - part.start
            dropout.draw(learner.dropout_seed, self.steps, begin + part.start, own)
        x = learner.batches.take(batch, self.until)
        with torch.autocast(
            learner.device.type, torch.bfloat16, enabled=learner.settings.precision == "bf16"
        ):
            scores = learner.forward(x)
        chosen = self._order[begin : begin + images]
        weights = learner.sample_weights
        weights = None if weights is None else weights[chosen]
        mixing = None
        if alpha := learner.settings.augmentation.mixup:
            mixing = Mixing(*drawn_mixing(alpha, learner.seed, self.epoch, begin, images))
        return learner.loss(scores, learner.labels[chosen], weights, mixing, part)

    def _update(self, batch: int) -> None:
        learner = self.learner
        if learner.settings.clip_norm is not None and learner.updates.parameters:
            moving = list(learner.updates.parameters.values())
            torch.nn.utils.clip_grad_norm_(moving, learner.settings.clip_norm)
        factor, momentum, decay, _ = self.rates[batch].tolist()
        learner.updates.step(factor, momentum)
        learner.averages.step(decay)
        self.steps += 1


def _number(loss: torch.Tensor) -> Callable[[], float]:
    """A function that gives a loss as a number.

    A GPU is then waited for only up to here, while it is already given the way back to do.
    """
    if loss.device.type != "cuda":
        return loss.detach().item  # type: ignore[no-any-return]
    sent = loss.detach().to("cpu", non_blocking=True)
    event = torch.cuda.Event()
    event.record()

    def value() -> float:
        event.synchronize()
        return float(sent)

    return value
