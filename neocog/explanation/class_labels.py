"""What a network's classes are called where they are shown."""

from neocog.network import Network

__all__ = ["class_labels"]


def class_labels(network: Network) -> tuple[str, ...]:
    """The classes' names, or their numbers if they have none."""
    return network.classes or tuple(str(k) for k in range(network.output_shape[0]))
