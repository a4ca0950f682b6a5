"""An ONNX graph on its way to a network: what each of its values is, and the layers so far."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, FormatError
from neocog.formats.model_file import check_shape
from neocog.formats.onnx.reading.messages import Operation
from neocog.formats.onnx.reading.safety import LARGEST_COMPUTED, MOST_FOLDED_BYTES, MOST_LAYERS
from neocog.formats.onnx.reading.signals import Pending, Picture, Signal
from neocog.formats.onnx.reading.tensors import Tensor
from neocog.layers import Graph, Layer, Node, Shape
from neocog.layers.graph import IMAGE

__all__ = ["Anything", "Importing", "layer_name"]

#: What a value of an ONNX graph can be.
Anything = Signal | Picture | Pending | NDArray[Any]

_LONGEST_NAME = 100
# Values of a graph that may be one layer's output for it to be replaced.
_MOST_NAMES = 16
# PyTorch's names of nodes: "/layer1/layer1.0/conv1/Conv" of its first exporter, "node_relu_3" of
# its second, which calls what its own functions consist of "n4".
_PADDING = ("Pad", "Gather")
_OF_FUNCTION = re.compile(r"n\d+(_\d+)?|_?\d+")


class Importing:
    """The layers of an ONNX graph that is being read.

    Attributes:
        image: shape of an image.
        batch: the number of images for which the graph is read. If the file leaves it open, it is
            a number that no other axis has.
        values: what each value of the graph is so far, by name; the file's tensors come when they
            are read (`value`).
        preprocessing: scale and shift of the image, once something has read it.

    Args:
        image: (channels, height, width) of an image.
        batch: as above.
        uses: how often each value of the graph is read.
        tensors: the file's, by name.
        look: scale and shift of the image by which the network's own computation begins, if that is
            known; what comes after them is of the layers.
    """

    def __init__(
        self,
        image: Shape,
        batch: int,
        uses: Mapping[str, int],
        tensors: Mapping[str, Tensor],
        look: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        self.image = image
        self.batch = batch
        self.values: dict[str, Anything] = {}
        self._uses = uses
        self._tensors = tensors
        self._look = look
        self._seen_as: dict[str, list[str]] = {}
        self.preprocessing: tuple[tuple[float, ...], tuple[float, ...]] | None = None
        self._nodes: dict[str, Node] = {}
        # By name the last number behind it, so that many layers of a name take no longer.
        self._namesakes: Counter[str] = Counter()
        self._state: dict[str, NDArray[Any]] = {}
        self._shapes: dict[str, Shape] = {IMAGE: image}
        self._folded = 0

    def value(self, name: str) -> Anything | None:
        """What a value of the graph is; None if nothing has given it yet."""
        if name not in self.values and name in self._tensors:
            self.values[name] = self._tensors[name].array()
        return self.values.get(name)

    def is_large(self, name: str) -> bool:
        """Whether a value is a constant that is too large to compute others of it."""
        tensor = self._tensors.get(name)
        size = tensor.size if tensor is not None else getattr(self.values.get(name), "size", 0)
        return size > LARGEST_COMPUTED

    def keep(self, name: str, value: Anything) -> None:
        """Note what a value of the graph is."""
        if isinstance(value, Picture) and self._look is not None and value.floats:
            given = zip((value.scale, value.shift), self._look, strict=True)
            if all(np.allclose(one, known, rtol=1e-4, atol=1e-5) for one, known in given):
                value = self.read_image(value)
        self.values[name] = value
        if isinstance(value, Signal):
            self._seen_as.setdefault(value.layer, []).append(name)

    def add(
        self, name: str, layer: Layer, inputs: tuple[Signal, ...], state: Mapping[str, NDArray[Any]]
    ) -> Signal:
        """Add a layer; its name gets a number if it was taken.

        Raises:
            ArchitectureError: the layer does not take the inputs.
        """
        if len(self._nodes) >= MOST_LAYERS:
            raise FormatError(f"it has more than {MOST_LAYERS:,} layers.")
        shape = layer.output_shape(*(one.shape for one in inputs))
        check_shape(name, shape)
        unique = name
        while unique in self._nodes or unique == IMAGE:
            self._namesakes[name] = max(2, self._namesakes[name] + 1)
            unique = f"{name}_{self._namesakes[name]}"
        self._shapes[unique] = shape
        self._nodes[unique] = Node(unique, layer, tuple(one.layer for one in inputs))
        self._state |= {f"{unique}.{part}": array for part, array in state.items()}
        return Signal(unique, shape, inputs[0].order, inputs[0].groups)

    def replaced(self, x: Signal, layer: Layer, state: dict[str, NDArray[Any]]) -> Signal:
        """Another layer in the place of the one that gives x, or beside it if others read that."""
        node = self._nodes[x.layer]
        if not self.is_read_once(x):
            source = self.signal(node.inputs[0]).seen(x.order, x.groups)
            return self.add(x.layer, layer, (source,), state)
        self._nodes[x.layer] = Node(x.layer, layer, node.inputs)
        self._state |= {f"{x.layer}.{part}": array for part, array in state.items()}
        return x

    def is_read_once(self, x: Signal) -> bool:
        """Whether nobody but who asks reads the layer that gives x."""
        names = self._seen_as.get(x.layer, [])
        return len(names) <= _MOST_NAMES and all(self._uses.get(name) == 1 for name in names)

    def without(self, x: Signal) -> Signal:
        """What the layer that gives x reads; the layer, which has no arrays, is taken out."""
        (source,) = self._nodes.pop(x.layer).inputs
        return self.signal(source)

    def node(self, name: str) -> Node | None:
        """The layer of this name; None for the image."""
        return self._nodes.get(name)

    def signal(self, name: str) -> Signal:
        """A layer's output in the plain order."""
        return Signal(name, self._shapes[name])

    def state(self, name: str) -> dict[str, NDArray[Any]]:
        """A layer's arrays."""
        layer = self._nodes[name].layer
        shapes = {**layer.parameter_shapes(), **layer.buffer_shapes()}
        return {part: self._state[f"{name}.{part}"] for part in shapes}

    def charged(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array that was computed, if the file may have as many of them."""
        self.check_computed(array.nbytes)
        return array

    def repeated(self, number: NDArray[Any], count: int) -> NDArray[Any]:
        """Each number as often, one for each channel, if the file may compute as many."""
        self.check_computed(number.nbytes * count)
        return np.repeat(number.reshape(-1), count)

    def check_computed(self, size: int) -> None:
        """Count the bytes of constants that are computed; too many are refused."""
        self._folded += size
        if self._folded > MOST_FOLDED_BYTES:
            raise FormatError("it computes more constants than a network needs.")

    def read_image(self, picture: Picture) -> Signal:
        """The image as a signal; what was computed of it before becomes its preprocessing.

        Raises:
            FormatError: another layer reads it with another preprocessing.
        """
        if not picture.floats:
            raise FormatError("its layers read bytes; they must be cast to float32 (1) before.")
        found = (tuple(picture.scale.tolist()), tuple(picture.shift.tolist()))
        if self.preprocessing not in (None, found):
            raise FormatError("its layers read the image with several preprocessings.")
        self.preprocessing = found
        return Signal(IMAGE, picture.shape, picture.order)

    def finished(self, result: Signal) -> Graph:
        """The graph of the layers that the result depends on."""
        needed, waiting = set(), [result.layer]
        while waiting:
            name = waiting.pop()
            if name not in needed and name != IMAGE:
                needed.add(name)
                waiting += self._nodes[name].inputs
        nodes = [node for name, node in self._nodes.items() if name in needed]
        if not nodes:
            raise FormatError("it has no layers.")
        try:
            return Graph(nodes, self.image)
        except ArchitectureError as error:
            raise FormatError(str(error)) from None

    def arrays(self, graph: Graph) -> dict[str, NDArray[Any]]:
        """The state of a finished graph, in arrays of its own."""
        found = {}
        for name, shape in graph.state_shapes.items():
            array = self._state[name]
            if array.size != math.prod(shape):
                raise FormatError(f"{name} has the shape {array.shape}, not {shape}.")
            dtype = np.int64 if array.dtype == np.int64 else np.float32
            found[name] = np.array(array.reshape(shape), dtype, order="C")
        return found


def layer_name(operation: Operation, weight: str = "") -> str:
    """A name for the layer of a node: PyTorch's own, if it can be seen.

    Args:
        operation: the node.
        weight: the name of a tensor of it.
    """
    # Two of an operator in a layer are "conv/Gather" and "conv/Gather/2" in neocog's files.
    whole = re.sub(rf"(?<=/{operation.operator})/\d+$", "", operation.name)
    scope = whole.strip("/").rpartition("/")[0]
    if weight.endswith((".weight", ".running_mean")) and "::" not in weight:
        name = weight.rpartition(".")[0]
    elif scope:
        name = last = ""
        for part in scope.split("/"):
            inner = part.removeprefix(f"{last}.") if last else part
            name, last = f"{name}.{inner}" if name else inner, part
            if len(name) > _LONGEST_NAME:
                break
    else:
        name = operation.name.removeprefix("node_").strip("/")
        if not name or _OF_FUNCTION.fullmatch(name):
            layer = operation.attributes.get("layer")  # of a pattern
            name = type(layer).__name__ if isinstance(layer, Layer) else operation.operator
            name = name.lower()
    if operation.operator in _PADDING and scope:
        name += ".pad"  # the name itself is the convolution's
    plain = re.sub(r"[^0-9A-Za-z_.-]+", "_", name)[:_LONGEST_NAME].strip("_.")
    return plain or operation.operator.lower()
