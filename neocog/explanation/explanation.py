"""Everything that a network computes for one image, layer by layer, as plain arrays."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.data.picture import read_picture
from neocog.engine.trainer import Trainer, check_images
from neocog.errors import DataError, NeocogError, did_you_mean
from neocog.explanation.attribution import (
    Attribution,
    chance,
    grad_cam,
    gradient_times_input,
    occlusion,
    score_maps,
)
from neocog.explanation.class_labels import class_labels
from neocog.explanation.filters import Filters, filters
from neocog.explanation.layer_names import unknown_layer
from neocog.explanation.rendering import render_figure, render_html
from neocog.explanation.step import Step, probabilities_of, take_step
from neocog.explanation.trace import LayerExplanation, trace_layers
from neocog.limits import require_memory
from neocog.losses import check_classifier
from neocog.network import Network, check_network
from neocog.reference import softmax
from neocog.settings.optimizers import SGD, Adam, Optimizer
from neocog.settings.training import TrainingSettings
from neocog.validation import shown, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "explain"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image's way through a network and back, and one step of learning from it.

    ``explanation["conv1"].output`` is a layer's map; iterating gives the layers' names in order.
    Attributions and filters are computed when their methods are called.

    Attributes:
        network: a copy of the explained network; further training does not change it.
        image: uint8 [height, width, channels].
        label: the number of the class that the image shows.
        layers: by full name, in the order in which they run.
        scores: the output of the last layer, float32 [classes].
        probabilities: what the network predicts, softmax(scores / temperature), float32 [classes].
        loss: the cross-entropy for the label, which training minimizes: without the temperature.
        delta: δ = y − t, the gradient of the loss for the scores, float32 [classes].
        steps: one training step on this image with each optimizer: ``sgd`` and ``adam``.
    """

    network: Network
    image: NDArray[np.uint8]
    label: int
    layers: Mapping[str, LayerExplanation]
    scores: Floats
    probabilities: Floats
    loss: float
    delta: Floats
    steps: Mapping[str, Step]

    def __repr__(self) -> str:
        return (
            f"<Explanation of an image {list(self.image.shape)} as {self.classes[self.label]!r}: "
            f"probability={self.probabilities[self.label]:.4f}, loss={self.loss:.4g}, "
            f"{len(self)} layers>"
        )

    def __getitem__(self, name: str) -> LayerExplanation:
        if not isinstance(name, str) or name not in self.layers:
            raise unknown_layer(name, self.layers)
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def uncalibrated(self) -> Floats:
        """y of δ = y − t, float32 [classes]: softmax(scores), without the temperature."""
        return probabilities_of(self.delta, self.label, self.loss)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, or their numbers if they have none."""
        return class_labels(self.network)

    # Attribution

    @cached_property
    def score_maps(self) -> Mapping[str, Mapping[str, Floats]]:
        """Each layer's ``output``, and its gradient of the label's score, ``output_gradient``."""
        return score_maps(self.network, self.image, self.label)

    def grad_cam(self, layer: str | None = None) -> Attribution:
        """Grad-CAM: where a layer finds evidence for the label; `attribution` has the formula.

        Args:
            layer: its full name; None for the last layer whose map is at least 4 × 4.

        Raises:
            DataError: there is no such layer, or it gives one number a channel.
        """
        maps = self.score_maps
        return grad_cam(self.network, self.image, self.label, maps, layer)

    def gradient_times_input(self) -> Attribution:
        """How much each pixel adds to the label's score, to first order."""
        maps = self.score_maps
        return gradient_times_input(self.network, self.image, self.label, maps)

    def occlusion(self, size: int | None = None, stride: int | None = None) -> Attribution:
        """How far the label's probability falls when a square of the image is covered.

        Args:
            size: the square's side in pixels; None for a quarter of the image's shorter side.
            stride: pixels from one square to the next; None for a quarter of `size`, or half of it
                for a large network.

        Raises:
            DataError: the squares would leave pixels between them uncovered.
        """
        return occlusion(self.network, self.image, self.label, size, stride)

    @cached_property
    def chance(self) -> Attribution:
        """A map of random numbers, as a baseline for deletion and insertion."""
        return chance(self.network, self.image, self.label)

    def filters(
        self,
        layer: str | None = None,
        data: Dataset | NDArray[np.uint8] | None = None,
        count: int = 3,
        *,
        most: int = 2000,
    ) -> Filters:
        """A convolution's filters, and with data the images that activate each most.

        Args:
            layer: the convolution's full name; None for the first.
            data: a `Dataset` or images, uint8 [n, height, width, channels].
            count: how many images to give for each filter.
            most: how many of the data's images are looked at, the first ones.

        Raises:
            DataError: the layer is not a convolution, or the images do not fit.
        """
        return filters(self.network, layer, data, count=count, most=most)

    # Showing it

    def to_html(self, data: Dataset | None = None) -> str:
        """An interactive page, as the text of one HTML file that needs no other file.

        With `data`, the page also shows which of these images activate the filters most.
        """
        if data is not None:
            data = as_dataset(data, "to_html(data.test)")
        return render_html(self, data)

    def _repr_html_(self) -> str:
        """The page in a frame, for a notebook."""
        return (
            f'<iframe srcdoc="{escape(self.to_html())}" sandbox="allow-scripts" '
            'style="width: 100%; height: 900px; border: 0"></iframe>'
        )

    def figure(self) -> "Figure":
        """Draw the image, its probabilities and the maps that matter most; needs matplotlib."""
        return render_figure(self)


def explain(
    network: Network,
    image: NDArray[np.uint8] | str | Path,
    label: int | str | None = None,
    *,
    lr: float = 0.001,
    momentum: float = 0.9,
    adaptive_lr: float = 0.001,
    on_compile: Callable[[int], None] | None = None,
) -> Explanation:
    """Run one image through the network, forward and back, and keep every number.

    The engine computes all numbers, with no layers fused. As in a prediction, batch normalization
    uses its running statistics and dropout drops nothing.

    Args:
        network: with parameters, which stay as they are.
        image: uint8 [height, width, channels] of the network's input size, as an array, a Pillow
            image or a tensor; or the path of a picture file, which is scaled to that size.
        label: the class that the image shows, by number or name; None for the most probable one.
        lr: the learning rate of the SGD step.
        momentum: the momentum of the SGD step.
        adaptive_lr: the learning rate of the Adam step.
        on_compile: called with the number of kernels to compile, if there are any.

    Raises:
        DataError: the image or the label does not fit the network.
        ArchitectureError: the network has no parameters, or cannot be trained.
        NeocogError: the network gives NaN or infinite scores.
    """
    network = check_network(network).copy()  # so that nobody changes it meanwhile
    check_classifier(network.loss, "Explaining")
    pixels = _pixels(network, image)
    chosen = _label(network, pixels, label)
    optimizers: dict[str, Optimizer] = {"sgd": SGD(lr, momentum), "adam": Adam(adaptive_lr)}
    # Four float32 arrays for each layer: its input, its output and the gradients of both.
    numbers = sum(math.prod(shape) for shape in network.shapes.values())
    require_memory(16 * numbers, "Explaining this network", "Explain a smaller one.")
    state = network.state_dict()
    before = {name: state[name] for name in network.parameter_shapes}
    steps: dict[str, Step] = {}
    layers: dict[str, LayerExplanation] = {}
    for name, optimizer in optimizers.items():
        trainer = Trainer(
            network.graph,
            state,
            network.preprocessing,
            pixels[None],
            np.array([chosen]),
            TrainingSettings(batch_size=1, optimizer=optimizer, threads=1),
            unfused=True,
            on_compile=on_compile,
        )
        losses = trainer.run(np.zeros(1, np.int64))
        if not np.isfinite(losses).all() or not len(losses):
            raise NeocogError(
                "The network gives NaN or infinite scores for this image: its weights are "
                "damaged, or come from a training that diverged."
            )
        if not layers:  # the same for both optimizers, and slow to read from a large network
            gradients, loss = trainer.gradients(), float(losses[0])
            layers = trace_layers(network, trainer, before, gradients)
        steps[name] = take_step(network, trainer, optimizer, before, gradients, chosen, loss)
    last = list(layers.values())[-1]
    # Copies, so that changing them does not change a layer's numbers.
    scores, delta = last.output.flatten(), last.output_gradient.flatten()
    probabilities = probabilities_of(delta, chosen, loss)
    if network.temperature != 1:
        probabilities = softmax(scores.astype(np.float64), network.temperature).astype(np.float32)
    return Explanation(
        network=network,
        image=pixels,
        label=chosen,
        layers=layers,
        scores=scores,
        probabilities=probabilities,
        loss=loss,
        delta=delta,
        steps=steps,
    )


def _pixels(network: Network, image: NDArray[np.uint8] | str | Path) -> NDArray[np.uint8]:
    if isinstance(image, str | Path):
        return read_picture(image, network.input_shape, network.preprocessing.resize)
    # Passed as a list, the image is copied: attributions read it later, when the caller may have
    # changed the array.
    pixels: NDArray[np.uint8] = check_images(network.input_shape, [image])[0]
    return pixels


def _label(network: Network, pixels: NDArray[np.uint8], label: int | str | None) -> int:
    """The class's number."""
    if label is None:
        return int(network.predict(pixels[None], threshold=0)[0])
    names = network.classes or ()
    if isinstance(label, str):
        if label in names:
            return names.index(label)
        known = ", ".join(names) if names else "only numbers, because its classes have no names"
        hint = did_you_mean(label, names)
        raise DataError(f"The network has no class {shown(label)}.{hint} Known: {known}.")
    classes = network.output_shape[0]
    wanted = f"a class, from 0 to {classes - 1}"
    return whole("label", label, 0, classes - 1, wanted=wanted, error=DataError)
