"""The images that activate a layer's channels most, packed for the page as one picture."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from neocog.data.images import Dataset
from neocog.errors import printable
from neocog.explanation.explanation import Explanation
from neocog.explanation.filters import TopActivation
from neocog.explanation.page.bounds import MOST_FILTER_WORK
from neocog.explanation.page.channels import shown_channels
from neocog.explanation.page.sprite import sprite_of
from neocog.layers import Conv2d, Shape
from neocog.summary import cost

__all__ = ["sample_size", "top_activation_sprites"]

# How many convolutions are looked at; all of a large network's would fill the page.
_LAYERS = 4
# The fewest images that are worth looking at.
_FEW = 40
# The most images that are looked through, and bytes that they may take.
_IMAGES, _BYTES = 2000, 2**26
# An image with a longer side is not shown as a whole, but its part around the receptive field, at
# least a quarter of its side.
_WHOLE, _PART = 64, 4
# Images in a row of the picture.
_COLUMNS = 16


def top_activation_sprites(
    explanation: Explanation,
    data: Dataset,
    *,
    images: int = _IMAGES,
    shown: Mapping[str, Sequence[int]] | None = None,
    work: int = MOST_FILTER_WORK,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """For some convolutions, the images of the data that activate each shown channel most.

    Args:
        explanation: of the network.
        data: images to look through.
        images: how many of them, the first ones. For a large network it is fewer, and layers for
            which it would be too few are left out.
        shown: the channels by layer; those of `shown_channels` for other layers.
        work: multiply-adds to spend on all layers together.
        progress: told how many of the layers are done, and how many there are.

    Returns:
        By the layer's name: ``src``, a picture of ``count`` images in ``columns``, each ``height``
        by ``width``; ``images``, how many were looked through; whether the picture has ``parts`` of
        them, as of large ones; and ``channels``, which lists for each channel the images in the
        picture (``n``), their ``index`` and ``name`` in the data, the channel's largest number
        (``value``) with its ``row`` and ``column``, and the ``box`` that it depends on, (top, left,
        bottom, right) in parts of the image in the picture.
    """
    network = explanation.network
    names = [name for name, layer in network.leaves.items() if isinstance(layer, Conv2d)]
    chosen = np.linspace(0, len(names) - 1, min(_LAYERS, len(names))).round().astype(int)
    spent, affordable = 0, {}
    for layer in cost(network).layers:
        spent += layer.multiply_adds
        affordable[layer.name] = min(images, len(data), work // _LAYERS // max(1, spent))
    looked_at = [
        name
        for name in (names[index] for index in dict.fromkeys(chosen))
        if affordable[name] >= min(images, len(data), _FEW)
    ]
    found = {}
    for done, name in enumerate(looked_at, 1):
        channels = (shown or {}).get(name) or shown_channels(explanation[name])
        found[name] = _pack_layer(explanation, name, data, affordable[name], channels)
        if progress is not None:
            progress("filters", done, len(looked_at))
    return found


def sample_size(input_shape: Shape) -> int:
    """How many images of data are worth giving, so that they do not fill the memory."""
    return max(_FEW, min(_IMAGES, _BYTES // prod(input_shape)))


def _pack_layer(
    explanation: Explanation, name: str, data: Dataset, images: int, channels: Sequence[int]
) -> dict[str, Any]:
    filters = explanation.filters(name, data, most=images)
    activations = {channel: filters.top_activations[channel] for channel in channels}
    views = {each: _view(each, data) for best in activations.values() for each in best}
    # The same view of an image is shown once.
    place = {view: n for n, view in enumerate(sorted(set(views.values())))}
    shown = [
        data.images[index, top:bottom, left:right] for index, top, left, bottom, right in place
    ]
    return {
        **sprite_of(shown, min(_COLUMNS, len(shown))),
        "count": len(shown),
        "images": images,
        "parts": max(data.images.shape[1:3]) > _WHOLE,
        "channels": {
            str(channel): [
                {
                    "n": place[views[each]],
                    "index": each.index,
                    "name": None if data.names is None else printable(str(data.names[each.index])),
                    "value": each.value,
                    "row": each.row,
                    "column": each.column,
                    "box": _within(each.box, views[each]),
                }
                for each in best
            ]
            for channel, best in activations.items()
        },
    }


#: An image's index, and (top, left, bottom, right) of the part of it that is shown.
_View = tuple[int, int, int, int, int]


def _view(found: TopActivation, data: Dataset) -> _View:
    """The whole image; of a large one a square around the box, as large as the box or larger."""
    height, width = data.images.shape[1:3]
    if max(height, width) <= _WHOLE:
        return found.index, 0, 0, height, width
    top, left, bottom, right = found.box
    least = min(height, width) // _PART
    side = min(max(bottom - top, right - left, least), height, width)
    first_row = min(max(0, (top + bottom - side) // 2), height - side)
    first_column = min(max(0, (left + right - side) // 2), width - side)
    return found.index, first_row, first_column, first_row + side, first_column + side


def _within(box: tuple[int, int, int, int], view: _View) -> list[float]:
    """A box in parts of the view: top, left, bottom, right."""
    _, top, left, bottom, right = view
    tall, wide = bottom - top, right - left
    parts = (box[0] - top) / tall, (box[1] - left) / wide, (box[2] - top) / tall
    return [min(1.0, max(0.0, part)) for part in (*parts, (box[3] - left) / wide)]
