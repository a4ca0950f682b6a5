"""One layer's part of an image's way through a network: what it read and gave, forward and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.engine.trainer import Trainer
from neocog.explanation.rendering import render_figure
from neocog.explanation.topology import named_layers
from neocog.layers import Conv2d, Layer, Linear
from neocog.network import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerExplanation", "trace_layers"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerExplanation:
    """What one layer read and gave for one image, and the gradients of the loss for both.

    Maps are float32 [channels, height, width]; outputs that are vectors are [n]. Gradients are
    those of the loss, None where nothing before the layer learns.

    Attributes:
        name: the layer's full name; "image" is the network's input.
        layer: its description; None for the image.
        input: what it read, always a map. A vector is [n, 1, 1], or has the shape of the map
            before Flatten if it was one.
        output: what it gave.
        input_gradient: ∂loss/∂input, through this layer and all others that read it.
        output_gradient: ∂loss/∂output.
        addend: the second input of a sum, the map of the other lane.
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
        """The products that are added up to one number of the output, without the bias.

        Args:
            *place: (channel, row, column) for a convolution, the output's number for a linear
                layer.

        Returns:
            For a convolution [channels / groups, kh, kw], 0 where the kernel covers zeros. For a
            linear layer [inputs], or the shape of the map before Flatten if there was one.

        Raises:
            TypeError: the layer is neither a convolution nor linear.
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
        """What a convolution reads of its input for one number: [channels / groups, kh, kw].

        Raises:
            TypeError: the layer is not a convolution.
        """
        layer = self.layer
        if not isinstance(layer, Conv2d):
            raise TypeError(f"{self.name} ({self.type}) is not a convolution.")
        (kh, kw), (sh, sw), (dh, dw) = layer.kernel, layer.steps, layer.spread
        inputs = layer.in_channels // layer.groups
        first = channel // (layer.out_channels // layer.groups) * inputs
        rows, columns = map(np.array, layer.sources(*self.input.shape[1:]))
        rows = rows[row * sh + dh * np.arange(kh), None]
        columns = columns[column * sw + dw * np.arange(kw)]
        patch: Floats = self.input[first : first + inputs][:, rows, columns]
        return np.where((rows >= 0) & (columns >= 0), patch, np.float32(0))

    def importance(self) -> Floats:
        """How much each channel matters for the loss: |Σ over places of a · ∂loss/∂a|.

        To first order, the change of the loss if the channel were 0; float32 [channels].
        """
        channels = len(self.output)
        products = (self.output * self.output_gradient).reshape(channels, -1)
        importance: Floats = np.abs(products.sum(axis=1))
        return importance

    def figure(self, most: int = 16) -> "Figure":
        """Draw the maps and gradients of the `most` channels that matter most; needs matplotlib."""
        return render_figure(self, most)


def trace_layers(
    network: Network,
    trainer: Trainer,
    parameters: Mapping[str, Floats],
    gradients: Mapping[str, Floats],
) -> dict[str, LayerExplanation]:
    """Read every layer's maps from a trainer that has run one image, unfused.

    Args:
        network: the trained network.
        trainer: after its step.
        parameters: of the network before the step, by full name.
        gradients: of the loss, by the same names.
    """
    readers, layers = trainer.readers(), named_layers(network)
    trace = {}
    for name, maps in trainer.maps().items():
        layer = layers.get(name)
        shape = network.shapes.get(name, network.input_shape)
        names = layer.parameter_shapes() if layer is not None else {}
        trace[name] = LayerExplanation(
            name,
            layer,
            maps["input"],
            maps["output"].reshape(shape),
            maps.get("input_gradient"),
            maps["output_gradient"].reshape(shape),
            maps.get("addend"),
            readers[name],
            {part: parameters[f"{name}.{part}"] for part in names},
            {part: gradients[f"{name}.{part}"] for part in names},
        )
    return trace
