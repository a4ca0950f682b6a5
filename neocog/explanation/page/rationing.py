"""Which channels' maps a page has, where all of them would be too many numbers.

Every layer gets one channel first, the smallest maps before larger ones. Then the layer with the
fewest numbers gets the next, until nothing more fits. So a layer of small maps has many channels,
and one of large maps a few.

The channels of a layer are those that matter most for the loss. But a layer whose channels are
those of its input, such as batch normalization, is shown with its input's maps, so both have the
same channels: the choice is made for the last layer of such a chain.
"""

import heapq
from collections.abc import Container, Mapping, Sequence
from itertools import islice

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.bounds import MOST_SHOWN
from neocog.explanation.page.channels import shown_channels
from neocog.explanation.page.layer_parts import weight_of
from neocog.explanation.page.views import view_of
from neocog.explanation.trace import LayerExplanation

__all__ = ["is_whole", "keeps_channels", "origins", "ration"]

# Kinds of views in which a channel is shown with the same channel of each input.
_KEEPING = frozenset(
    ["activation", "pooling", "copies", "normalization", "sum", "product", "flatten"]
)


def is_whole(layer: LayerExplanation) -> bool:
    """Whether a page has all numbers of a layer in any case: of the image, and of vectors."""
    return layer.type == "Image" or layer.output.ndim != 3 or layer.output[0].size == 1


def ration(
    explanation: Explanation,
    room: int,
    shown: Mapping[str, Sequence[int]],
    complete: Container[str] = (),
) -> dict[str, list[int]]:
    """The channels of each layer whose outputs and gradients fit, those that matter most first.

    Args:
        explanation: of the network.
        room: how many numbers fit, besides those of layers that are whole.
        shown: by layer, the channels to prefer; those that matter most for other layers.
        complete: layers whose outputs the page has anyway.
    """
    layers = {name: one for name, one in explanation.layers.items() if not is_whole(one)}
    order = _orders(explanation, layers, shown)
    chosen: dict[str, list[int]] = {name: [] for name in layers}

    def take(name: str) -> bool:
        nonlocal room
        size = layers[name].output[0].size * (1 if name in complete else 2)
        size += _kernel(layers[name], first=not chosen[name])
        if len(chosen[name]) == min(MOST_SHOWN, len(order[name])) or size > room:
            return False
        chosen[name].append(order[name][len(chosen[name])])
        room -= size
        return True

    for name in sorted(layers, key=lambda name: layers[name].output[0].size):
        take(name)
    numbers = {name: layers[name].output[0].size for name in layers}
    heap = [(2 * size, place, name) for place, (name, size) in enumerate(numbers.items())]
    heapq.heapify(heap)
    while heap:
        used, place, name = heapq.heappop(heap)
        if take(name):
            heapq.heappush(heap, (used + numbers[name], place, name))
    for name, layer in layers.items():  # as many as fit, but those that are there of its inputs
        there = (c for c in order[name] if _is_there(layer, explanation, c, chosen))
        chosen[name] = list(islice(there, len(chosen[name])))
    return chosen


def _is_there(
    layer: LayerExplanation,
    explanation: Explanation,
    channel: int,
    chosen: Mapping[str, Sequence[int]],
) -> bool:
    """Whether the channels that this one is shown with are chosen, too."""
    needed = origins(layer, explanation, [channel])
    return all(c in chosen.get(source, (c,)) for source, some in needed.items() for c in some)


def _orders(
    explanation: Explanation,
    layers: Mapping[str, LayerExplanation],
    shown: Mapping[str, Sequence[int]],
) -> dict[str, list[int]]:
    """The channels of each layer in the order in which they are taken."""
    wanted: dict[str, list[int]] = {}
    order: dict[str, list[int]] = {}
    for name in reversed(list(layers)):
        layer = layers[name]
        first = [*(shown.get(name) or ()), *wanted.get(name, ())]
        own = shown_channels(layer, len(layer.output))
        order[name] = list(dict.fromkeys([*first, *own]))
        for source, channels in origins(layer, explanation, order[name]).items():
            wanted.setdefault(source, channels)
    return order


def _kernel(layer: LayerExplanation, first: bool) -> int:
    """How many numbers come with a channel besides its map: its kernel's, and their gradients."""
    weight = weight_of(layer)
    return 0 if weight is None else weight[0].size * (2 if first else 1)


def keeps_channels(layer: LayerExplanation) -> bool:
    """Whether a layer's channel is shown with the same channel of each layer that it reads."""
    return view_of(layer).kind in _KEEPING


def origins(
    layer: LayerExplanation, explanation: Explanation, channels: Sequence[int]
) -> dict[str, list[int]]:
    """Of each layer that it reads, the channels that are shown with these of its own."""
    view = view_of(layer)
    if view.kind in _KEEPING:
        return {source: list(channels) for source in layer.reads}
    if view.kind != "channelCopies":
        return {}
    if (copied := view.options(layer)["channels"]) is not None:
        return {layer.reads[0]: [copied[channel] for channel in channels]}
    found, begin = {}, 0
    for source in layer.reads:
        end = begin + len(explanation[source].output)
        found[source] = [channel - begin for channel in channels if begin <= channel < end]
        begin = end
    return found
