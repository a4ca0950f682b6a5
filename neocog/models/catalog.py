"""The catalog of built-in networks, and recognizing them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from math import ceil

from neocog.errors import ArchitectureError, did_you_mean
from neocog.layers import Shape
from neocog.models.airbench import airbench
from neocog.models.convnext import convnext_atto
from neocog.models.densenet import densenet121
from neocog.models.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from neocog.models.lenet import lenet5
from neocog.models.mobilenet_v2 import mobilenet_v2
from neocog.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from neocog.models.resnet import resnet8, resnet18, resnet20
from neocog.models.resnet_224 import resnet18_224, resnet34_224, resnet50_224
from neocog.models.simple import simple_cnn
from neocog.models.squeezenet import squeezenet1_1
from neocog.models.vgg import vgg_small
from neocog.models.vgg11 import vgg11_bn
from neocog.models.widths import STEP
from neocog.network import Network, check_network
from neocog.validation import instance, shown, whole

__all__ = ["MODELS", "PHOTOGRAPHS", "REACHED", "SMALL_IMAGES", "make", "name_of", "recognize"]

#: The built-in networks for small images, by name.
SMALL_IMAGES: dict[str, Callable[..., Network]] = {
    "simple-cnn": simple_cnn,
    "lenet5": lenet5,
    "vgg-small": vgg_small,
    "resnet8": resnet8,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "airbench": airbench,
}
#: Those for photographs; weights of others can be loaded into them (`neocog.load_pretrained`).
PHOTOGRAPHS: dict[str, Callable[..., Network]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite1": efficientnet_lite1,
    "efficientnet-lite2": efficientnet_lite2,
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3-small": mobilenet_v3_small,
    "mobilenet-v3-large": mobilenet_v3_large,
    "resnet18-224": resnet18_224,
    "resnet34-224": resnet34_224,
    "resnet50-224": resnet50_224,
    "squeezenet1-1": squeezenet1_1,
    "vgg11-bn": vgg11_bn,
    "densenet121": densenet121,
    "convnext-atto": convnext_atto,
}
#: All built-in networks by name.
MODELS: dict[str, Callable[..., Network]] = SMALL_IMAGES | PHOTOGRAPHS

# Sides of images that are tried for weights, common ones first.
_SIDES = tuple(dict.fromkeys((32, 28, 64, 96, 128, 224, *range(8, 257))))

#: Accuracy on CIFAR-10's test images in percent, and the command that reaches it. Measured on a
#: copy of the images that went through JPEG; docs/networks.md says more.
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
    """Make a built-in network; for an unknown name the message has the nearest ones.

    Args:
        name: one of `MODELS`.
        classes: number of outputs.
        width: factor for the numbers of channels, which are then multiples of 8.
        input_shape: (channels, height, width) of an image; by default the model's own.

    Raises:
        ArchitectureError: there is no such model, or the images are too small for it.
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
    """The name of the model with this network's layers, at some width and with its input shape."""
    outputs = check_network(network).output_shape[-1]
    found = recognize(network.state_shapes, outputs, network.input_shape)
    return found[0] if found and found[1].layers == network.layers else None


def recognize(
    shapes: Mapping[str, Shape],
    classes: int,
    input_shape: Shape | None = None,
    names: Iterable[str] = tuple(MODELS),
) -> tuple[str, Network] | None:
    """The first model whose parameters and buffers have these names and shapes, with its name.

    Every width is tried. If no input shape is given, image sizes are tried with the channels of the
    first weight: the model's own size if it fits, or else the first square that does. The width
    returned is one that gives these channels; other widths may give the same network.
    """
    for name in names:
        width = _width(name, shapes)
        if width is None:
            continue
        for images in [input_shape] if input_shape is not None else _images(name, shapes):
            try:
                network = make(name, classes, width=width, input_shape=images)
            except ArchitectureError:  # the image is too small for it
                continue
            if network.state_shapes == shapes:
                return name, network
            if network.state_shapes.keys() != shapes.keys():
                break  # the image size makes no difference
    return None


def _images(name: str, shapes: Mapping[str, Shape]) -> Iterator[Shape]:
    """Image shapes to try for a model: its own, and then squares."""
    own = make(name, 1).input_shape
    channels = next((shape[1] for shape in shapes.values() if len(shape) == 4), own[0])
    yield channels, *own[1:]
    for side in _SIDES:
        yield channels, side, side


def _width(name: str, shapes: Mapping[str, Shape]) -> float | None:
    """A width for which all layers have the output channels in `shapes`; None if there is none.

    Since channels are rounded to multiples n of 8, all w with n − 4 ≤ c · w < n + 4 give n.
    """
    if not _parameters(name).keys() <= shapes.keys():
        return None
    published = _outputs(name)
    if any(not shapes[key] for key in published):
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
    for digits in range(7):  # prefer round widths
        width: float = ceil(low * 10**digits) / 10**digits
        if 0 < width < high and width != 1:
            return width
    return (low + high) / 2 if low < high else None


@cache
def _parameters(name: str) -> Mapping[str, Shape]:
    """The shapes of a model's parameters at width 1, for one class."""
    return make(name, 1).parameter_shapes


@cache
def _outputs(name: str) -> dict[str, int]:
    """The output channels at width 1 of each weight that depends on the width, by its name."""
    narrow, wide = _parameters(name), make(name, 1, width=64).parameter_shapes
    return {
        key: shape[0]
        for key, shape in narrow.items()
        if key.endswith(".weight") and wide[key][0] != shape[0]
    }
