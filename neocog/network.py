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
from neocog.layers import Layer, Shape, all_shapes, leaves
from neocog.preprocessing import Preprocessing

if TYPE_CHECKING:
    from neocog.training.torch_stream import TorchStream

__all__ = ["Network", "state_dtype"]

T = TypeVar("T")


def state_dtype(name: str) -> type[np.generic]:
    """The kind of number in an array of a state dict."""
    return np.int64 if name.endswith(".num_batches_tracked") else np.float32


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
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise ArchitectureError(f"{name}: {layer!r} is not a layer.")
        #: The output shape of each layer, and of each layer within it, by its full name.
        self.shapes: Mapping[str, Shape] = MappingProxyType(all_shapes(layers, self.input_shape))
        self.output_shape = self.shapes[list(layers)[-1]]
        #: The layers that are not made of layers, in order, by full name (``block1.body.conv``).
        self.leaves: Mapping[str, Layer] = MappingProxyType(dict(leaves(layers)))
        #: The shape of each parameter by its name, in PyTorch's order.
        self.parameter_shapes: Mapping[str, Shape] = MappingProxyType(
            {
                f"{name}.{part}": shape
                for name, layer in self.leaves.items()
                for part, shape in layer.parameter_shapes().items()
            }
        )
        #: The shape of each array that is kept but not learned, such as running statistics.
        self.buffer_shapes: Mapping[str, Shape] = MappingProxyType(
            {
                f"{name}.{part}": shape
                for name, layer in self.leaves.items()
                for part, shape in layer.buffer_shapes().items()
            }
        )
        #: Parameters and buffers together, in the order of PyTorch's state dict.
        self.state_shapes: Mapping[str, Shape] = MappingProxyType(
            {
                f"{name}.{part}": shape
                for name, layer in self.leaves.items()
                for part, shape in (layer.parameter_shapes() | layer.buffer_shapes()).items()
            }
        )
        self._state: dict[str, NDArray[Any]] | None = None
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
        return self._state is not None

    def initialise(self, seed: "int | TorchStream" = 0) -> None:
        """Give every parameter the value PyTorch's own initialisation has for this seed."""
        from neocog.training.torch_stream import TorchStream

        stream = seed if isinstance(seed, TorchStream) else TorchStream(seed)
        self._state = stream.initial_state(self)
        self._predictor = None

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Parameters and buffers by name, in PyTorch's names, shapes and order; copies.

        Float32, but for ``num_batches_tracked`` of a batch normalisation, which is int64.
        """
        if self._state is None:
            raise ArchitectureError(
                "This network has no parameters yet: initialise(seed), load or fit it first."
            )
        return {name: value.copy() for name, value in self._state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take every parameter and buffer from `state`; names and shapes must be the network's."""
        missing = [name for name in self.state_shapes if name not in state]
        extra = [name for name in state if name not in self.state_shapes]
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
        for name, shape in self.state_shapes.items():
            if tuple(state[name].shape) != shape:
                raise ArchitectureError(
                    f"{name} must have the shape {shape}, not {tuple(state[name].shape)}."
                )
            if state_dtype(name) is np.int64 and np.asarray(state[name]).dtype.kind not in "iu":
                raise ArchitectureError(f"{name} must hold a whole number.")
        self._state = {
            name: np.array(state[name], dtype=state_dtype(name), order="C")
            for name in self.state_shapes
        }
        self._predictor = None

    def copy(self) -> "Network":
        """The same network, with parameters of its own, if there are any."""
        copy = Network(
            input_shape=self.input_shape,
            classes=self.classes,
            preprocessing=self.preprocessing,
            **self.layers,
        )
        if self._state is not None:
            copy._state = self.state_dict()
            copy._predictor = self._predictor  # of one state, whichever network has it
        return copy

    def parameter_count(self) -> int:
        """How many numbers the network learns."""
        return sum(int(np.prod(shape)) for shape in self.parameter_shapes.values())

    # Use

    def predict_proba(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the classes, float32 [n, classes], for uint8 images [n, h, w, c].

        Also for a list of images, or a tensor; one image is a batch of one: ``image[None]``.
        """
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
