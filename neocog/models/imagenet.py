"""How ImageNet's photographs become inputs of the networks that were trained on them."""

from neocog.layers import Shape
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["for_channels", "imagenet_preprocessing"]

# Of ImageNet's pixels, channel by channel.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The middle 224 of 256 pixels, as in most evaluations on ImageNet.
_KEEP = 0.875


def imagenet_preprocessing(
    input_shape: Shape, interpolation: str = "bilinear"
) -> Preprocessing | None:
    """What torchvision's and timm's weights want; None unless images have three channels.

    The shorter side is resized and the middle cropped, and ImageNet's mean and standard deviation
    become 0 and 1.
    """
    return for_channels(
        input_shape, Preprocessing(_MEAN, _STD, Resize("crop", interpolation, _KEEP))
    )


def for_channels(input_shape: Shape, preprocessing: Preprocessing) -> Preprocessing | None:
    """The preprocessing if it is for images of so many channels; else None, the default."""
    return preprocessing if input_shape[0] == len(preprocessing.mean) else None
