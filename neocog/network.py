"""`Network`: a graph with its parameters, its preprocessing and the names of its classes.

It is a façade: `neocog.layers.graph` describes, `neocog.engine` computes, `neocog.formats` reads
and writes, and none of them knows about it.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError
from neocog.extras import module_of_extra
from neocog.formats import ModelParts, save_parts
from neocog.layers import Graph, Layer, Node, Shape, chain
from neocog.layers.listing import listing
from neocog.limits import require_memory
from neocog.losses import answers_of, probabilities_of
from neocog.network_values import Trained, Values, changing, copied_state, size_of
from neocog.preprocessing import Preprocessing
from neocog.random import TorchStream
from neocog.settings.training import LOSSES
from neocog.validation import choice, instance, real

if TYPE_CHECKING:
    from neocog.engines import Chosen

__all__ = ["Network", "Trained", "check_network"]


class Network:
    """A neural network, whose layers feed each other in the order in which they are named.

    ``Network(conv1=Conv2d(3, 16, 3, padding=1), relu=ReLU(), …)`` describes the network; its
    parameters are ``conv1.weight`` and so on, float32 in PyTorch's shapes. They are created by
    `initialize`, `load_state_dict` or the first `neocog.fit`. Layers and shapes are fixed;
    parameters, `classes` and `preprocessing` can be replaced, and later calls use the new ones. A
    network can be copied (`copy`, `copy.deepcopy`) and pickled.

    Args:
        input_shape: (channels, height, width) of one image.
        classes: names of the classes, if known; `neocog.fit` takes them from the data.
        preprocessing: how pixels become inputs.
        **layers: the layers by name.

    Raises:
        ArchitectureError: the message has the layer whose input does not fit.
    """

    def __init__(
        self,
        *,
        input_shape: Shape = (3, 32, 32),
        classes: tuple[str, ...] | None = None,
        preprocessing: Preprocessing | None = None,
        **layers: Layer,
    ) -> None:
        self._begin(Graph(chain(layers), input_shape), classes, preprocessing)

    @classmethod
    def from_nodes(
        cls,
        nodes: Iterable[Node],
        *,
        input_shape: Shape = (3, 32, 32),
        classes: tuple[str, ...] | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> "Network":
        """A network whose layers may read any earlier layers, and several at once.

        ::

            Network.from_nodes(
                [
                    Node("conv", Conv2d(3, 8, 3, padding=1)),
                    Node("left", Conv2d(8, 8, 1)),
                    Node("right", Conv2d(8, 8, 3, padding=1), "conv"),
                    Node("sum", Add(), ("left", "right")),
                    Node("flatten", Flatten()),
                    Node("fc", Linear(8 * 32 * 32, 10)),
                ]
            )

        Args:
            nodes: the layers with their names and the names of the layers that each reads, which
                must come before it; by default the previous one. ``"input"`` is the image. The last
                layer gives the network's output.
            input_shape: (channels, height, width) of one image.
            classes: as in `Network`.
            preprocessing: as in `Network`.

        Raises:
            ArchitectureError: the message has the layer whose inputs are missing or do not fit.
        """
        return cls.from_graph(Graph(nodes, input_shape), classes, preprocessing)

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        classes: tuple[str, ...] | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> "Network":
        """A network from a graph, without parameters."""
        network = cls.__new__(cls)
        network._begin(graph, classes, preprocessing)
        return network

    def _begin(
        self, graph: Graph, classes: tuple[str, ...] | None, preprocessing: Preprocessing | None
    ) -> None:
        self._graph = graph
        channels = graph.input_shape[0]
        if preprocessing is None:
            preprocessing = Preprocessing((0.5,) * channels, (0.5,) * channels)
        self._values = Values(self._checked(preprocessing))
        self._threshold: float | None = None
        self._loss = LOSSES[0]
        self._engine: Chosen | None = None
        self._classes: tuple[str, ...] | None = None
        self.classes = classes
        #: For `neocog.fit`; None if the weights come from elsewhere.
        self.trained: Trained | None = None

    # Description

    @property
    def graph(self) -> Graph:
        """The graph: layers, what each reads, and all shapes."""
        return self._graph

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self._graph.input_shape

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by name, in order; a container is one layer."""
        return self._graph.layers

    @property
    def leaves(self) -> Mapping[str, Layer]:
        """The layers that are not containers, in order, by full name (``block1.body.conv``)."""
        return self._graph.leaves

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The output shape of each layer, also within containers, by full name."""
        return self._graph.shapes

    @property
    def output_shape(self) -> Shape:
        """The shape of the network's output."""
        return self._graph.output_shape

    @property
    def parameter_shapes(self) -> Mapping[str, Shape]:
        """The shape of each parameter by name, in PyTorch's order."""
        return self._graph.parameter_shapes

    @property
    def buffer_shapes(self) -> Mapping[str, Shape]:
        """The shape of each buffer, an array that is not learned, such as running statistics."""
        return self._graph.buffer_shapes

    @property
    def state_shapes(self) -> Mapping[str, Shape]:
        """Parameters and buffers together, in the order of PyTorch's state dict."""
        return self._graph.state_shapes

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels become inputs. A new one applies from the next prediction on."""
        return self._values.preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Preprocessing) -> None:
        checked = self._checked(value)
        with changing():
            self._values = self._values.override(preprocessing=checked)

    @property
    def temperature(self) -> float:
        """T of the probabilities softmax(scores / T): above 0, and 1 unless it was calibrated.

        `neocog.calibrate` fits it. It is kept when the weights are replaced, but `neocog.fit`
        resets it to 1, as it was fitted to the weights before.
        """
        return self._values.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        wanted = "a number above 0, such as 1.5"
        checked = real("temperature", value, above=0, wanted=wanted, error=ArchitectureError)
        with changing():
            self._values = self._values.override(temperature=checked)

    @property
    def threshold(self) -> float | None:
        """The probability that an answer of `predict` needs; None if all images get an answer."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float | None) -> None:
        least = 0 if value is None else value
        self._threshold = real("threshold", least, 0, 1, error=ArchitectureError) or None

    @property
    def loss(self) -> str:
        """The loss that it was trained by, which says what its outputs mean; one of `LOSSES`."""
        return self._loss

    @loss.setter
    def loss(self, value: str) -> None:
        self._loss = choice("loss", value, LOSSES, error=ArchitectureError)

    def _checked(self, preprocessing: object) -> Preprocessing:
        wanted = "a Preprocessing, such as Preprocessing((0.5,), (0.5,))"
        found = instance(
            "preprocessing", preprocessing, Preprocessing, wanted, error=ArchitectureError
        )
        if len(found.mean) != self.input_shape[0]:
            raise ArchitectureError(
                f"preprocessing has {len(found.mean)} channels, the input {self.input_shape[0]}."
            )
        return found

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None if they are unknown."""
        return self._classes

    @classes.setter
    def classes(self, value: tuple[str, ...] | None) -> None:
        if value is None:
            self._classes = None
        else:
            self.name_classes(value)

    def name_classes(self, classes: tuple[str, ...]) -> None:
        """Set the names of the classes; see `neocog.class_names` for the names that are allowed.

        Raises:
            ArchitectureError: their number is not that of the outputs, or a name is not allowed.
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
        """Whether the parameters have values."""
        return self._values.state is not None

    def initialize(self, seed: int | TorchStream = 0) -> None:
        """Initialize every parameter as PyTorch does with this seed."""
        stream = seed if isinstance(seed, TorchStream) else TorchStream(seed)
        sizes = [size_of(shape) for shape in self.state_shapes.values()]
        # Random words and the numbers made of them take another 16 bytes per number of one array.
        needed = 4 * sum(sizes) + 16 * max(sizes, default=0)
        require_memory(needed, "This network", "Describe a smaller one.")
        self._replace(stream.initial_state(self._graph))

    def _replace(self, state: dict[str, NDArray[Any]]) -> None:
        with changing():
            self._values = self._values.override(state=state)
            self.trained = None

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of parameters and buffers, in PyTorch's names, shapes and order.

        They are float32, except for batch normalization's ``num_batches_tracked``, which is int64.
        """
        return {name: value.copy() for name, value in self._values.arrays().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Set every parameter and buffer from `state`; names and shapes must be the network's.

        The arrays are copied, and may be tensors of PyTorch's: ``module.state_dict()``.
        """
        self._replace(copied_state(state, self.state_shapes))

    def copy(self) -> "Network":
        """A copy of the network with its own parameters, if it has any."""
        return copy.copy(self)  # values are shared until either network changes them

    def parameter_count(self) -> int:
        """The number of learned parameters."""
        return sum(size_of(shape) for shape in self.parameter_shapes.values())

    # Use

    def predict_proba(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of the classes, float32 [n, classes], for uint8 images [n, h, w, c].

        They are softmax(scores / temperature); after binary cross-entropy the σ(scores /
        temperature) of each label, after squared error the outputs themselves. The images may also
        be a list or a tensor; a single image is passed as a batch of one: ``image[None]``.
        """
        values = self._values
        found: NDArray[np.float32]
        scores, found = values.predictor(self._graph, self._engine).predict(images, threads)
        if values.temperature == 1 and self._loss == LOSSES[0]:
            return found
        return probabilities_of(self._loss, scores, values.temperature)

    def predict(
        self,
        images: NDArray[np.uint8],
        *,
        threshold: float | None = None,
        threads: int | None = None,
    ) -> NDArray[Any]:
        """The most probable class of each image, int64 [n], for uint8 images [n, h, w, c].

        It is −1, "none of these", if its probability is below the threshold, 0 to 1. None is the
        network's own threshold, and 0 gives every image an answer. Of networks trained by binary
        cross-entropy it is 1 for each label whose probability is at least the threshold (0.5 if
        there is none), else 0, int64 [n, labels]; of squared error the outputs, float32.
        """
        least = self.threshold if threshold is None else real("threshold", threshold, 0, 1)
        return answers_of(self._loss, self.predict_proba(images, threads=threads), least)

    def predict_scores(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """The outputs before softmax or σ, float32 [n, classes]; images as in `predict_proba`."""
        predictor = self._values.predictor(self._graph, self._engine)
        scores: NDArray[np.float32] = predictor.predict(images, threads)[0]
        return scores

    def use_engine(self, engine: "str | Chosen" = "auto", device: str | None = None) -> None:
        """Choose what computes predictions from now on; neocog's kernels do where nobody chose.

        It is for `predict`, `predict_proba` and `predict_scores`, and so for `neocog.evaluate`.
        Copies of the network keep it, files do not. Scores differ by rounding between engines.

        Args:
            engine: "neocog", "torch" or "auto", as `neocog.fit` takes them.
            device: "cpu", "cuda", "cuda:1" or "mps", for PyTorch; a GPU, if None and there is one.

        Raises:
            NeocogError: PyTorch is asked for and not installed, or has no such device.
        """
        from neocog.engines import choose_for_predictions

        chosen = choose_for_predictions(engine, device) if isinstance(engine, str) else engine
        self._engine = None if chosen.engine == "neocog" else chosen

    def parts(self, notes: Mapping[str, Any] | None = None) -> ModelParts:
        """The parts that a model file has, with notes about the training."""
        values, notes = self._values, notes or {}
        look, temperature = values.preprocessing, values.temperature
        said = (look, self._classes, temperature, self._threshold, notes, self._loss)
        return ModelParts(self._graph, values.arrays(), *said)

    def save(self, path: str | Path) -> None:
        """Write a ``.safetensors``, or only the weights to a ``.pth``, completely or not at all."""
        save_parts(self.parts(), path)

    def to_torch(self) -> Any:
        """A ``torch.nn.Module`` with this network's layers and names, and copies of its weights.

        For what it takes and gives see `neocog.torch_engine.module.to_torch`.

        Raises:
            ArchitectureError: a layer has a name that PyTorch reserves, such as ``forward``.
            NeocogError: PyTorch is not installed.
        """
        home = "neocog.torch_engine.module"
        return module_of_extra(home, "to_torch()", "PyTorch", "torch").to_torch(self)

    def __iter__(self) -> Iterator[tuple[str, Layer]]:
        return iter(self._graph.layers.items())

    def __repr__(self) -> str:
        return listing(self._graph)


def check_network(value: object) -> Network:
    """Check that this is a network; raises `ArchitectureError` for anything else."""
    wanted = "a neocog.Network, such as neocog.models.simple_cnn()"
    return instance("network", value, Network, wanted, error=ArchitectureError)
