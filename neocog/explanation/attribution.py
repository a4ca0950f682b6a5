"""Where in the image a network finds what speaks for a class, by three methods, and how well.

    Grad-CAM           ReLU(Σ_k α_k A_k),  α_k = mean over places of ∂z/∂A_k
    gradient × input   Σ_c x_c · ∂z/∂x_c
    occlusion          how much the probability falls when a square of the image is covered

z is the class's score. R. R. Selvaraju et al., "Grad-CAM" (2017); A. Shrikumar et al., "Not just a
black box" (2016); M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional
networks" (2014).

A map is right about a network if what it points at matters to the network. Deletion covers the
pixels that it ranks highest first and looks how the probability falls; insertion uncovers them on
a covered image (V. Petsiuk et al., "RISE", 2018). Both are the area under the probability over the
part of the pixels, from 0 to 1, by trapezoids: a good map has a low deletion and a high insertion.
What is low and high depends on network and image; `chance` says what a map without meaning gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.engine.trainer import Trainer
from neocog.errors import DataError
from neocog.explanation.names import unknown_layer
from neocog.network import Network
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings
from neocog.summary import cost
from neocog.validation import as_whole, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Attribution",
    "chance",
    "chosen_layer",
    "faithfulness",
    "grad_cam",
    "gradient_times_input",
    "is_large",
    "occlusion",
    "score_maps",
]

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]

# A network of more multiply-adds is looked at through fewer squares and in fewer steps.
_LARGE = 100_000_000


@dataclass(frozen=True, eq=False)
class Attribution:
    """One method's map.

    Attributes:
        method: its name.
        layer: the layer that it looks at; "image" for the image itself.
        class_name: the class that it speaks of, or its number if it has no name.
        map: float32 [height, width] of the image; what is positive speaks for the class.
        deleted: the class's probability while the highest 0 %, 5 %, … 100 % of the pixels are
            covered, float32 [21]; in steps of 10 % and [11] for a large network.
        inserted: the same while they are uncovered on a covered image.
        weights: of Grad-CAM α, float32 [channels of the layer]; None for the others.
        small: of Grad-CAM the map in the layer's own size, float32; None for the others.
    """

    method: str
    layer: str
    class_name: str
    map: Floats
    deleted: Floats
    inserted: Floats
    weights: Floats | None = None
    small: Floats | None = None

    def __repr__(self) -> str:
        return (
            f"<Attribution by {self.method} of {self.layer} for {self.class_name!r}: "
            f"map {list(self.map.shape)}, deletion={self.deletion:.4f}, "
            f"insertion={self.insertion:.4f}>"
        )

    @property
    def deletion(self) -> float:
        """The area under `deleted`, by trapezoids: from 0 to 1, low for a good map."""
        return _area(self.deleted)

    @property
    def insertion(self) -> float:
        """The area under `inserted`, by trapezoids: from 0 to 1, high for a good map."""
        return _area(self.inserted)

    def figure(self, image: Images, chance: "Attribution | None" = None) -> "Figure":
        """The map over the image it was made for, and both curves; needs matplotlib.

        With `chance`, the attribution of that name, its curves stand beside.
        """
        from neocog.explanation.figures import draw_attribution

        return draw_attribution(self, image, chance)


def _area(curve: Floats) -> float:
    whole = curve.sum(dtype=np.float64) - (float(curve[0]) + float(curve[-1])) / 2
    return float(whole / (len(curve) - 1))


def score_maps(network: Network, image: Images, label: int) -> dict[str, dict[str, Floats]]:
    """As `Trainer.maps`, with the gradients of the label's score instead of the loss.

    The ``output`` of a vector, and its gradient, are [n, 1, 1], also behind Flatten.
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
    """The layer that Grad-CAM looks at, if none is said: the last with a map of some places."""
    spatial = _spatial(maps)
    large = [name for name in spatial if min(maps[name]["output"].shape[1:]) >= 4]
    return (large or spatial or list(maps))[-1]


def _spatial(maps: Mapping[str, Mapping[str, Floats]]) -> list[str]:
    """The layers whose maps have more than one place each way."""
    return [name for name, found in maps.items() if min(found["output"].shape[1:]) >= 2]


def grad_cam(
    network: Network,
    image: Images,
    label: int,
    maps: Mapping[str, Mapping[str, Floats]],
    layer: str | None = None,
) -> Attribution:
    """Grad-CAM of a layer, scaled up to the image; `maps` are `score_maps`.

    Raises:
        DataError: for a layer that there is not, or whose map has no places to tell apart.
    """
    layer = chosen_layer(maps) if layer is None else layer
    if not isinstance(layer, str) or layer not in maps:
        raise unknown_layer(layer, maps)
    output, slope = maps[layer]["output"], maps[layer]["output_gradient"]
    if output[0].size == 1:
        raise DataError(
            f"{layer} gives one number a channel, so that it says nothing of places. Grad-CAM can "
            f"look at: {', '.join(_spatial(maps))}."
        )
    weights = slope.mean(axis=(1, 2))
    small = np.maximum(np.tensordot(weights, output, 1), 0).astype(np.float32)
    found = _scaled(small, image.shape[:2])
    return _judged("Grad-CAM", layer, network, image, label, found, weights, small)


def gradient_times_input(
    network: Network, image: Images, label: int, maps: Mapping[str, Mapping[str, Floats]]
) -> Attribution:
    """Every pixel's value times the score's gradient for it; `maps` are `score_maps`."""
    of_image = maps["image"]
    found = (of_image["output"] * of_image["output_gradient"]).sum(axis=0)
    return _judged("gradient × input", "image", network, image, label, found)


def occlusion(
    network: Network, image: Images, label: int, size: int | None = None, stride: int | None = None
) -> Attribution:
    """How far the probability falls where a square of `size` pixels is covered, on average.

    Without these numbers, a square has a quarter of the image's shorter side, and squares lie
    `stride` pixels apart, a quarter of their side; for a network of more than 100 million
    multiply-adds half of it, rounded up, which takes some fifty predictions.

    Raises:
        DataError: for squares of no size, or so far apart that pixels stay between them.
    """
    height, width = image.shape[:2]
    if size is None:
        size = max(1, min(height, width) // 4)
    if stride is None:
        stride = -(-size // 2) if is_large(network) else max(1, size // 4)
    pixels, step = as_whole(size), as_whole(stride)
    if pixels is None or step is None or not 1 <= step <= pixels:
        raise DataError(
            f"size (={shown(size)}) must be at least 1 and stride (={shown(stride)}) from 1 to "
            "size, or pixels stay between the squares."
        )
    size, stride = min(pixels, max(height, width)), step
    tops, lefts = (_begins(side, size, stride) for side in (height, width))
    covered = np.repeat(image[None], len(tops) * len(lefts), axis=0)
    gray = _cover(network)
    places = [(top, left) for top in tops for left in lefts]
    for one, (top, left) in zip(covered, places, strict=True):
        one[top : top + size, left : left + size] = gray
    whole = network.predict_proba(image[None])[0, label]
    falls = whole - network.predict_proba(covered)[:, label]
    total, times = np.zeros((2, height, width))
    for fall, (top, left) in zip(falls, places, strict=True):
        total[top : top + size, left : left + size] += fall
        times[top : top + size, left : left + size] += 1
    found = (total / times).astype(np.float32)
    return _judged("occlusion", "image", network, image, label, found)


def chance(network: Network, image: Images, label: int) -> Attribution:
    """A map that says nothing: every pixel has a random number, the same in every call."""
    found = np.random.default_rng(0).random(image.shape[:2], np.float32)
    return _judged("chance", "image", network, image, label, found)


def _judged(
    method: str,
    layer: str,
    network: Network,
    image: Images,
    label: int,
    map_: Floats,
    *of_method: Floats,
) -> Attribution:
    """The map with its curves."""
    name = network.classes[label] if network.classes else str(label)
    curves = faithfulness(network, image, label, map_)
    return Attribution(method, layer, name, map_, *curves, *of_method)


def is_large(network: Network) -> bool:
    """Whether predictions take so long that fewer are made."""
    return cost(network).multiply_adds > _LARGE


def _begins(side: int, size: int, stride: int) -> list[int]:
    """Where squares begin along a side, the last at its end."""
    return sorted({*range(0, side - size, stride), max(0, side - size)})


def _cover(network: Network) -> NDArray[np.uint8]:
    """What pixels are covered with: the input's zero, which is the data's mean color."""
    mean = np.array(network.preprocessing.mean) * 255
    gray: Images = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
    return gray


def faithfulness(
    network: Network, image: Images, label: int, map_: Floats
) -> tuple[Floats, Floats]:
    """The probabilities while a map's highest pixels are covered, and while they are uncovered.

    Both float32 [21], for 0 %, 5 %, … 100 % of the pixels; for a network of more than 100 million
    multiply-adds [11], for 0 %, 10 %, … 100 %. Of equal ones the first in rows come first.
    """
    steps = 10 if is_large(network) else 20
    order = np.argsort(-map_.reshape(-1), kind="stable")
    pixels = image.reshape(-1, image.shape[2])
    without = np.broadcast_to(_cover(network), pixels.shape)
    deleted = np.repeat(pixels[None], steps + 1, axis=0)
    inserted = np.repeat(without[None], steps + 1, axis=0)
    for step in range(1, steps + 1):
        first = order[: round(step / steps * len(order))]
        deleted[step, first] = without[first]
        inserted[step, first] = pixels[first]
    both = np.concatenate([deleted, inserted]).reshape(-1, *image.shape)
    of_label = network.predict_proba(both)[:, label].reshape(2, -1)
    return of_label[0], of_label[1]


def _scaled(small: Floats, size: tuple[int, ...]) -> Floats:
    """Scaled up bilinearly, pixel centers on pixel centers."""
    for axis, wanted in enumerate(size):
        have = small.shape[axis]
        at = np.clip((np.arange(wanted) + 0.5) * have / wanted - 0.5, 0, have - 1)
        low = np.minimum(at.astype(int), have - 2) if have > 1 else np.zeros(wanted, int)
        part = np.expand_dims(at - low, 1 - axis)
        below, above = small.take(low, axis), small.take(np.minimum(low + 1, have - 1), axis)
        small = (below * (1 - part) + above * part).astype(np.float32)
    return small
