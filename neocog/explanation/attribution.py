"""Which parts of an image speak for a class, a label or a number, by three methods.

    Grad-CAM           ReLU(Σ_k α_k A_k),  α_k = mean over places of ∂z/∂A_k
    gradient × input   Σ_c x_c · ∂z/∂x_c
    occlusion          how far the probability falls when a square of the image is covered

z is the class's or label's score, A a layer's maps, x the network's input. Of a network that gives
numbers z is the number, and takes the place of the probability. R. R. Selvaraju et al., "Grad-CAM"
(2017); A. Shrikumar et al., "Not just a black box" (2016); M. D. Zeiler and R. Fergus, "Visualizing
and understanding convolutional networks" (2014).

Each map comes with its deletion and insertion curves (`faithfulness`); `chance` is a map of random
numbers to compare them with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
from neocog.engine.trainer import Trainer
from neocog.errors import DataError
from neocog.explanation.effort import effort_for
from neocog.explanation.faithfulness import area_under, cover_color, faithfulness
from neocog.explanation.layer_names import unknown_layer
from neocog.explanation.rendering import render_figure
from neocog.losses import gives_numbers
from neocog.network import Network
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings
from neocog.validation import as_whole, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Attribution",
    "chance",
    "chosen_layer",
    "grad_cam",
    "gradient_times_input",
    "occlusion",
    "score_maps",
]

# Bytes of covered images that are predicted together.
_AT_ONCE = 4_000_000

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Attribution:
    """The map of one method.

    Attributes:
        method: the name of the method.
        layer: the layer that it looks at; "image" for the image itself.
        class_name: the class, label or number, by its name; by its place if it has none.
        map: float32 [height, width] of the image; positive values speak for the class.
        deleted: the class's probability while the highest 0 %, 5 %, … 100 % of the pixels are
            covered, float32 [21]; for a large network in steps of 10 %, [11], or 20 %, [6].
        inserted: its probability while the same pixels are uncovered on a covered image.
        weights: α of Grad-CAM, float32 [channels of the layer]; None for other methods.
        small: the map of Grad-CAM in the layer's own size, float32; None for other methods.
        of_number: whether `deleted` and `inserted` are of a number, and not of a probability, whose
            areas go from 0 to 1.
    """

    method: str
    layer: str
    class_name: str
    map: Floats
    deleted: Floats
    inserted: Floats
    weights: Floats | None = None
    small: Floats | None = None
    of_number: bool = False

    def __repr__(self) -> str:
        return (
            f"<Attribution by {self.method} of {self.layer} for {self.class_name!r}: "
            f"map {list(self.map.shape)}, deletion={self.deletion:.4f}, "
            f"insertion={self.insertion:.4f}>"
        )

    @property
    def deletion(self) -> float:
        """The area under `deleted`, by trapezoids: low for a good map."""
        return area_under(self.deleted)

    @property
    def insertion(self) -> float:
        """The area under `inserted`, by trapezoids: high for a good map."""
        return area_under(self.inserted)

    def figure(self, image: Images, chance: "Attribution | None" = None) -> "Figure":
        """Draw the map over its image, and both curves; needs matplotlib.

        Args:
            image: that the map was made for.
            chance: `Explanation.chance`, whose curves are drawn too; None to leave them out.
        """
        return render_figure(self, image, chance)


def score_maps(network: Network, image: Images, label: int) -> dict[str, dict[str, Floats]]:
    """`Trainer.maps` of one image, with gradients of the label's score instead of the loss.

    Here the ``output`` and ``output_gradient`` of a vector are [n, 1, 1], also behind Flatten.
    """
    trainer = Trainer(
        network.graph,
        network.state_dict(),
        network.preprocessing,
        image[None],
        np.array([label]),
        TrainingSettings(batch_size=1, optimizer=SGD(1e-3), threads=1),
        unfused=True,
        of_score=True,
    )
    trainer.run(np.zeros(1, np.int64))
    maps = trainer.maps()
    for name, of_layer in maps.items():
        if len(network.shapes.get(name, network.input_shape)) == 1:
            for word in ("output", "output_gradient"):
                of_layer[word] = of_layer[word].reshape(-1, 1, 1)
    return maps


def chosen_layer(maps: Mapping[str, Mapping[str, Floats]]) -> str:
    """The layer that Grad-CAM looks at by default: the last whose map is at least 4 × 4.

    Without one, the last whose map is at least 2 × 2, or the last of all.
    """
    spatial = _spatial(maps)
    large = [name for name in spatial if min(maps[name]["output"].shape[1:]) >= 4]
    return (large or spatial or list(maps))[-1]


def _spatial(maps: Mapping[str, Mapping[str, Floats]]) -> list[str]:
    """The layers whose maps are at least 2 × 2."""
    return [name for name, of_layer in maps.items() if min(of_layer["output"].shape[1:]) >= 2]


def grad_cam(
    network: Network,
    image: Images,
    label: int,
    maps: Mapping[str, Mapping[str, Floats]],
    layer: str | None = None,
) -> Attribution:
    """Grad-CAM of a layer, scaled up to the image's size.

    Args:
        network: that the maps are of.
        image: uint8 [height, width, channels].
        label: the number of the class.
        maps: those of `score_maps`.
        layer: its full name; None for `chosen_layer`.

    Raises:
        DataError: there is no such layer, or it gives one number a channel.
    """
    layer = chosen_layer(maps) if layer is None else layer
    if not isinstance(layer, str) or layer not in maps:
        raise unknown_layer(layer, maps)
    output, slope = maps[layer]["output"], maps[layer]["output_gradient"]
    if output[0].size == 1:
        raise DataError(
            f"{layer} gives one number a channel, which has no place in the image. Grad-CAM can "
            f"look at: {', '.join(_spatial(maps))}."
        )
    weights = slope.mean(axis=(1, 2))
    small = np.maximum(np.tensordot(weights, output, 1), 0).astype(np.float32)
    scaled = _scaled(small, image.shape[:2])
    return _with_curves("Grad-CAM", layer, network, image, label, scaled, weights, small)


def gradient_times_input(
    network: Network, image: Images, label: int, maps: Mapping[str, Mapping[str, Floats]]
) -> Attribution:
    """Every pixel's value times the score's gradient for it; `maps` are those of `score_maps`."""
    of_image = maps["image"]
    product = (of_image["output"] * of_image["output_gradient"]).sum(axis=0)
    return _with_curves("gradient × input", "image", network, image, label, product)


def occlusion(
    network: Network,
    image: Images,
    label: int,
    size: int | None = None,
    stride: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """How far the probability falls when a pixel is covered, as the mean over squares.

    Args:
        network: that predicts.
        image: uint8 [height, width, channels].
        label: the number of the class.
        size: the side of a square in pixels; None for a quarter of the image's shorter side.
        stride: pixels from one square to the next; None for a quarter of `size`. For a network of
            more than 100 million multiply-adds it is half of it, rounded up, which takes some
            fifty predictions; of more than 2 billion three quarters, which take half as many.
        progress: told how many of the covered images are predicted, and how many there are.

    Raises:
        DataError: the size or the stride is below 1, or the stride larger than the size.
    """
    height, width = image.shape[:2]
    if size is None:
        size = max(1, min(height, width) // 4)
    if stride is None:
        apart = effort_for(network).apart
        stride = max(1, size // 4) if apart == 1 else -(-apart * size // 4)
    pixels, step = as_whole(size), as_whole(stride)
    if pixels is None or step is None or not 1 <= step <= pixels:
        raise DataError(
            f"size (={shown(size)}) must be at least 1, and stride (={shown(stride)}) from 1 to "
            "size: a larger one would leave out the pixels between the squares."
        )
    size, stride = min(pixels, max(height, width)), step
    tops, lefts = (_starts(side, size, stride) for side in (height, width))
    color = cover_color(network)
    places = [(top, left) for top in tops for left in lefts]
    uncovered = network.predict_proba(image[None])[0, label]
    total, times = np.zeros((2, height, width))
    at_once = max(1, _AT_ONCE // image.size)
    for first in range(0, len(places), at_once):
        some = places[first : first + at_once]
        covered = np.repeat(image[None], len(some), axis=0)
        for copy, (top, left) in zip(covered, some, strict=True):
            copy[top : top + size, left : left + size] = color
        falls = uncovered - network.predict_proba(covered)[:, label]
        for fall, (top, left) in zip(falls, some, strict=True):
            total[top : top + size, left : left + size] += fall
            times[top : top + size, left : left + size] += 1
        if progress is not None:
            progress(first + len(some), len(places))
    mean = (total / times).astype(np.float32)
    return _with_curves("occlusion", "image", network, image, label, mean)


def chance(network: Network, image: Images, label: int) -> Attribution:
    """A map of random numbers, the same in every call, as a baseline for the curves."""
    noise = np.random.default_rng(0).random(image.shape[:2], np.float32)
    return _with_curves("chance", "image", network, image, label, noise)


def _with_curves(
    method: str,
    layer: str,
    network: Network,
    image: Images,
    label: int,
    values: Floats,
    weights: Floats | None = None,
    small: Floats | None = None,
) -> Attribution:
    """The attribution that has this map, with its curves."""
    name = class_labels(network)[label]
    deleted, inserted = faithfulness(network, image, label, values)
    of_number = gives_numbers(network.loss)
    return Attribution(method, layer, name, values, deleted, inserted, weights, small, of_number)


def _starts(side: int, size: int, stride: int) -> list[int]:
    """Where squares start along a side; the last one ends with it."""
    return sorted({*range(0, side - size, stride), max(0, side - size)})


def _scaled(small: Floats, size: tuple[int, ...]) -> Floats:
    """The map scaled up bilinearly, as PyTorch does with ``align_corners=False``."""
    for axis, length in enumerate(size):
        have = small.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * have / length - 0.5, 0, have - 1)
        low = np.minimum(at.astype(int), have - 2) if have > 1 else np.zeros(length, int)
        part = np.expand_dims(at - low, 1 - axis)
        below, above = small.take(low, axis), small.take(np.minimum(low + 1, have - 1), axis)
        small = (below * (1 - part) + above * part).astype(np.float32)
    return small
