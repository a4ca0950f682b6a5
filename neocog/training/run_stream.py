"""The random numbers that a training draws its orders from, and where an earlier one left them."""

from neocog.network import Network, Trained
from neocog.random.torch_stream import TorchStream

__all__ = ["initialize_for_training", "stream_for_training"]


def initialize_for_training(network: Network, seed: int) -> None:
    """Give a network its first weights; a training of the same seed goes on in the stream.

    As in a script that builds a network and then trains it, after one ``torch.manual_seed(seed)``.
    """
    stream = TorchStream(seed)
    network.initialize(stream)
    network.trained = Trained(seed, 0, stream.get_state())


def stream_for_training(network: Network, seed: int) -> tuple[TorchStream, int]:
    """The random numbers of a training, and how many epochs have had theirs from them before."""
    if not network.initialized:
        initialize_for_training(network, seed)
    stream = TorchStream(seed)
    if network.trained is None or network.trained.seed != seed:
        return stream, 0
    stream.set_state(network.trained.stream)
    return stream, network.trained.epochs
