"""A convolution's learned filters, and the images of a data set that activate each of them most.

M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks" (2014), show
filters by the parts of images that activate them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.engine.cores import available_threads
from neocog.engine.layer_output import LayerOutput
from neocog.engine.trainer import check_images
from neocog.errors import DataError
from neocog.explanation.layer_names import unknown_layer
from neocog.explanation.receptive_field import ReceptiveFields
from neocog.explanation.rendering import render_figure
from neocog.explanation.topology import nodes_to
from neocog.layers import AdaptiveMaxPool2d, Conv2d, Flatten
from neocog.layers.graph import Node
from neocog.network import Network, check_network
from neocog.validation import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Filters", "TopActivation", "filters"]

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class TopActivation:
    """An image that activates a filter strongly, and where.

    Attributes:
        index: of the image in the data.
        value: the channel's largest number in this image, directly behind the convolution.
        row: the row of that number in the convolution's map.
        column: its column.
        box: (top, left, bottom, right) of the pixels that the number depends on, its receptive
            field as far as it lies in the image; bottom and right are the first row and column
            outside.
        patch: these pixels, uint8 [height, width, channels]; a copy.
    """

    index: int
    value: float
    row: int
    column: int
    box: tuple[int, int, int, int]
    patch: Images = field(repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class Filters:
    """A convolution's filters.

    Attributes:
        layer: its full name.
        weight: float32 [out, in / groups, kernel height, kernel width].
        top_activations: for every output channel the images that activate it most, the strongest
            first; () without data.
    """

    layer: str
    weight: Floats
    top_activations: tuple[tuple[TopActivation, ...], ...] = ()

    def __repr__(self) -> str:
        images = len(self.top_activations[0]) if self.top_activations else 0
        return f"<Filters of {self.layer} {list(self.weight.shape)}, {images} images each>"

    def figure(self, most: int = 32) -> "Figure":
        """Draw the first `most` filters, and what activates them; needs matplotlib."""
        return render_figure(self, most)


def filters(
    network: Network,
    layer: str | None = None,
    data: Dataset | Images | None = None,
    *,
    count: int = 3,
    most: int = 2000,
) -> Filters:
    """The filters of a convolution, and the images that activate each most.

    Args:
        network: with parameters.
        layer: the convolution's full name; None for the first.
        data: a `Dataset` or images, uint8 [n, height, width, channels].
        count: how many different images to give for each filter.
        most: how many of the data's images are looked at, the first ones.

    Raises:
        DataError: the layer is not a convolution of the network, or the images do not fit.
    """
    network = check_network(network).copy()
    convolutions = [name for name, known in network.leaves.items() if isinstance(known, Conv2d)]
    if not convolutions:
        raise DataError("The network has no convolution.")
    layer = convolutions[0] if layer is None else layer
    if not isinstance(layer, str):
        raise unknown_layer(layer, convolutions)
    if layer not in convolutions:
        if layer in network.leaves:
            raise DataError(
                f"{layer} is a {type(network.leaves[layer]).__name__}, and only convolutions have "
                f"filters. Known: {', '.join(convolutions)}."
            )
        raise unknown_layer(layer, convolutions)
    count = whole("count", count, 1, error=DataError)
    most = whole("most", most, 1, error=DataError)
    weight = network.state_dict()[f"{layer}.weight"]
    if data is None:
        return Filters(layer, weight)
    images = check_images(network.input_shape, data)
    if len(images) == 0:
        raise DataError("There is no image in the data.")
    return Filters(layer, weight, _top_activations(network, layer, images[:most], count))


def _top_activations(
    network: Network, layer: str, images: Images, count: int
) -> tuple[tuple[TopActivation, ...], ...]:
    largest, places = _largest(_of_largest(network, layer), layer, images)
    best = np.argsort(-largest, axis=0, kind="stable")[:count]
    columns = network.shapes[layer][2]
    field_of = ReceptiveFields(network.graph, layer)

    def activation(index: int, channel: int) -> TopActivation:
        row, column = divmod(int(places[index, channel]), columns)
        top, left, bottom, right = box = field_of(row, column)
        patch = images[index, top:bottom, left:right].copy()
        return TopActivation(index, float(largest[index, channel]), row, column, box, patch)

    return tuple(
        tuple(activation(index, channel) for index in indices)
        for channel, indices in enumerate(best.T.tolist())
    )


def _largest(network: Network, layer: str, images: Images) -> tuple[Floats, NDArray[np.int64]]:
    """The largest number of each channel in each image, and its place in the map, [n, channels]."""
    workers = min(available_threads(), len(images))
    # Made before the threads begin, because Numba may compile here.
    parts = network.graph, network.state_dict(), network.preprocessing
    outputs = [LayerOutput(*parts, layer) for _ in range(workers)]
    largest = np.empty((len(images), *network.output_shape), np.float32)
    places = np.empty(largest.shape, np.int64)

    def work(rank: int) -> None:
        for index in range(rank, len(images), workers):
            maps = outputs[rank].of(images[index])
            flat = maps.reshape(len(maps), -1)
            places[index] = flat.argmax(axis=1)
            largest[index] = flat.max(axis=1)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return largest, places


def _of_largest(network: Network, layer: str) -> Network:
    """A network whose scores are the largest numbers of a layer's channels."""
    ends = Node(f"{layer}.largest", AdaptiveMaxPool2d()), Node(f"{layer}.flatten", Flatten())
    nodes = [*nodes_to(network.graph, layer), *ends]
    shape, preprocessing = network.input_shape, network.preprocessing
    largest = Network.from_nodes(nodes, input_shape=shape, preprocessing=preprocessing)
    state = network.state_dict()
    largest.load_state_dict({name: state[name] for name in largest.state_shapes})
    return largest
