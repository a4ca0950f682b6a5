"""Everything that a network computes for one image, layer by layer, as plain arrays."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
from neocog.explanation import attribution
from neocog.explanation.attribution import Attribution
from neocog.explanation.filters import Filters, filters
from neocog.explanation.names import unknown_layer
from neocog.explanation.step import Step, probabilities_of, take_step
from neocog.layers import Conv2d, Layer, Linear
from neocog.limits import require_memory
from neocog.network import Network, check_network
from neocog.reference import softmax
from neocog.settings.optimizers import SGD, Adam, Optimizer
from neocog.settings.training import TrainingSettings
from neocog.validation import shown, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "LayerExplanation", "explain"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerExplanation:
    """What one layer read and gave, forward and back.

    Maps are float32 [channels, height, width]; outputs that are vectors are [n]. Gradients are
    those of the loss, None where nothing before the layer learns.

    Attributes:
        name: the layer's full name; "image" is the network's input.
        layer: its description; None for the image.
        input: what it read, always a map: a vector is [n, 1, 1], or, where it was a map before
            Flatten, in that map's shape.
        output: what it gave.
        input_gradient: ∂loss/∂input, through this layer and all others that read it.
        output_gradient: ∂loss/∂output.
        addend: the other lane's map, of a sum.
        reads: the names of the layers whose outputs it reads.
        parameters: its weight and bias, by these names, in PyTorch's shapes.
        gradients: their gradients, by the same names.
    """

    name: str
    layer: Layer | None
    input: Floats
    output: Floats
    input_gradient: Floats | None
    output_gradient: Floats
    addend: Floats | None = None
    reads: tuple[str, ...] = ()
    parameters: Mapping[str, Floats] = field(default_factory=dict)
    gradients: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The layer's class, as in ``torch.nn``; "Image" for the image."""
        return "Image" if self.layer is None else type(self.layer).__name__

    def __repr__(self) -> str:
        shapes = f"{list(self.input.shape)} → {list(self.output.shape)}"
        return f"<LayerExplanation of {self.name}, {self.type}: {shapes}>"

    def contributions(self, *place: int) -> Floats:
        """What is added up to one number of the output, before the bias.

        Args:
            *place: for a convolution (channel, row, column), for a linear layer the output.

        Returns:
            The products: [channels / groups, kh, kw] of a convolution, where padding gives zeros;
            in the shape of the map before Flatten, if it was one, or [inputs], of a linear layer.

        Raises:
            TypeError: for a layer that does not add up products.
        """
        weight = self.parameters.get("weight")
        if isinstance(self.layer, Linear) and weight is not None:
            (output,) = place
            products: Floats = weight[output] * self.input.reshape(-1)
            return products if self.input[0].size == 1 else products.reshape(self.input.shape)
        if isinstance(self.layer, Conv2d) and weight is not None:
            channel, row, column = place
            return np.asarray(weight[channel] * self.patch(channel, row, column))
        raise TypeError(f"{self.name} ({self.type}) does not add up products.")

    def patch(self, channel: int, row: int, column: int) -> Floats:
        """What a convolution sees of its input for one number: [channels / groups, kh, kw]."""
        layer = self.layer
        if not isinstance(layer, Conv2d):
            raise TypeError(f"{self.name} ({self.type}) is no convolution.")
        (kh, kw), (sh, sw), (dh, dw) = layer.kernel, layer.steps, layer.spread
        (top, left), (bottom, right) = layer.before, layer.after
        padded = np.pad(self.input, ((0, 0), (top, bottom), (left, right)))
        inputs = layer.in_channels // layer.groups
        first = channel // (layer.out_channels // layer.groups) * inputs
        rows = row * sh + dh * np.arange(kh)
        columns = column * sw + dw * np.arange(kw)
        seen: Floats = padded[first : first + inputs][:, rows[:, None], columns]
        return seen

    def importance(self) -> Floats:
        """How much each channel matters for the loss: |Σ over places of a · ∂loss/∂a|.

        To first order what the loss would change by if the channel were 0; float32 [channels].
        """
        size = len(self.output)
        products = (self.output * self.output_gradient).reshape(size, -1)
        found: Floats = np.abs(products.sum(axis=1))
        return found

    def figure(self, most: int = 16) -> "Figure":
        """Its maps and their gradients, of the channels that matter most; needs matplotlib."""
        from neocog.explanation.figures import draw_layer

        return draw_layer(self, most)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image's way through a network and back, and one step of learning from it.

    ``explanation["conv1"].output`` is a layer's map; iterating gives the layers' names in order.
    Where the image speaks for a class, and the filters, are looked for when they are asked for.

    Attributes:
        network: whose it is: a copy, which stays as it is when the network learns on.
        image: uint8 [height, width, channels].
        label: the class that the image is said to show.
        layers: by full name, in the order in which they run.
        scores: the last layer's numbers, float32 [classes].
        probabilities: float32 [classes], what the network predicts: softmax(scores / temperature).
        loss: the cross-entropy of the label, which training minimizes: without the temperature.
        delta: δ = y − t, the loss's gradient for the scores, float32 [classes].
        steps: what one step of each optimizer does, by its name: ``sgd`` and ``adam``.
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
        """The y of δ = y − t, float32 [classes]: softmax(scores), without the temperature."""
        return probabilities_of(self.delta, self.label, self.loss)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, or their numbers if they have none."""
        return self.network.classes or tuple(str(k) for k in range(len(self.scores)))

    # Where in the image

    @cached_property
    def score_maps(self) -> Mapping[str, Mapping[str, Floats]]:
        """Each layer's ``output`` and ``output_gradient``, that of the label's score."""
        return attribution.score_maps(self.network, self.image, self.label)

    def grad_cam(self, layer: str | None = None) -> Attribution:
        """Where a layer finds what speaks for the label; `attribution` has the formula.

        Args:
            layer: its full name; without it the last whose map has four places each way.

        Raises:
            DataError: for a layer that there is not, or that gives a vector.
        """
        maps = self.score_maps
        return attribution.grad_cam(self.network, self.image, self.label, maps, layer)

    def gradient_times_input(self) -> Attribution:
        """Each pixel's part in the label's score, to first order."""
        maps = self.score_maps
        return attribution.gradient_times_input(self.network, self.image, self.label, maps)

    def occlusion(self, size: int | None = None, stride: int | None = None) -> Attribution:
        """Where the label's probability falls when a square is covered.

        Args:
            size: pixels of the square's side; without it a quarter of the image's.
            stride: pixels from one square to the next; without it a quarter of `size`, and half
                for a large network.

        Raises:
            DataError: if pixels stay between the squares.
        """
        return attribution.occlusion(self.network, self.image, self.label, size, stride)

    @cached_property
    def chance(self) -> Attribution:
        """What a map that says nothing gets, to compare deletion and insertion with."""
        return attribution.chance(self.network, self.image, self.label)

    def filters(
        self,
        layer: str | None = None,
        data: Dataset | NDArray[np.uint8] | None = None,
        count: int = 3,
        *,
        most: int = 2000,
    ) -> Filters:
        """A convolution's filters, and with data the images that excite each most.

        Args:
            layer: the convolution's full name; the first without it.
            data: a `Dataset` or images, uint8 [n, height, width, channels].
            count: how many images for every filter.
            most: only so many images are looked at, the first ones.

        Raises:
            DataError: for a layer that is no convolution, or images that do not fit.
        """
        return filters(self.network, layer, data, count=count, most=most)

    def to_html(self, data: "Dataset | None" = None) -> str:
        """The page that shows it, as the text of one HTML file that needs nothing else.

        With `data`, it shows which of their images excite the filters.
        """
        from neocog.explanation.html import page
        from neocog.explanation.payload import pack
        from neocog.explanation.top_activations import top_activation_sprites

        if data is not None:
            data = as_dataset(data, "to_html(data.test)")
        return page(
            pack(self, filters=None if data is None else top_activation_sprites(self, data))
        )

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        return (
            f'<iframe srcdoc="{escape(self.to_html())}" sandbox="allow-scripts" '
            'style="width: 100%; height: 900px; border: 0"></iframe>'
        )

    def figure(self) -> "Figure":
        """The image, each layer's channels that matter most, the classes; needs matplotlib."""
        from neocog.explanation.figures import draw_explanation

        return draw_explanation(self)


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
    """Everything that the network computes for one image, forward and back.

    Every number is the engine's own, each layer computed apart from the others. Batch normalization
    keeps to its running statistics and dropout drops nothing, as in a prediction.

    Args:
        network: with parameters; they stay as they are.
        image: uint8 [height, width, channels] of the network's input size, also as an image of
            Pillow's or a tensor, which is copied; or a picture file, which is scaled to it.
        label: the class that the image shows, by number or name; the most probable without it.
        lr: the rate of SGD's step.
        momentum: SGD's momentum.
        adaptive_lr: the rate of Adam's step.
        on_compile: told how many kernels are compiled first, if any are.

    Raises:
        DataError: for an image or a label that does not fit.
        ArchitectureError: for a network without parameters, or one that cannot be trained.
        NeocogError: if the network gives NaN or infinite scores.
    """
    network = check_network(network).copy()  # which nobody changes meanwhile
    pixels = _pixels(network, image)
    chosen = _label(network, pixels, label)
    optimizers: dict[str, Optimizer] = {"sgd": SGD(lr, momentum), "adam": Adam(adaptive_lr)}
    # Of each layer: its input, its output, and the gradients of both, float32.
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
        if not layers:  # the same for both optimizers, and to read a large network's takes a while
            gradients, loss = trainer.gradients(), float(losses[0])
            layers = _layers(network, trainer, before, gradients)
        steps[name] = take_step(network, trainer, optimizer, before, gradients, chosen, loss)
    last = list(layers.values())[-1]
    # Copies: whoever changes them changes no layer's numbers.
    scores, delta = last.output.flatten(), last.output_gradient.flatten()
    probabilities = probabilities_of(delta, chosen, loss)
    if network.temperature != 1:
        probabilities = softmax(scores.astype(np.float64), network.temperature).astype(np.float32)
    return Explanation(
        network,
        pixels,
        chosen,
        layers,
        scores,
        probabilities,
        loss,
        delta,
        steps,
    )


def _pixels(network: Network, image: NDArray[np.uint8] | str | Path) -> NDArray[np.uint8]:
    if isinstance(image, str | Path):
        return read_picture(image, network.input_shape, network.preprocessing.resize)
    # A list is joined into an array of its own: maps are made from the image later too, when the
    # caller's array may hold another one.
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
        known = ", ".join(names) if names else "its classes have numbers only"
        hint = did_you_mean(label, names)
        raise DataError(f"The network knows no class {shown(label)}.{hint} Known: {known}.")
    classes = network.output_shape[0]
    wanted = f"a class, from 0 to {classes - 1}"
    return whole("label", label, 0, classes - 1, wanted=wanted, error=DataError)


def _layers(
    network: Network,
    trainer: Trainer,
    parameters: Mapping[str, Floats],
    gradients: Mapping[str, Floats],
) -> dict[str, LayerExplanation]:
    readers, found = trainer.readers(), {}
    known = {**network.leaves, **_blocks(network.layers, "")}
    for name, maps in trainer.maps().items():
        layer = known.get(name)
        shape = network.shapes.get(name, network.input_shape)
        of_layer = {key: value.reshape(shape) for key, value in maps.items() if "output" in key}
        before = {key: value for key, value in maps.items() if "output" not in key}
        parts = layer.parameter_shapes() if layer is not None else {}
        found[name] = LayerExplanation(
            name,
            layer,
            before["input"],
            of_layer["output"],
            before.get("input_gradient"),
            of_layer["output_gradient"],
            before.get("addend"),
            readers[name],
            {part: parameters[f"{name}.{part}"] for part in parts},
            {part: gradients[f"{name}.{part}"] for part in parts},
        )
    return found


def _blocks(layers: Mapping[str, Layer], prefix: str) -> dict[str, Layer]:
    """The layers that are made of layers, by full name."""
    found: dict[str, Layer] = {}
    for name, layer in layers.items():
        children = layer.children()
        if children:
            found |= {f"{prefix}{name}": layer, **_blocks(children, f"{prefix}{name}.")}
    return found
