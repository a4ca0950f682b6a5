"""`Network`: named layers in a row, their shapes and their parameters.

It does not know how it is run: `predict_proba` asks `neocog.engine`, and `save` asks
`neocog.formats`, each imported when called, so that describing a network needs neither.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError
from neocog.layers import Layer, Shape
from neocog.preprocessing import Preprocessing

if TYPE_CHECKING:
    from neocog.training.torch_stream import TorchStream

__all__ = ["Network"]

T = TypeVar("T")


class Network:
    """Layers that feed each other in the order they are named.

    ``Network(conv1=Conv2d(3, 16, 3, padding=1), relu=ReLU(), …)`` describes the network; its
    parameters are ``conv1.weight`` and so on, float32 in PyTorch's shapes. They come into being
    with `initialise`, `load_state_dict` or the first `neocog.fit`.

    Args:
        input_shape: (channels, height, width) of one image.
        classes: what the outputs stand for, if known; `neocog.fit` takes them from the data.
        preprocessing: how pixels become inputs.
        **layers: the layers by name.

    Raises:
        ArchitectureError: naming the layer whose input does not fit.
    """

    def __init__(
        self,
        *,
        input_shape: Shape = (3, 32, 32),
        classes: tuple[str, ...] | None = None,
        preprocessing: Preprocessing | None = None,
        **layers: Layer,
    ) -> None:
        if len(input_shape) != 3 or not all(type(n) is int and n > 0 for n in input_shape):
            raise ArchitectureError(
                f"input_shape (={input_shape}) must be (channels, height, width), each at least 1."
            )
        if not layers:
            raise ArchitectureError("A network needs at least one layer.")
        self.input_shape = tuple(input_shape)
        self.layers: Mapping[str, Layer] = MappingProxyType(dict(layers))
        channels = input_shape[0]
        self.preprocessing = preprocessing or Preprocessing((0.5,) * channels, (0.5,) * channels)
        if len(self.preprocessing.mean) != channels:
            raise ArchitectureError(
                f"preprocessing has {len(self.preprocessing.mean)} channels, the input {channels}."
            )
        shape = self.input_shape
        shapes: dict[str, Shape] = {}
        parameter_shapes: dict[str, Shape] = {}
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise ArchitectureError(f"{name}: {layer!r} is not a layer.")
            try:
                shape = shapes[name] = layer.output_shape(shape)
            except ArchitectureError as error:
                raise ArchitectureError(f"{name}: {error}") from None
            for part, part_shape in layer.parameter_shapes().items():
                parameter_shapes[f"{name}.{part}"] = part_shape
        #: The output shape of each layer by its name.
        self.shapes: Mapping[str, Shape] = MappingProxyType(shapes)
        #: The shape of each parameter by its name, in PyTorch's order.
        self.parameter_shapes: Mapping[str, Shape] = MappingProxyType(parameter_shapes)
        self.output_shape = shape
        self._parameters: dict[str, NDArray[np.float32]] | None = None
        self._predictor: Any = None
        self.classes: tuple[str, ...] | None = None
        if classes is not None:
            self.name_classes(classes)

    def name_classes(self, classes: tuple[str, ...]) -> None:
        """Say what the outputs stand for; raises `ArchitectureError` if their number differs."""
        if self.output_shape != (len(classes),):
            raise ArchitectureError(
                f"The network ends in the shape {self.output_shape}, but there are {len(classes)} "
                f"classes. Its last layer must give {len(classes)} numbers."
            )
        self.classes = tuple(classes)

    # Parameters

    @property
    def initialised(self) -> bool:
        """Whether the parameters have values yet."""
        return self._parameters is not None

    def initialise(self, seed: "int | TorchStream" = 0) -> None:
        """Give every parameter the value PyTorch's own initialisation has for this seed."""
        from neocog.training.torch_stream import TorchStream

        stream = seed if isinstance(seed, TorchStream) else TorchStream(seed)
        self._parameters = stream.initial_parameters(self)
        self._predictor = None

    def state_dict(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name, float32, in PyTorch's shapes; copies, safe to change."""
        if self._parameters is None:
            raise ArchitectureError(
                "This network has no parameters yet: initialise(seed), load or fit it first."
            )
        return {name: value.copy() for name, value in self._parameters.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take every parameter from `state`; names and shapes must be exactly the network's."""
        missing = [name for name in self.parameter_shapes if name not in state]
        extra = [name for name in state if name not in self.parameter_shapes]
        if missing or extra:
            raise ArchitectureError(
                "The weights do not belong to this network: "
                + "; ".join(
                    f"{what} {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
                    for what, names in (("it lacks", missing), ("it has no", extra))
                    if names
                )
                + "."
            )
        for name, shape in self.parameter_shapes.items():
            if tuple(state[name].shape) != shape:
                raise ArchitectureError(
                    f"{name} must have the shape {shape}, not {tuple(state[name].shape)}."
                )
        self._parameters = {
            name: np.array(state[name], dtype=np.float32, order="C")
            for name in self.parameter_shapes
        }
        self._predictor = None

    def parameter_count(self) -> int:
        """How many numbers the network learns."""
        return sum(int(np.prod(shape)) for shape in self.parameter_shapes.values())

    # Use

    def predict_proba(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the classes, float32 [n, classes], for uint8 images [n, h, w, c]."""
        from neocog.engine import predict_probabilities

        return predict_probabilities(self, images, threads=threads)

    def predict(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.int64]:
        """The most probable class of each image, int64 [n], for uint8 images [n, h, w, c]."""
        best: NDArray[np.int64] = self.predict_proba(images, threads=threads).argmax(axis=1)
        return best

    def kept_predictor(self, make: Callable[["Network"], T]) -> T:
        """For the engine: what it keeps for predicting, made anew after parameters changed."""
        if self._predictor is None:
            self._predictor = make(self)
        predictor: T = self._predictor
        return predictor

    def save(self, path: str | Path) -> None:
        """Write a ``.safetensors``, or the weights alone to a ``.pth``, whole or not at all."""
        from neocog.formats import save

        save(self, path)

    def __iter__(self) -> Iterator[tuple[str, Layer]]:
        return iter(self.layers.items())

    def __repr__(self) -> str:
        rows = "".join(f"  {name}={layer},\n" for name, layer in self)
        return f"Network(\n{rows})"
