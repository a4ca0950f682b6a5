"""Who is told how training goes, and can pause or end it."""

from collections.abc import Callable, Sequence

from neocog.training.history import Epoch, History, Logged
from neocog.training.run import TrainingRun
from neocog.validation import as_row, refuse

__all__ = ["Callback", "Callbacks"]


class Callback:
    """Is told how training goes; every method does nothing until a subclass says what to do.

    ``self.stop()``, called in any of them, ends the training::

        class Target(neocog.Callback):
            def epoch_done(self, epoch, history):
                if epoch.validation_accuracy > 0.9:
                    self.stop()

    Attributes:
        stopped: whether `stop` was called since the training began.
        pause_every: steps of the optimizer between two pauses; None for none.
    """

    stopped = False
    pause_every: int | None = None
    _pausing = False

    def stop(self) -> None:
        """End the training after the epoch that is under way.

        The network then has the weights of that epoch, as `epoch_done` sees them, and
        `History.stopped` is set.
        """
        self.stopped = True

    def pause(self) -> None:
        """Have training pause after the current batch; `paused` comes then, and it goes on."""
        self._pausing = True

    def compiling(self, kernels: int) -> None:
        """So many kernels are about to be compiled, for the first time on this machine."""

    def begin(self, run: TrainingRun) -> None:
        """The training that is to come; what it has learned can be read in `paused` and later."""

    def ready(self, history: History) -> None:
        """The program is there; the first step comes next."""

    def progress(self, epoch: int, batch: int, batches: int) -> None:
        """So many batches of the epoch are done; called some twenty times a second."""

    def logged(self, entry: Logged) -> None:
        """A line of the log."""

    def paused(self, history: History) -> None:
        """Training pauses between two batches, also where Ctrl+C ends it within an epoch."""

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """An epoch is finished, and the network has its weights."""

    def ended(self, history: History) -> None:
        """The training is over, also by Ctrl+C or an error; no more calls come."""


class Callbacks(Callback):
    """Several, told one after another."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._all = list(callbacks)
        for one in self._all:
            one.stopped = False
            one._pausing = False

    @classmethod
    def of(
        cls, given: Callback | Sequence[Callback] | None, usual: Callable[[], Callback | None]
    ) -> "Callbacks":
        """What a caller has given: one, several, or none, for the usual one, if there is any."""
        if given is None:
            found = usual()
            return cls([found] if found else [])
        several = [given] if isinstance(given, Callback) else as_row(given)
        if several is None or not all(isinstance(one, Callback) for one in several):
            wanted = "a neocog.Callback, or of a class made from it, or a list of such"
            raise refuse("callback", given, wanted)
        return cls(several)

    def add(self, callback: Callback, *, first: bool = False) -> None:
        """Have this one told, too, after all others or before them."""
        self._all.insert(0 if first else len(self._all), callback)

    @property
    def stopped(self) -> bool:  # type: ignore[override]
        """Whether one of them has ended the training."""
        return any(one.stopped for one in self._all)

    def take_pause(self) -> bool:
        """Whether one of them has asked for a pause since the last one."""
        asked = any(one._pausing for one in self._all)
        for one in self._all:
            one._pausing = False
        return asked

    def steps_to_pause(self, steps: int) -> int | None:
        """How many steps there are to the next pause that one of them has said; None for none."""
        every = [one.pause_every for one in self._all if one.pause_every]
        return min((each - steps % each for each in every), default=None)

    def compiling(self, kernels: int) -> None:
        """See `Callback`."""
        for one in self._all:
            one.compiling(kernels)

    def begin(self, run: TrainingRun) -> None:
        """See `Callback`."""
        for one in self._all:
            one.begin(run)

    def ready(self, history: History) -> None:
        """See `Callback`."""
        for one in self._all:
            one.ready(history)

    def progress(self, epoch: int, batch: int, batches: int) -> None:
        """See `Callback`."""
        for one in self._all:
            one.progress(epoch, batch, batches)

    def logged(self, entry: Logged) -> None:
        """See `Callback`."""
        for one in self._all:
            one.logged(entry)

    def paused(self, history: History) -> None:
        """See `Callback`."""
        for one in self._all:
            one.paused(history)

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """See `Callback`."""
        for one in self._all:
            one.epoch_done(epoch, history)

    def ended(self, history: History) -> None:
        """See `Callback`."""
        for one in self._all:
            one.ended(history)
