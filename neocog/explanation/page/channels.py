"""Which of a layer's channels the page shows."""

import numpy as np

from neocog.explanation.page.bounds import MOST_SHOWN
from neocog.explanation.trace import LayerExplanation

__all__ = ["shown_channels"]


def shown_channels(layer: LayerExplanation, most: int = MOST_SHOWN) -> list[int]:
    """The channels that matter most for the loss, the first of them first.

    Of the image all channels in their order; of a vector that is no map only the first number.
    """
    if layer.output.ndim != 3 or layer.type == "Image":
        return list(range(len(layer.output))) if layer.output.ndim == 3 else [0]
    best = np.argsort(-layer.importance(), kind="stable")
    return [int(channel) for channel in best[:most]]
