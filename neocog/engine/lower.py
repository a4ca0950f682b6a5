"""From a network's layers to stages: which layers run as one, and how their maps lie in memory.

A convolution takes in the pooling and the ReLU behind it, a linear layer its ReLU. ReLU is taken
in where a convolution or a linear layer follows, because their input gradient can apply it.
"""

from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.kernels.layout import FeatureMap
from neocog.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU
from neocog.network import Network

__all__ = ["Stage", "lower"]


@dataclass(frozen=True)
class Stage:
    """Layers that run as one.

    Attributes:
        name: the first layer's name; its parameters are ``name.weight`` and ``name.bias``.
        layer: the first layer.
        pool: whether max pooling is taken in.
        relu: whether ReLU is taken in.
        x: the input map, with the border the layer wants.
        y: the output map, with the border the next stage wants.
        dy: the map of the gradient at the output, with the border this stage's own input
            gradient wants; of the pooled map, where `pool` is set.
        learns: whether this stage or one before it has parameters, so that its input gradient
            or its weights' must be computed.
        passes: whether a stage before it learns, so that its input gradient is wanted.
    """

    name: str
    layer: Layer
    pool: bool
    relu: bool
    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    learns: bool
    passes: bool

    @property
    def spread(self) -> FeatureMap:
        """Of a convolution: the map of the gradient before pooling, with the wanted border."""
        assert isinstance(self.layer, Conv2d)  # noqa: S101
        h, w = _convolved(self.layer, self.x)
        return FeatureMap(h, w, self.y.channels, *_gradient_border(self.layer))

    @property
    def crop(self) -> tuple[int, int]:
        """Of a convolution: rows and columns of `spread` that its input gradient leaves out."""
        assert isinstance(self.layer, Conv2d)  # noqa: S101
        (kh, kw), (ph, pw) = self.layer.kernel, self.layer.before
        return max(0, ph - kh + 1), max(0, pw - kw + 1)


def _convolved(layer: Conv2d, x: FeatureMap) -> tuple[int, int]:
    (kh, kw), (ph, pw) = layer.kernel, layer.before
    return x.height + 2 * ph - kh + 1, x.width + 2 * pw - kw + 1


def _gradient_border(layer: Conv2d) -> tuple[int, int]:
    (kh, kw), (ph, pw) = layer.kernel, layer.before
    return max(0, kh - 1 - ph), max(0, kw - 1 - pw)


def _group(network: Network) -> list[tuple[str, Layer, bool, bool]]:
    """Which layers run as one: (name, first layer, pool taken in, ReLU taken in)."""
    # Flatten moves nothing: a map without a border lies in memory as its vector does.
    layers = [(n, layer) for n, layer in network if not isinstance(layer, Flatten)]
    groups = []
    at = 0
    while at < len(layers):
        name, layer = layers[at]
        at += 1
        pool = relu = False
        if isinstance(layer, Conv2d | Linear):
            while at < len(layers):
                follower = layers[at][1]
                after = layers[at + 1][1] if at + 1 < len(layers) else None
                if isinstance(follower, MaxPool2d) and isinstance(layer, Conv2d) and not pool:
                    pool = True
                elif (
                    isinstance(follower, ReLU)
                    and not relu
                    and _gates(after, layer, pool, layers[at + 2 :])
                ):
                    relu = True
                else:
                    break
                at += 1
        groups.append((name, layer, pool, relu))
    return groups


def _gates(after: Layer | None, layer: Layer, pooled: bool, later: list[tuple[str, Layer]]) -> bool:
    """Whether the layer after a ReLU, or after its pooling, applies it on the way back."""
    if isinstance(after, MaxPool2d) and isinstance(layer, Conv2d) and not pooled:
        after = later[0][1] if later else None
    return isinstance(after, Conv2d | Linear)


def lower(network: Network) -> list[Stage]:
    """The stages of a network, first to last.

    Raises:
        ArchitectureError: if the network does not end in one number a class.
    """
    if len(network.output_shape) != 1:
        raise ArchitectureError(
            f"The network ends in the shape {network.output_shape}; it must end in one number a "
            "class: add Flatten() and Linear(…) at the end."
        )
    groups = _group(network)
    channels, height, width = network.input_shape
    size = FeatureMap(height, width, channels, dense=True)
    stages: list[Stage] = []
    learning = False
    for at, (name, layer, pool, relu) in enumerate(groups):
        x = size
        if isinstance(layer, Conv2d):
            x = FeatureMap(size.height, size.width, size.channels, *layer.before, size.dense)
            h, w = _convolved(layer, x)
            size = FeatureMap(*((h // 2, w // 2) if pool else (h, w)), layer.out_channels)
        elif isinstance(layer, MaxPool2d):
            size = FeatureMap(x.height // 2, x.width // 2, x.channels, dense=x.dense)
        elif isinstance(layer, Linear):
            size = FeatureMap(1, 1, layer.out_features)
        follower = groups[at + 1][1] if at + 1 < len(groups) else None
        border = follower.before if isinstance(follower, Conv2d) else (0, 0)
        y = FeatureMap(size.height, size.width, size.channels, *border, size.dense)
        passes = learning
        learning = learning or bool(layer.parameter_shapes())
        inner = (
            _gradient_border(layer) if isinstance(layer, Conv2d) and passes and not pool else (0, 0)
        )
        dy = FeatureMap(size.height, size.width, size.channels, *inner, size.dense)
        stages.append(Stage(name, layer, pool, relu, x, y, dy, learning, passes))
    if not learning:
        raise ArchitectureError("The network has no layer that learns.")
    last = stages[-1].y
    if (last.height, last.width) != (1, 1):
        raise ArchitectureError(
            f"The network ends in a flattened map of {last.height} × {last.width} pixels; it must "
            "end in one number a class: add Linear(…) at the end."
        )
    return stages
