"""A training by steps, of a whole network or of its upper part."""

from collections.abc import Callable
from dataclasses import dataclass

from neocog.data.images import Dataset
from neocog.network import Network
from neocog.settings.training import TrainingSettings

__all__ = ["Steps"]


@dataclass(frozen=True, eq=False)
class Steps:
    """What `neocog.fit` is given.

    Attributes:
        network: what is trained.
        train: what it is trained on.
        validation: what it is evaluated on after every epoch; None for nothing.
        settings: how.
        back: gives the whole network, a new one each time, with what the trained one has learned;
            None where that is the whole one.
    """

    network: Network
    train: Dataset
    validation: Dataset | None
    settings: TrainingSettings
    back: Callable[[Network], Network] | None = None

    def whole(self, trained: Network) -> Network:
        """The whole network, with what the trained one has learned."""
        return trained if self.back is None else self.back(trained)
