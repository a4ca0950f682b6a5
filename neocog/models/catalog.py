"""Networks by name, and the name of a network."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from math import ceil

from neocog.errors import ArchitectureError, did_you_mean
from neocog.layers import Shape
from neocog.models.airbench import airbench
from neocog.models.lenet import lenet5
from neocog.models.resnet import resnet8, resnet18, resnet20
from neocog.models.simple import simple_cnn
from neocog.models.vgg import vgg_small
from neocog.models.widths import STEP
from neocog.network import Network, check_network
from neocog.validation import instance, shown, whole

__all__ = ["MODELS", "REACHED", "make", "name_of", "recognize"]

#: The networks that the command line knows, by name.
MODELS: dict[str, Callable[..., Network]] = {
    "simple-cnn": simple_cnn,
    "lenet5": lenet5,
    "vgg-small": vgg_small,
    "resnet8": resnet8,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "airbench": airbench,
}

# Sides of images that weights are tried for, the usual ones first.
_SIDES = tuple(dict.fromkeys((32, 28, 64, 96, 128, 224, *range(8, 257))))

#: What each reaches: percent of CIFAR-10's test images, and the command that trained it so.
#: On a copy of the images that went through JPEG; docs/networks.md says more.
REACHED: dict[str, tuple[float, str]] = {
    "simple-cnn": (58.5, "neocog train cifar10"),
    "lenet5": (60.0, "neocog train cifar10 --model lenet5 --batch-size 64 --lr 0.02"),
    "vgg-small": (84.8, "neocog train cifar10 --recipe standard"),
    "resnet8": (79.8, "neocog train cifar10 --recipe standard --model resnet8"),
    "resnet20": (84.5, "neocog train cifar10 --recipe standard --model resnet20"),
    "resnet18": (82.5, "neocog train cifar10 --recipe standard --model resnet18 --epochs 3"),
    "airbench": (90.7, "neocog train cifar10 --recipe best"),
}


def make(
    name: str, classes: int = 10, *, width: float = 1.0, input_shape: Shape | None = None
) -> Network:
    """The network called `name`, with so many outputs; an unknown name says the near ones.

    Args:
        name: one of `MODELS`.
        classes: how many numbers it ends in.
        width: what its channels are multiplied by; they are then multiples of 8.
        input_shape: (channels, height, width) of an image; without it the model's own.

    Raises:
        ArchitectureError: if there is no such model, or the images are too small for it.
    """
    instance("The model's name", name, str, "a text", error=ArchitectureError)
    if name not in MODELS:
        hint = did_you_mean(name.replace("_", "-"), MODELS)
        raise ArchitectureError(
            f"No model is called {shown(name)}.{hint} Known: {', '.join(MODELS)}."
        )
    classes = whole("classes", classes, 1, error=ArchitectureError)
    shape = {} if input_shape is None else {"input_shape": input_shape}
    try:
        return MODELS[name](classes, width=width, **shape)
    except ArchitectureError as error:
        raise ArchitectureError(f"{name}: {error}") from None


def name_of(network: Network) -> str | None:
    """The name of the model that has this network's layers, for some width and its input shape."""
    outputs = check_network(network).output_shape[-1]
    found = recognize(network.state_shapes, outputs, network.input_shape)
    return found[0] if found and found[1].layers == network.layers else None


def recognize(
    shapes: Mapping[str, Shape],
    classes: int,
    input_shape: Shape | None = None,
    names: Iterable[str] = tuple(MODELS),
) -> tuple[str, Network] | None:
    """The first model whose parameters and buffers have these names and shapes, and its name.

    Every width is tried and, if no input shape is given, images of as many channels as the first
    weight has: of the model's own size, if that can be, or else the first square that can. Of the
    width nothing is known but that it gives these channels, and so `make` with another may be the
    same network.
    """
    for name in names:
        width = _width(name, shapes)
        if width is None:
            continue
        for images in [input_shape] if input_shape is not None else _images(name, shapes):
            try:
                network = make(name, classes, width=width, input_shape=images)
            except ArchitectureError:  # too small for it
                continue
            if network.state_shapes == shapes:
                return name, network
            if network.state_shapes.keys() != shapes.keys():
                break  # whatever the images
    return None


def _images(name: str, shapes: Mapping[str, Shape]) -> Iterator[Shape]:
    """Shapes of images that a model may be for: its own size, and then squares."""
    own = make(name, 1).input_shape
    channels = next((shape[1] for shape in shapes.values() if len(shape) == 4), own[0])
    yield channels, *own[1:]
    for side in _SIDES:
        yield channels, side, side


def _width(name: str, shapes: Mapping[str, Shape]) -> float | None:
    """A width that gives each layer that has one the outputs it has in `shapes`; None if none does.

    Rounded to a multiple n of 8, c channels come from all widths w with n − 4 ≤ c · w < n + 4.
    """
    published = _outputs(name)
    if not published.keys() <= shapes.keys() or any(not shapes[key] for key in published):
        return None
    if all(shapes[key][0] == channels for key, channels in published.items()):
        return 1.0
    low: float = 0.0
    high: float = float("inf")
    for key, channels in published.items():
        found = shapes[key][0]
        if found > STEP:
            low = max(low, (found - STEP / 2) / channels)
        high = min(high, (found + STEP / 2) / channels)
    for digits in range(7):  # the roundest
        width: float = ceil(low * 10**digits) / 10**digits
        if 0 < width < high and width != 1:
            return width
    return (low + high) / 2 if low < high else None


@cache
def _outputs(name: str) -> dict[str, int]:
    """The outputs of each weight that the width changes, by the weight's name, for the width 1."""
    narrow, wide = make(name, 1).parameter_shapes, make(name, 1, width=64).parameter_shapes
    return {
        key: shape[0]
        for key, shape in narrow.items()
        if key.endswith(".weight") and wide[key][0] != shape[0]
    }
