"""The images that activate a layer's channels most, packed for the page as one picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neocog.data.images import Dataset
from neocog.explanation.explanation import Explanation
from neocog.explanation.page.channels import shown_channels
from neocog.explanation.page.sprite import sprite
from neocog.layers import Conv2d
from neocog.summary import cost

__all__ = ["top_activation_sprites"]

# How many convolutions are looked at; all of a large network's would fill the page.
_LAYERS = 4
# Multiply-adds to spend on one layer, and the fewest images that are worth looking at.
_BUDGET = 10_000_000_000
_FEW = 200
# Images in a row of the picture.
_COLUMNS = 16


def top_activation_sprites(
    explanation: Explanation,
    data: Dataset,
    *,
    images: int = 2000,
    shown: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """For some convolutions, the images of the data that activate each shown channel most.

    Args:
        explanation: of the network.
        data: images to look through.
        images: how many of them, the first ones. For a large network it is fewer, and layers for
            which it would be too few are left out.
        shown: the channels by layer; those of `shown_channels` for other layers.

    Returns:
        By the layer's name: ``png``, a picture of ``count`` images in ``columns``, each ``height``
        by ``width``; ``images``, how many were looked through; and ``channels``, which lists for
        each channel the images in the picture (``n``), their ``index`` in the data, the channel's
        largest number (``value``) with its ``row`` and ``column``, and the ``box`` of pixels that
        it depends on.
    """
    network = explanation.network
    names = [name for name, layer in network.leaves.items() if isinstance(layer, Conv2d)]
    chosen = np.linspace(0, len(names) - 1, min(_LAYERS, len(names))).round().astype(int)
    spent, affordable = 0, {}
    for layer in cost(network).layers:
        spent += layer.multiply_adds
        affordable[layer.name] = min(images, len(data), _BUDGET // max(1, spent))
    return {
        name: _pack_layer(
            explanation,
            name,
            data,
            affordable[name],
            (shown or {}).get(name) or shown_channels(explanation[name]),
        )
        for name in (names[index] for index in dict.fromkeys(chosen))
        if affordable[name] >= min(images, len(data), _FEW)
    }


def _pack_layer(
    explanation: Explanation, name: str, data: Dataset, images: int, channels: Sequence[int]
) -> dict[str, Any]:
    filters = explanation.filters(name, data, most=images)
    activations = {channel: filters.top_activations[channel] for channel in channels}
    used = sorted({each.index for best in activations.values() for each in best})
    place = {index: n for n, index in enumerate(used)}
    return {
        **sprite(data.images[used], min(_COLUMNS, len(used))),
        "count": len(used),
        "images": images,
        "channels": {
            str(channel): [
                {
                    "n": place[each.index],
                    "index": each.index,
                    "value": each.value,
                    "row": each.row,
                    "column": each.column,
                    "box": each.box,
                }
                for each in best
            ]
            for channel, best in activations.items()
        },
    }
