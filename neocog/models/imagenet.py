"""How ImageNet's photographs become inputs of the networks that were trained on them."""

from neocog.layers import Shape
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["CROP", "for_channels", "torchvision_preprocessing"]

#: The middle 224 of 256 pixels, as in most evaluations on ImageNet.
CROP = 0.875


def torchvision_preprocessing(input_shape: Shape) -> Preprocessing | None:
    """The preprocessing of torchvision's first weights; None unless images have three channels.

    Mean and standard deviation of ImageNet's pixels, channel by channel; the shorter side is
    resized bilinearly and the middle cropped.
    """
    return for_channels(
        input_shape,
        Preprocessing(
            (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), Resize("crop", "bilinear", CROP)
        ),
    )


def for_channels(input_shape: Shape, preprocessing: Preprocessing) -> Preprocessing | None:
    """The preprocessing if it is for images of so many channels; else None, the default."""
    return preprocessing if input_shape[0] == len(preprocessing.mean) else None
