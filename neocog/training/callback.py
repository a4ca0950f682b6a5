"""Who is told how training goes, and can end it."""

from neocog.training.history import Epoch, History, Logged

__all__ = ["Callback"]


class Callback:
    """Is told how training goes; every method does nothing until a subclass says what to do.

    ``self.stop()``, called in any of them, ends the training, as for early stopping::

        class Patience(neocog.Callback):
            best = float("inf")

            def epoch_done(self, epoch, history):
                loss = neocog.evaluate(network, validation).loss
                if loss > self.best:
                    self.stop()
                self.best = min(loss, self.best)
    """

    #: Whether `stop` was called since the training began.
    stopped = False

    def stop(self) -> None:
        """End the training after the epoch that is under way.

        The network then has the weights of that epoch, as `epoch_done` sees them, and
        `History.stopped` is set.
        """
        self.stopped = True

    def compiling(self, kernels: int) -> None:
        """So many kernels are about to be compiled, for the first time on this machine."""

    def ready(self, history: History) -> None:
        """The program is there; the first step comes next."""

    def progress(self, epoch: int, step: int, steps: int) -> None:
        """So many steps of the epoch are done; called some twenty times a second."""

    def logged(self, entry: Logged) -> None:
        """A line of the log."""

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """An epoch is finished, and the network has its weights."""

    def ended(self, history: History) -> None:
        """The training is over, also by Ctrl+C or an error; no more calls come."""
