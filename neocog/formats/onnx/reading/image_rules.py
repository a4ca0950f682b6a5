"""What a graph computes of the image before any layer: its preprocessing.

x = scale · input + shift for each channel, of bytes in the order of pixels, as neocog writes it, or
of floats.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.formats.onnx.reading.call import Call
from neocog.formats.onnx.reading.signals import PIXELS, PLAIN, Picture

__all__ = ["of_image"]

_ORDERS: dict[tuple[str, Any], str] = {(PLAIN, (0, 2, 3, 1)): PIXELS, (PIXELS, (0, 3, 1, 2)): PLAIN}
_FLOAT = 1


def of_image(call: Call, values: list[Any]) -> Picture | None:
    """The image after an operator of it and of constants; None for any other operator."""
    operator, given = call.operation.operator, call.operation.attributes
    pictures = [one for one in values if isinstance(one, Picture)]
    if len(pictures) != 1:
        return None
    (picture,) = pictures
    if operator == "Transpose":
        order = _ORDERS.get((picture.order, given.get("perm")))
        return None if order is None else replace(picture, order=order)
    if operator == "Identity":
        return picture
    if operator == "Cast" and given.get("to") == _FLOAT:
        return replace(picture, floats=True)
    if not picture.floats or operator not in ("Add", "Sub", "Mul", "Div") or len(values) != 2:
        return None
    other = values[1] if values[0] is picture else values[0]
    row = _of_channels(picture, other)
    if row is None or (values[0] is not picture and operator == "Div"):
        return None
    scale, shift = picture.scale, picture.shift
    if operator == "Sub" and values[0] is not picture:
        return replace(picture, scale=-scale, shift=row - shift)
    with np.errstate(all="ignore"):
        if operator in ("Add", "Sub"):
            shift = shift + row if operator == "Add" else shift - row
        else:
            factor = row if operator == "Mul" else 1 / row
            scale, shift = scale * factor, shift * factor
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        raise call.refused("the image is scaled by no finite number")
    return replace(picture, scale=scale, shift=shift)


def _of_channels(picture: Picture, array: Any) -> NDArray[Any] | None:
    """A constant as one number for each channel; None if it is none."""
    size = picture.shape[0]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim > 4:
        return None
    wanted = [1] * 4
    wanted[1 if picture.order == PLAIN else 3] = size
    shape = [1] * (4 - array.ndim) + list(array.shape)
    if array.size == 1:
        return np.full(size, float(array.reshape(-1)[0]))
    return array.reshape(-1).astype(np.float64) if shape == wanted else None
