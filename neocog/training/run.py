"""`TrainingRun`: a training that goes a few steps at a time, and can be saved and continued.

`fit` takes it to its end, the explorer in slices of 50 ms, and a checkpoint keeps its state. From
one state on, every step is the same, bit for bit, wherever the run was stopped before, with any
number of threads.
"""

import operator
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.engines import Engine, choose_engine, make_trainer
from neocog.errors import DataError, NeocogError, TrainingDivergedError
from neocog.formats.checkpoint import Checkpoint
from neocog.network import Network, Trained, check_network
from neocog.random.torch_stream import TorchStream
from neocog.settings.codec import to_plain
from neocog.settings.training import TrainingSettings
from neocog.signals import deferred_signals
from neocog.target_scale import scale_of
from neocog.training.data_mark import data_mark
from neocog.training.epoch_settings import check_settings, settings_of_epoch
from neocog.training.fixed_settings import check_fixed_settings
from neocog.training.history import History
from neocog.training.orders import Orders
from neocog.training.rates import rates_with
from neocog.training.run_length import RunLength
from neocog.training.run_state import Arrays, Place, RunState, check_arrays, network_mark
from neocog.training.run_stream import stream_for_training
from neocog.training.sample_weights import check_sample_weights

if TYPE_CHECKING:
    from neocog.torch_engine.processes import Processes

__all__ = ["TrainingRun"]

# Seconds between two looks at steps under way.
_LOOK = 0.05

# A batch's loss that is not there yet; no loss is that.
_TO_COME = -np.inf

# Between dropout's seeds in one training of a network and in the next: 2³² by the golden ratio.
_NEXT_SEED = 0x9E3779B9


class TrainingRun:
    """A network in training on some data.

    The network itself changes in `update_network` only.

    Args:
        network: gets its first weights, if it has none.
        data: images of the network's input shape, and their classes, as a `Dataset` or a tuple
            (images, labels). Images that are cropped may have any height and width.
        settings: of the training.
        sample_weights: a number from 0 for each image, which its loss counts.
        live: whether `momentum` will be set while it runs.
        on_compile: told how many kernels are compiled first, if any are.
        processes: that train together, of which this is rank 0; None where it trains alone.

    Attributes:
        rate, momentum: of the next steps, in the place of the optimizer's and the schedule's, where
            they are not None; for a momentum `live` must be set.
        losses: float64, the mean loss of each batch of the epoch under way; −∞ for those to come.
        engine, scale: what computes, and why; and the units of the targets that it trains on.
        interrupted: whether Ctrl+C or a signal ended the latest `step`.
        history: of the whole run; `fit` writes it.

    Raises:
        NeocogError: data, a network or settings that cannot be, or too little memory.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        settings: TrainingSettings,
        *,
        sample_weights: Sequence[float] | NDArray[Any] | None = None,
        live: bool = False,
        on_compile: Callable[[int], None] | None = None,
        processes: "Processes | None" = None,
    ) -> None:
        self.network = check_network(network)
        self.settings = settings
        self.engine = choose_engine(settings, processes.launch if processes else None)
        self.data = as_dataset(data, "fit(network, data.train)")
        if len(self.data) == 0:
            raise DataError("There are no images to train on.")
        self._sample_weights = check_sample_weights(sample_weights, len(self.data))
        settings.optimizer.check(network.parameter_shapes)
        outputs = network.output_shape[0]
        check_settings(settings, network.parameter_shapes, self.data.labels, outputs)
        self.scale = scale_of(settings, network.graph, self.data.labels)
        self._live = live
        self._on_compile, self._processes = on_compile, processes
        self.history = History()
        self.interrupted = False
        self.rate: float | None = None
        self.momentum: float | None = None
        self.seed = operator.index(settings.seed)
        stream, self._epochs_before = stream_for_training(network, self.seed)
        if network.loss != settings.loss:  # its outputs are in no units yet
            network.load_state_dict(self.scale.outer(network.state_dict()))
        batch = min(settings.batch_size, len(self.data))
        self.length = RunLength(len(self.data), batch, settings.epochs, settings.accumulate)
        self._balanced = settings.balance == "sample"
        self._orders = self._draw_orders(stream, 1)
        self._place = Place()
        self._began: float | None = None
        self._trainer: Engine | None = None
        # For the next trainer: the network's arrays, and what the optimizer remembers.
        self._waiting: tuple[Arrays, Arrays] | None = None
        self._preprocessing = network.preprocessing
        self._begin_epoch()

    def _draw_orders(self, stream: TorchStream, epoch: int) -> Orders:
        left = self.length.epochs - epoch + 1
        return Orders(stream, self.data.labels, left, balanced=self._balanced)

    # Where it stands

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1; after the last one's end it is still that."""
        return self._place.epoch

    @property
    def batch(self) -> int:
        """Batches of the epoch that are done."""
        return self._place.batch

    @property
    def batches(self) -> int:
        """Batches that the epoch has."""
        return self.length.batches(self.epoch)

    @property
    def steps(self) -> int:
        """Steps of the optimizer that are done."""
        return self._place.steps

    @property
    def epoch_is_done(self) -> bool:
        """Whether all batches of the epoch are done."""
        return self.batch == self.batches

    @property
    def epoch_is_recorded(self) -> bool:
        """Whether all batches of the epoch are done, and `history` has the epoch."""
        epochs = self.history.epochs
        return self.epoch_is_done and bool(epochs) and epochs[-1].epoch == self.epoch

    @property
    def is_done(self) -> bool:
        """Whether the whole run is done."""
        return self.epoch_is_done and self.epoch >= self.length.epochs

    @property
    def lr(self) -> float:
        """The learning rate of the latest batch, of parameters without one of their own."""
        if self.rate is not None:
            return self.rate
        return float(self._rates[max(0, self.batch - 1), 0]) * self.settings.optimizer.lr

    @property
    def seconds(self) -> float:
        """That all steps so far took, those under way too."""
        running = 0.0 if self._began is None else time.perf_counter() - self._began
        return self.history.seconds + running

    # The program

    @property
    def trainer(self) -> Engine:
        """The engine's part; made, and perhaps compiled, when it is first asked for."""
        if self._trainer is None:
            began = time.perf_counter()
            trainer = make_trainer(
                self.engine,
                self.network.graph,
                self.scale.inner(self.network.state_dict()),
                self.network.preprocessing,
                self.data.images,
                self.scale.standardized(self.data.labels),
                settings_of_epoch(self.settings, self.epoch, self.data.labels, self.network.graph),
                sample_weights=self._sample_weights,
                moves_momentum=self._live or self.settings.schedule.moves_momentum,
                dropout_seed=(self.seed + self._epochs_before * _NEXT_SEED) & 0xFFFFFFFF,
                on_compile=self._on_compile,
                processes=self._processes,
            )
            if self._waiting is not None:
                network, optimizer = self._waiting
                trainer.set_state(network)
                check_arrays(optimizer, trainer.optimizer_state())
                trainer.set_optimizer_state(dict(optimizer))
            self._trainer = trainer  # until here `_waiting` is what a checkpoint keeps
            self.history.compile_seconds += time.perf_counter() - began
            self.history.engine = str(self.engine)
            self.history.memory = max(self.history.memory, trainer.memory)
        return self._trainer

    @property
    def is_compiled(self) -> bool:
        """Whether the program for the next step is there."""
        return self._trainer is not None

    def _begin_epoch(self) -> None:
        """What an epoch computes with: its order, its rates, a place for its losses."""
        self.losses: NDArray[np.float64] = np.full(self.batches, _TO_COME)
        self._order = self.length.order(self.epoch, self._orders.current)
        self._rates = self.length.rates(self.epoch, self.settings)

    def next_epoch(self) -> None:
        """Go on to the next epoch, whose `step` then begins it; the one under way must be done.

        Raises:
            NeocogError: the network's preprocessing was set to another meanwhile.
        """
        if self.network.preprocessing != self._preprocessing:
            raise NeocogError(
                "The network's preprocessing was set to another while it trained. Set it before "
                "fit, or between two of them."
            )
        with deferred_signals():  # a checkpoint would be of half an epoch's beginning
            self._place = Place(self.epoch + 1, 0, self.steps)
            self._orders.advance()
            self._begin_epoch()
            if self._trainer is not None and self.epoch - 1 in self.settings.freeze_after.values():
                # Parameters have come to rest: a program without their updates goes on. The old one
                # is let go of first, as both would take twice the memory.
                self._waiting = self._arrays()
                self._trainer = None

    def _arrays(self) -> tuple[Arrays, Arrays]:
        """The network's arrays as they are trained, and what the optimizer remembers."""
        if self._trainer is None and self._waiting is not None:
            return self._waiting
        return self.trainer.state(), self.trainer.optimizer_state()

    # Steps

    def step(
        self, count: int | None = None, watch: Callable[[int], bool] | None = None
    ) -> NDArray[np.float64]:
        """Take steps of the optimizer, at most to the end of the epoch.

        Ctrl+C ends it after the current batch, and sets `interrupted`.

        Args:
            count: how many; all that the epoch has left, if None.
            watch: told some twenty times a second how many of the epoch's batches are done; when it
                gives True the run pauses after the current batch.

        Returns:
            The mean loss of each batch that was done, float64.

        Raises:
            TrainingDivergedError: a loss became NaN or infinite; `batch` says which.
        """
        self.interrupted = False
        place, trainer, first = self._place, self.trainer, self.batch
        self._waiting = None
        until = self.batches
        if count is not None:
            accumulate = self.length.accumulate
            until = min(until, (first // accumulate + count) * accumulate)
        trainer.steps = place.steps
        trainer.epochs = self._epochs_before + self.epoch - 1
        self._began = time.perf_counter()
        try:
            try:
                run = trainer.start(
                    self._order, self.losses, self._rates_now, first=first, until=until
                )
                self._orders.draw()  # the next epoch's, while the workers are busy
                while not run.wait(_LOOK):
                    if watch is not None and watch(trainer.done):
                        trainer.stop()
                run.finish()
            except KeyboardInterrupt:
                self.interrupted = True
        finally:  # whatever was raised, no worker is left behind
            place.batch = max(first, trainer.end())
            trainer.finished(place.batch, self.batches, first)
            place.steps = trainer.steps
            self.history.seconds, self._began = self.seconds, None
            self.history.steps += place.batch - first
        if place.batch < until and self.losses[place.batch] != _TO_COME:
            word = "NaN" if np.isnan(self.losses[place.batch]) else "infinite"
            self._diverged(f"The loss became {word}", place.batch + 1, place.steps + 1)
        return self.losses[first : place.batch]

    @property
    def _rates_now(self) -> NDArray[np.float64]:
        """The epoch's rates, or those that somebody sets while it runs."""
        factor = None if self.rate is None else self.rate / self.settings.optimizer.lr
        return rates_with(self._rates, factor, self.momentum)

    def _diverged(self, what: str, batch: int, step: int) -> None:
        """Raise the error, to which `neocog.training.divergence` has more to say."""
        raise TrainingDivergedError(f"{what} in epoch {self.epoch}, batch {batch} (step {step:,})")

    # What is learned

    def update_network(self) -> None:
        """Give the network what was learned: the weights, or their average where one is kept.

        Raises:
            TrainingDivergedError: a weight is NaN or infinite. The network then stays as it was.
        """
        found = self.scale.outer(self._trained_state())
        if not all(np.isfinite(value).all() for value in found.values()):
            self._diverged("A weight became NaN or infinite", self.batch, self.steps)
        self.network.load_state_dict(found)
        self.network.temperature = 1.0  # the one from before was fitted for other weights
        self.network.loss = self.settings.loss
        self.network.trained = Trained(
            self.seed, self._epochs_before + self.epoch, self._orders.state
        )

    def _trained_state(self) -> dict[str, NDArray[Any]]:
        averaging = self.settings.averaging
        averages = self.trainer.averages() if averaging and averaging.kind == "average" else {}
        return {**self.trainer.state(), **averages}

    def take_network(self) -> None:
        """Go on with the network's weights, after they were changed from outside."""
        if self._trainer is not None:
            self._trainer.set_state(self.scale.inner(self.network.state_dict()))

    def forget(self) -> None:
        """Go on as if the optimizer remembered nothing of the steps before."""
        if self._trainer is not None:
            kept = self._trainer.optimizer_state()
            self._trainer.set_optimizer_state({k: np.zeros_like(v) for k, v in kept.items()})

    def images_of(self, batch: int) -> NDArray[np.int64]:
        """The images of one of the epoch's batches, from 1, by their numbers in the data."""
        size = self.length.batch_size
        return self._order[max(0, batch - 1) * size : batch * size]

    def state(self) -> Checkpoint:
        """All that the run's next steps depend on but the network, the data and the settings.

        The random stream is kept as it was before the order of the epoch under way was drawn.
        """
        network, optimizer = self._arrays()
        return RunState(
            self.epoch,
            self.batch,
            self.steps,
            self._epochs_before,
            network,
            optimizer,
            self._orders.state_before,
            self.losses[: self.batch],
            self.history,
            self._data_mark,
            network_mark(self.network),
            to_plain(self.settings),
        ).to_checkpoint()

    @cached_property
    def _data_mark(self) -> dict[str, Any]:
        return data_mark(self.data, self._sample_weights)

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Go on from a state of a run of the same network, data and settings.

        The number of epochs may be another, and so may all settings that change no step.

        Raises:
            FormatError: it is no state of a run.
            NeocogError: it is of another run, or has come further than this one is to go.
        """
        state = RunState.from_checkpoint(checkpoint)
        state.check_same(self._data_mark, self.network)
        check_fixed_settings(state.settings, to_plain(self.settings), TrainingSettings)
        state.check_place(self.length)
        self.network.load_state_dict(self.scale.outer(state.network))
        self._epochs_before = state.epochs_before
        self._place = Place(state.epoch, state.batch, state.steps)
        stream = TorchStream(self.seed)
        stream.set_state(state.stream)
        self._orders = self._draw_orders(stream, self.epoch)
        self._begin_epoch()
        self.losses[: self.batch] = state.losses
        self.history = state.history
        self._trainer, self._waiting = None, (state.network, state.optimizer)
        if not self.epoch_is_done:  # the last one was not whole, and goes on
            self.history.reopen(self.epoch, self.settings.log_every)
