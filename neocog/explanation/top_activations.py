"""The images that excite a layer's kernels, side by side in one picture for the page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neocog.data.images import Dataset
from neocog.explanation.explanation import Explanation
from neocog.explanation.payload import shown_channels
from neocog.explanation.sprite import sprite
from neocog.layers import Conv2d
from neocog.summary import cost

__all__ = ["top_activation_sprites"]

# Layers that get one: all of a large network's would fill the page.
_LAYERS = 4
# Multiply-adds that are spent on a layer, and images that are too few to tell.
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
    """For some convolutions the images of the data that excite each shown channel most.

    By the layer's name: the picture ``png`` of ``count`` images in ``columns``, each ``height`` by
    ``width``, and by channel which of them they are (``n``), with the channel's largest number and
    the box of pixels that this number sees. `images` of the data are looked at, the first ones, or
    fewer where a network is large; layers that only a few could be tried on are left out. `shown`
    says which channels, by layer, where it is not `shown_channels` that does.
    """
    network = explanation.network
    names = [name for name, layer in network.leaves.items() if isinstance(layer, Conv2d)]
    steps = np.linspace(0, len(names) - 1, min(_LAYERS, len(names))).round().astype(int)
    spent, tried = 0, {}
    for layer in cost(network).layers:
        spent += layer.multiply_adds
        tried[layer.name] = min(images, len(data), _BUDGET // max(1, spent))
    return {
        name: _layer_sprite(
            explanation,
            name,
            data,
            tried[name],
            (shown or {}).get(name) or shown_channels(explanation[name]),
        )
        for name in (names[step] for step in dict.fromkeys(steps))
        if tried[name] >= min(images, len(data), _FEW)
    }


def _layer_sprite(
    explanation: Explanation, name: str, data: Dataset, images: int, channels: Sequence[int]
) -> dict[str, Any]:
    found = explanation.filters(name, data, most=images)
    shown = {channel: found.top_activations[channel] for channel in channels}
    used = sorted({one.index for top_activations in shown.values() for one in top_activations})
    place = {index: n for n, index in enumerate(used)}
    return {
        **sprite(data.images[used], min(_COLUMNS, len(used))),
        "count": len(used),
        "images": images,
        "channels": {
            str(channel): [
                {
                    "n": place[one.index],
                    "index": one.index,
                    "value": one.value,
                    "row": one.row,
                    "column": one.column,
                    "box": one.box,
                }
                for one in top_activations
            ]
            for channel, top_activations in shown.items()
        },
    }
