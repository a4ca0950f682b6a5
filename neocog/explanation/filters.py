"""A convolution's learned filters, and which images of a data set excite each of them most.

A number of a map sees a part of the image only, its receptive field: a convolution's number at row
i sees the rows s·i + d·m − p of its input, m = 0 … kernel − 1, with stride s, dilation d and
padding p, as a pool's does; layer by layer back to the image. M. D. Zeiler and R. Fergus,
"Visualizing and understanding convolutional networks" (2014), show filters by the parts of images
that excite them.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.engine.cores import available_threads
from neocog.engine.layer_output import LayerOutput
from neocog.engine.trainer import check_images
from neocog.errors import DataError
from neocog.explanation.names import unknown_layer
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Conv2d,
    Flatten,
    Layer,
    MaxPool2d,
    Residual,
    Sequential,
    Shape,
)
from neocog.network import Network, check_network
from neocog.validation import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Filters", "TopActivation", "filters", "receptive_field", "way_to"]

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]

#: Rows and columns of a map.
_Places = tuple[frozenset[int], frozenset[int]]


@dataclass(frozen=True)
class TopActivation:
    """An image that excites a filter.

    Attributes:
        index: of the image in the data.
        value: the channel's largest number in this image, straight behind the convolution.
        row: where in the convolution's map that number stands.
        column: its column.
        box: (top, left, bottom, right) of the pixels that the number sees, its receptive field as
            far as it lies in the image; bottom and right are the first row and column behind it.
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
        top_activations: for every output channel the images that excite it most, the strongest
            first; () without data.
    """

    layer: str
    weight: Floats
    top_activations: tuple[tuple[TopActivation, ...], ...] = ()

    def __repr__(self) -> str:
        images = len(self.top_activations[0]) if self.top_activations else 0
        return f"<Filters of {self.layer} {list(self.weight.shape)}, {images} images each>"

    def figure(self, most: int = 32) -> "Figure":
        """The first filters, at most so many, with what excites them; needs matplotlib."""
        from neocog.explanation.figures import draw_filters

        return draw_filters(self, most)


def filters(
    network: Network,
    layer: str | None = None,
    data: Dataset | Images | None = None,
    *,
    count: int = 3,
    most: int = 2000,
) -> Filters:
    """The filters of a convolution, and the images that excite each most.

    Args:
        network: with parameters.
        layer: the convolution's full name; the first without it.
        data: a `Dataset` or images, uint8 [n, height, width, channels].
        count: how many images for every filter, each another one.
        most: only so many images are looked at, the first ones.

    Raises:
        DataError: for a layer that is no convolution of the network, or images that do not fit.
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
                f"{layer} is a {type(network.leaves[layer]).__name__}; filters are those of a "
                f"convolution. Known: {', '.join(convolutions)}."
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
    way = way_to(network, layer)
    largest, places = _largest(_of_largest(network, way), layer, images)
    first = np.argsort(-largest, axis=0, kind="stable")[:count]
    columns = network.shapes[layer][2]
    field_of = _Fields(way.values(), network.input_shape)

    def top_activation(index: int, channel: int) -> TopActivation:
        row, column = divmod(int(places[index, channel]), columns)
        top, left, bottom, right = box = field_of(row, column)
        patch = images[index, top:bottom, left:right].copy()
        return TopActivation(index, float(largest[index, channel]), row, column, box, patch)

    return tuple(
        tuple(top_activation(index, channel) for index in best)
        for channel, best in enumerate(first.T.tolist())
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
            map_ = outputs[rank].of(images[index])
            flat = map_.reshape(len(map_), -1)
            places[index] = flat.argmax(axis=1)
            largest[index] = flat.max(axis=1)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return largest, places


def way_to(network: Network, name: str) -> dict[str, Layer]:
    """The layers that an image passes one after another up to a layer, by full name."""
    return _way(network.layers, name, "")


def _way(layers: Mapping[str, Layer], name: str, prefix: str) -> dict[str, Layer]:
    before: dict[str, Layer] = {}
    for key, layer in layers.items():
        full = f"{prefix}{key}"
        if full == name:
            return before | {full: layer}
        children = layer.children()
        if children and name.startswith(f"{full}."):
            if isinstance(layer, Residual):  # its lanes do not feed each other
                lane = name.removeprefix(f"{full}.").partition(".")[0]
                children = {lane: children[lane]}
            return before | _way(children, name, f"{full}.")
        before[full] = layer
    raise unknown_layer(name, layers)


def _of_largest(network: Network, way: Mapping[str, Layer]) -> Network:
    """A network whose scores are the largest numbers of the channels at the end of a way."""
    last = list(way)[-1]
    ends = {f"{last}.largest": AdaptiveMaxPool2d(), f"{last}.flatten": Flatten()}
    layers: dict[str, Any] = {**way, **ends}
    shape, preprocessing = network.input_shape, network.preprocessing
    found = Network(input_shape=shape, preprocessing=preprocessing, **layers)
    state = network.state_dict()
    found.load_state_dict({name: state[name] for name in found.state_shapes})
    return found


# Receptive fields


def receptive_field(
    network: Network, layer: str, row: int, column: int
) -> tuple[int, int, int, int]:
    """The pixels that a number of a layer's map sees, as far as they lie in the image.

    Returns:
        (top, left, bottom, right), bottom and right being the first row and column behind; all 0
        for a number that sees nothing but padding.

    Raises:
        DataError: for a layer that there is not.
    """
    return _Fields(way_to(network, layer).values(), network.input_shape)(row, column)


def _taps(side: int, kernel: int, stride: int, before: int, dilation: int, at: int) -> range:
    """The rows or columns of an input's side that an output's row or column sees."""
    begin = at * stride - before
    skipped = -(-max(0, -begin) // dilation)
    end = min(side, begin + dilation * (kernel - 1) + 1)
    return range(begin + skipped * dilation, end, dilation)


class _Fields:
    """The receptive fields of the numbers at the end of layers in a row."""

    def __init__(self, layers: Iterable[Layer], shape: Shape) -> None:
        self._layers, self._shape = list(layers), shape
        self._known: dict[tuple[int, int], tuple[int, int, int, int]] = {}

    def __call__(self, row: int, column: int) -> tuple[int, int, int, int]:
        """As `receptive_field`."""
        if (row, column) not in self._known:
            seen = frozenset([row]), frozenset([column])
            rows, columns = _back(self._layers, self._shape, seen)
            box = (0, 0, 0, 0)
            if rows and columns:
                box = (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
            self._known[row, column] = box
        return self._known[row, column]


def _back(layers: Iterable[Layer], shape: Shape, seen: _Places) -> _Places:
    """What of an input of `shape` is seen through layers in a row."""
    given = []
    for layer in layers:
        given.append((layer, shape))
        shape = layer.output_shape(shape)
    for layer, shape in reversed(given):
        seen = _back_through(layer, shape, seen)
    return seen


def _back_through(layer: Layer, shape: Shape, seen: _Places) -> _Places:
    match layer:
        case Sequential():
            return _back(layer.children().values(), shape, seen)
        case Residual():
            through = _back_through(layer.body, shape, seen)
            around = seen
            if layer.shortcut is not None:
                around = _back_through(layer.shortcut, shape, seen)
            # A lane that sees no row sees nothing, whatever its columns.
            lanes = [lane for lane in (through, around) if all(lane)]
            rows, columns = (frozenset().union(*(lane[side] for lane in lanes)) for side in (0, 1))
            return rows, columns
        case AdaptiveAvgPool2d() | AdaptiveMaxPool2d():
            return frozenset(range(shape[1])), frozenset(range(shape[2]))
        case Conv2d() | MaxPool2d() | AvgPool2d():
            spread = layer.spread if isinstance(layer, Conv2d) else (1, 1)
            rows, columns = (
                frozenset(
                    tap
                    for at in seen[side]
                    for tap in _taps(
                        shape[1 + side],
                        layer.kernel[side],
                        layer.steps[side],
                        layer.before[side],
                        spread[side],
                        at,
                    )
                )
                for side in (0, 1)
            )
            return rows, columns
    return seen
