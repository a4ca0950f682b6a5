"""Networks that neocog saved, as a beginning for other classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from neocog.errors import ArchitectureError, FormatError
from neocog.files import open_regular
from neocog.formats.model_file import read_header
from neocog.layers import Conv2d, Graph, Layer, Linear
from neocog.network import Network
from neocog.pretrained.fitting import head_of

__all__ = ["is_own", "with_outputs"]


def is_own(path: Path) -> bool:
    """Whether this is a run folder, or a file in which neocog described the network."""
    try:
        if path.is_dir():
            return True
        if path.suffix.lower() != ".safetensors":
            return False
        with open_regular(path) as file:
            metadata = read_header(file)[0].get("__metadata__")
    except (OSError, FormatError):  # whoever reads it then says why
        return False
    return isinstance(metadata, dict) and "neocog" in metadata


def with_outputs(
    network: Network, count: int, classes: Sequence[str] | None, seed: int
) -> tuple[Network, str]:
    """A network with the weights of another one and a new last layer; also returns its name.

    Args:
        network: with parameters.
        count: how many outputs the new last layer has.
        classes: their names, if they are known.
        seed: of the new layer's weights, which are PyTorch's.

    Raises:
        ArchitectureError: the last layer with parameters lies within a container, or is neither
            linear nor a convolution.
    """
    head = head_of(network.graph)
    nodes = [
        replace(node, layer=_of_outputs(node.layer, count)) if node.name == head else node
        for node in network.graph.given
    ]
    if head not in network.layers:
        raise ArchitectureError(f"{head} lies within another layer, so it cannot be replaced.")
    graph = Graph(nodes, network.input_shape)
    made = Network.from_graph(graph, None, network.preprocessing)
    made.initialize(seed)
    kept = {
        name: value
        for name, value in network.state_dict().items()
        if not name.startswith(f"{head}.")
    }
    made.load_state_dict({**made.state_dict(), **kept})
    if classes is not None:
        made.name_classes(tuple(classes))
    return made, head


def _of_outputs(layer: Layer, count: int) -> Layer:
    if isinstance(layer, Linear):
        return replace(layer, out_features=count)
    if isinstance(layer, Conv2d):
        return replace(layer, out_channels=count)
    kind = type(layer).__name__
    raise ArchitectureError(f"The last layer with weights is a {kind}, which has no outputs.")
