"""`Network`: named layers in a row, their shapes and their parameters.

It does not know how it is run: `predict_proba` asks `neocog.engine`, and `save` asks
`neocog.formats`, each imported when called, so that describing a network needs neither.
"""

import copy
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError
from neocog.layers import Layer, Shape, all_shapes, image_shape, leaves
from neocog.limits import require_memory
from neocog.preprocessing import Preprocessing
from neocog.validation import instance, real, shown

if TYPE_CHECKING:
    from neocog.random.torch_stream import TorchStream

__all__ = ["Network", "Trained", "check_network", "state_dtype"]

T = TypeVar("T")

# Rows of a network's `repr`, and characters of one.
_MOST_ROWS = 60
_LONGEST_ROW = 300

# Held for the moment in which a network's values are replaced by others that follow from them.
_changing = threading.Lock()


def _let_go() -> None:
    """Another lock for a fork of this process, which has no thread to let go of the old one."""
    global _changing
    _changing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def state_dtype(name: str) -> type[np.generic]:
    """The kind of number in an array of a state dict."""
    return np.int64 if name.endswith(".num_batches_tracked") else np.float32


@dataclass(frozen=True)
class Trained:
    """Where the random numbers of a network's training stand, for `neocog.fit` to go on from.

    Attributes:
        seed: that they began with.
        epochs: that have had theirs.
        stream: the state of PyTorch's stream behind the latest epoch.
    """

    seed: int
    epochs: int
    stream: Mapping[str, NDArray[Any]]


class _Values:
    """All that a prediction depends on but the layers, and what is kept for predicting with it.

    It stays as it is: a network whose weights or preprocessing change gets another one. So what is
    kept is never that of other values, whichever network has them and whichever thread changes
    them; and networks with the same values share them.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        state: dict[str, NDArray[Any]] | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.preprocessing = preprocessing
        self.state = state
        self.temperature = temperature
        self.predictor: Any = None
        for array in (state or {}).values():
            array.setflags(write=False)

    def override(self, **changes: Any) -> "_Values":
        """The same with some of them replaced, and nothing that was kept."""
        own = {name: getattr(self, name) for name in ("preprocessing", "state", "temperature")}
        return _Values(**(own | changes))

    def __getstate__(self) -> dict[str, Any]:
        # A predictor has addresses of machine code, and threads; another process makes its own.
        return {**vars(self), "predictor": None}

    def __deepcopy__(self, memo: object) -> "_Values":
        return self


class Network:
    """Layers that feed each other in the order they are named.

    ``Network(conv1=Conv2d(3, 16, 3, padding=1), relu=ReLU(), …)`` describes the network; its
    parameters are ``conv1.weight`` and so on, float32 in PyTorch's shapes. They come into being
    with `initialize`, `load_state_dict` or the first `neocog.fit`. Layers and shapes stay as they
    are; parameters, `classes` and `preprocessing` can be replaced, and whatever is done next uses
    the new ones. A network can be copied (`copy`, `copy.deepcopy`) and pickled.

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
        self._input_shape = image_shape(input_shape)
        if not layers:
            raise ArchitectureError("A network needs at least one layer.")
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise ArchitectureError(f"{name}: {shown(layer)} is not a layer.")
        self._layers = dict(layers)
        channels = self._input_shape[0]
        if preprocessing is None:
            preprocessing = Preprocessing((0.5,) * channels, (0.5,) * channels)
        self._values = _Values(self._checked(preprocessing))
        self._threshold: float | None = None
        try:
            self._shapes = all_shapes(layers, self._input_shape)
            self._leaves = dict(leaves(layers))
        except RecursionError:
            raise ArchitectureError("Layers lie too deep within each other.") from None
        self._output_shape = self._shapes[list(layers)[-1]]
        self._parameter_shapes: dict[str, Shape] = {}
        self._buffer_shapes: dict[str, Shape] = {}
        self._state_shapes: dict[str, Shape] = {}
        for name, layer in self._leaves.items():
            for found, shapes in (
                (self._parameter_shapes, layer.parameter_shapes()),
                (self._buffer_shapes, layer.buffer_shapes()),
            ):
                for part, shape in shapes.items():
                    found[f"{name}.{part}"] = self._state_shapes[f"{name}.{part}"] = shape
        self._classes: tuple[str, ...] | None = None
        self.classes = classes
        #: For `neocog.fit`; None where the weights come from elsewhere.
        self.trained: Trained | None = None

    # What it is

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self._input_shape

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by name, in order; containers are one layer."""
        return MappingProxyType(self._layers)

    @property
    def leaves(self) -> Mapping[str, Layer]:
        """The layers that are not made of layers, in order, by full name (``block1.body.conv``)."""
        return MappingProxyType(self._leaves)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The output shape of each layer, and of each layer within it, by its full name."""
        return MappingProxyType(self._shapes)

    @property
    def output_shape(self) -> Shape:
        """What the last layer gives."""
        return self._output_shape

    @property
    def parameter_shapes(self) -> Mapping[str, Shape]:
        """The shape of each parameter by its name, in PyTorch's order."""
        return MappingProxyType(self._parameter_shapes)

    @property
    def buffer_shapes(self) -> Mapping[str, Shape]:
        """The shape of each array that is kept but not learned, such as running statistics."""
        return MappingProxyType(self._buffer_shapes)

    @property
    def state_shapes(self) -> Mapping[str, Shape]:
        """Parameters and buffers together, in the order of PyTorch's state dict."""
        return MappingProxyType(self._state_shapes)

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels become inputs. Another one is used from the next prediction on."""
        return self._values.preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Preprocessing) -> None:
        checked = self._checked(value)
        with _changing:
            self._values = self._values.override(preprocessing=checked)

    @property
    def temperature(self) -> float:
        """T of the probabilities softmax(scores / T): above 0, and 1 unless it was calibrated.

        `neocog.calibrate` fits it. It stays with the network when its weights are replaced, but
        `neocog.fit` sets it to 1 again, as it was fitted for the weights from before.
        """
        return self._values.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        wanted = "a number above 0, such as 1.5"
        checked = real("temperature", value, above=0, wanted=wanted, error=ArchitectureError)
        with _changing:
            self._values = self._values.override(temperature=checked)

    @property
    def threshold(self) -> float | None:
        """The probability that the answers of `predict` need; None if all images are answered."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float | None) -> None:
        least = 0 if value is None else value
        self._threshold = real("threshold", least, 0, 1, error=ArchitectureError) or None

    def _checked(self, preprocessing: object) -> Preprocessing:
        wanted = "a Preprocessing, such as Preprocessing((0.5,), (0.5,))"
        found = instance(
            "preprocessing", preprocessing, Preprocessing, wanted, error=ArchitectureError
        )
        if len(found.mean) != self._input_shape[0]:
            raise ArchitectureError(
                f"preprocessing has {len(found.mean)} channels, the input {self._input_shape[0]}."
            )
        return found

    @property
    def classes(self) -> tuple[str, ...] | None:
        """What the outputs stand for; None if nobody has said so."""
        return self._classes

    @classes.setter
    def classes(self, value: tuple[str, ...] | None) -> None:
        if value is None:
            self._classes = None
        else:
            self.name_classes(value)

    def name_classes(self, classes: tuple[str, ...]) -> None:
        """Say what the outputs stand for; see `neocog.class_names` for what names may be.

        Raises:
            ArchitectureError: their number is not that of the outputs, or one can be no name.
        """
        found = class_names(classes)
        if self.output_shape != (len(found),):
            raise ArchitectureError(
                f"The network ends in the shape {self.output_shape}, but there are {len(found)} "
                f"classes. Its last layer must give {len(found)} numbers."
            )
        self._classes = found

    # Parameters

    @property
    def initialized(self) -> bool:
        """Whether the parameters have values yet."""
        return self._values.state is not None

    def initialize(self, seed: "int | TorchStream" = 0) -> None:
        """Give every parameter the value PyTorch's own initialization has for this seed."""
        from neocog.random.torch_stream import TorchStream

        stream = seed if isinstance(seed, TorchStream) else TorchStream(seed)
        sizes = [_size(shape) for shape in self._state_shapes.values()]
        # Random words and what is made of them take another 16 bytes a number, one by one array.
        needed = 4 * sum(sizes) + 16 * max(sizes, default=0)
        require_memory(needed, "This network", "Describe a smaller one.")
        self._replace(stream.initial_state(self))

    def _replace(self, state: dict[str, NDArray[Any]]) -> None:
        with _changing:
            self._values = self._values.override(state=state)
            self.trained = None

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Parameters and buffers by name, in PyTorch's names, shapes and order; copies.

        Float32, but for ``num_batches_tracked`` of a batch normalization, which is int64.
        """
        state = self._values.state
        if state is None:
            raise ArchitectureError(
                "This network has no parameters yet: initialize(seed), load or fit it first."
            )
        return {name: value.copy() for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take every parameter and buffer from `state`; names and shapes must be the network's.

        The arrays are copied.
        """
        wanted = "arrays by name, such as state_dict() gives"
        instance("state", state, Mapping, wanted, error=ArchitectureError)  # type: ignore[type-abstract]
        missing = [name for name in self.state_shapes if name not in state]
        extra = [str(name) for name in state if name not in self.state_shapes]
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
        self._replace(
            {name: _array(name, state[name], shape) for name, shape in self._state_shapes.items()}
        )

    def copy(self) -> "Network":
        """The same network, with parameters of its own, if there are any."""
        return copy.copy(self)  # values are shared as long as both have the same

    def parameter_count(self) -> int:
        """How many numbers the network learns."""
        return sum(_size(shape) for shape in self._parameter_shapes.values())

    # Use

    def predict_proba(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the classes, float32 [n, classes], for uint8 images [n, h, w, c].

        They are softmax(scores / temperature).
        Also for a list of images, or a tensor; one image is a batch of one: ``image[None]``.
        """
        from neocog.engine import predict_probabilities

        return predict_probabilities(self, images, threads=threads)

    def predict(
        self,
        images: NDArray[np.uint8],
        *,
        threshold: float | None = None,
        threads: int | None = None,
    ) -> NDArray[np.int64]:
        """The most probable class of each image, int64 [n], for uint8 images [n, h, w, c].

        It is −1, none of these, where its probability is below the threshold, 0 to 1: the
        network's own if None, and 0 for an answer to every image.
        """
        least = self.threshold if threshold is None else real("threshold", threshold, 0, 1)
        found = self.predict_proba(images, threads=threads)
        best: NDArray[np.int64] = found.argmax(axis=1)
        if least:
            best[~(found.max(axis=1).astype(np.float64) >= least)] = -1
        return best

    def kept_predictor(self, make: Callable[["Network"], T]) -> T:
        """For the engine: what it keeps for predicting with the network as it is now.

        Args:
            make: makes it from a network of these layers and values, which nobody changes.
        """
        values = self._values
        if values.predictor is None:
            fixed = copy.copy(self)
            fixed._values = values.override()
            values.predictor = make(fixed)
        predictor: T = values.predictor
        return predictor

    def save(self, path: str | Path) -> None:
        """Write a ``.safetensors``, or the weights alone to a ``.pth``, whole or not at all."""
        from neocog.formats import save

        save(self, path)

    def __iter__(self) -> Iterator[tuple[str, Layer]]:
        return iter(self._layers.items())

    def __repr__(self) -> str:
        rows = [f"  {name}={layer}" for name, layer in self]
        rows = [row if len(row) <= _LONGEST_ROW else f"{row[:_LONGEST_ROW]} …" for row in rows]
        if len(rows) > _MOST_ROWS:
            half = _MOST_ROWS // 2
            rows[half:-half] = [f"  … and {len(rows) - 2 * half} layers more …"]
        return "\n".join(["Network(", *(f"{row}," for row in rows), ")"])


def check_network(value: object) -> Network:
    """The network; raises `ArchitectureError` for anything else."""
    wanted = "a neocog.Network, such as neocog.models.simple_cnn()"
    return instance("network", value, Network, wanted, error=ArchitectureError)


def _size(shape: Shape) -> int:
    return int(np.prod(shape, dtype=object)) if shape else 1


def _array(name: str, value: object, shape: Shape) -> NDArray[Any]:
    """A copy of an array of a state dict, in the type that it has here."""
    try:
        given = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: PyTorch's
        raise ArchitectureError(f"{name} is no array of numbers: {error}.") from None
    if given.shape != shape:
        raise ArchitectureError(f"{name} must have the shape {shape}, not {given.shape}.")
    dtype = state_dtype(name)
    if dtype is np.int64 and given.dtype.kind not in "iu":
        raise ArchitectureError(f"{name} must hold a whole number.")
    if given.dtype.kind not in "fiu":
        raise ArchitectureError(f"{name} must hold numbers, not {given.dtype}.")
    with np.errstate(over="ignore"):
        found: NDArray[Any] = np.array(given, dtype=dtype, order="C")
    if not np.isfinite(found).all() and not (np.isfinite(given) == np.isfinite(found)).all():
        raise ArchitectureError(f"{name} holds numbers that are too large for float32.")
    return found
