"""Everything that a network computes for one image, layer by layer, as plain arrays."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
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
from neocog.explanation.filters import Filters, filters
from neocog.explanation.layer_names import unknown_layer
from neocog.explanation.objective import objective_of
from neocog.explanation.rendering import render_figure, render_html
from neocog.explanation.step import Step, take_step
from neocog.explanation.trace import LayerExplanation, trace_layers
from neocog.limits import require_memory
from neocog.losses import OUTPUT_OF, gives_numbers, probabilities_of
from neocog.network import Network, check_network
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
        label: the number of the class that the image shows; of several labels or numbers that of
            the one that is explained.
        targets: t, what is true of each output, float32 [outputs]: 1 for a class or label that the
            image has and 0 for others, or the true numbers; None if nobody said these.
        layers: by full name, in the order in which they run.
        scores: z, the output of the last layer, float32 [outputs].
        probabilities: what the network predicts, as `Network.predict_proba` gives it, float32
            [outputs]: softmax(z / temperature) of classes, σ(z / temperature) of several labels,
            and of numbers z, which are no probabilities.
        loss: what training minimizes, without the temperature: the cross-entropy for the label, the
            mean binary cross-entropy of several labels, the mean squared error of numbers. Without
            true numbers it is the explained number itself, so that the gradients are of that.
        delta: δ, the gradient of the loss for the scores, float32 [outputs]: y − t of classes,
            (y − t) / K of K labels, 2 (z − t) / K of K numbers, and without true numbers 1 for the
            explained one and 0 for others.
        steps: one training step on this image with each optimizer: ``sgd`` and ``adam``.
    """

    network: Network
    image: NDArray[np.uint8]
    label: int
    targets: Floats | None
    layers: Mapping[str, LayerExplanation]
    scores: Floats
    probabilities: Floats
    loss: float
    delta: Floats
    steps: Mapping[str, Step]

    def __repr__(self) -> str:
        return (
            f"<Explanation of an image {list(self.image.shape)} as {self.classes[self.label]!r}: "
            f"{'number' if self.of_numbers else 'probability'}="
            f"{self.probabilities[self.label]:.4f}, loss={self.loss:.4g}, "
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
        """y of δ, float32 [outputs]: `probabilities` without the temperature."""
        return probabilities_of(self.network.loss, self.scores)

    @property
    def classes(self) -> tuple[str, ...]:
        """The outputs' names, of classes, labels or numbers; their numbers if they have none."""
        return class_labels(self.network)

    @property
    def of_numbers(self) -> bool:
        """Whether the network gives numbers, and not probabilities."""
        return gives_numbers(self.network.loss)

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

    def occlusion(
        self,
        size: int | None = None,
        stride: int | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Attribution:
        """How far the label's probability, or number, falls when a square is covered.

        Args:
            size: the square's side in pixels; None for a quarter of the image's shorter side.
            stride: pixels from one square to the next; None for a quarter of `size`, for a large
                network half of it or three quarters.
            progress: told how many of the covered images are predicted, and how many there are.

        Raises:
            DataError: the squares would leave pixels between them uncovered.
        """
        return occlusion(self.network, self.image, self.label, size, stride, progress)

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
    targets: NDArray[np.float32] | Sequence[float] | None = None,
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
            Of several labels or numbers it is the one to explain; None for the most probable label,
            or the first number.
        targets: what is true of each output, [outputs], where the network gives several labels (0
            or 1, or between) or numbers. None for the labels that it gives and `label`; of numbers
            the gradients are then those of the number itself, not of an error.
        lr: the learning rate of the SGD step.
        momentum: the momentum of the SGD step.
        adaptive_lr: the learning rate of the Adam step.
        on_compile: called with the number of kernels to compile, if there are any.

    Raises:
        DataError: the image, the label or the targets do not fit the network.
        ArchitectureError: the network has no parameters, or cannot be trained.
        NeocogError: the network gives NaN or infinite scores.
    """
    network = check_network(network).copy()  # so that nobody changes it meanwhile
    pixels = _pixels(network, image)
    chosen = _label(network, pixels, label)
    objective = objective_of(network, pixels, chosen, targets, said=label is not None)
    optimizers: dict[str, Optimizer] = {"sgd": SGD(lr, momentum), "adam": Adam(adaptive_lr)}
    # Its output and the gradient of that, in the trainer and as arrays, float32.
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
            objective.labels,
            TrainingSettings(batch_size=1, optimizer=optimizer, threads=1, loss=objective.loss),
            unfused=True,
            of_score=objective.of_score,
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
        del trainer  # before there is another one: it is as large as all maps
    last = list(layers.values())[-1]
    # Copies, so that changing them does not change a layer's numbers.
    scores, delta = last.output.flatten(), last.output_gradient.flatten()
    return Explanation(
        network=network,
        image=pixels,
        label=chosen,
        targets=objective.targets,
        layers=layers,
        scores=scores,
        probabilities=probabilities_of(network.loss, scores, network.temperature),
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
    """The output's number."""
    if label is None:
        of_numbers = gives_numbers(network.loss)
        return 0 if of_numbers else int(network.predict_proba(pixels[None])[0].argmax())
    what, last = OUTPUT_OF[network.loss], network.output_shape[0] - 1
    names = network.classes or ()
    if isinstance(label, str):
        if label in names:
            return names.index(label)
        unnamed = (
            f"only numbers, because its {'classes' if what == 'class' else f'{what}s'} have no"
        )
        known = ", ".join(names) if names else f"{unnamed} names"
        hint = did_you_mean(label, names)
        raise DataError(f"The network has no {what} {shown(label)}.{hint} Known: {known}.")
    wanted = f"a {what}, from 0 to {last}"
    return whole("label", label, 0, last, wanted=wanted, error=DataError)
