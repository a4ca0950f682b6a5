"""Makes an ONNX model of a network's parts, without PyTorch.

    pictures uint8 [batch, height, width, channels]
        → x = pixel · scale + shift, [batch, channels, height, width]
        → the layers → scores [batch, classes]
        → softmax(scores / temperature), after binary cross-entropy σ(…)

The first and the last step can be left out. Weights have PyTorch's names, and a layer's last node
and its output have the layer's name. The same network gives the same bytes.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from neocog.errors import ArchitectureError, FormatError
from neocog.formats.metadata import gives_probabilities, metadata_of
from neocog.formats.model_file import describe_network
from neocog.formats.onnx.fingerprint import DESCRIPTION, FINGERPRINT, fingerprint
from neocog.formats.onnx.reading.content import Content
from neocog.formats.onnx.reading.messages import parse
from neocog.formats.onnx.writing import (
    pooling_layer_rules as pooling_layer_rules,  # registers its rules
)
from neocog.formats.onnx.writing.builder import GraphBuilder, LayerNodes
from neocog.formats.onnx.writing.layer_rules import onnx_nodes
from neocog.formats.parts import ModelParts
from neocog.layers import Graph, Shape
from neocog.limits import readable
from neocog.preprocessing import Preprocessing
from neocog.settings.training import LOSSES
from neocog.version import __version__

__all__ = [
    "BATCH",
    "INPUTS",
    "OPSET",
    "PROBABILITIES",
    "SCORES",
    "make_onnx",
    "onnx_nodes",
]

#: The version of ONNX's operators; `layer_rules` says why this one.
OPSET = 17
# The oldest file version that has it.
_IR_VERSION = 8
#: The name of the number of images in shapes.
BATCH = "batch"
#: The name of the input, by whether it is pictures.
INPUTS = {True: "images", False: "input"}
#: Names of the outputs; where there are probabilities, scores are a value within the graph.
SCORES, PROBABILITIES = "scores", "probabilities"
# A protobuf message can have 2 GiB; the rest is for the graph.
_MOST_BYTES = 2**31 - 2**24


def make_onnx(parts: ModelParts, *, pictures: bool = True, softmax: bool = True) -> ModelProto:
    """The model of a network, checked by ONNX's checker and its inference of shapes.

    Args:
        parts: of the network, with its weights.
        pictures: take uint8 pictures [batch, height, width, channels] of the network's size and
            preprocess them within the graph; else float32 [batch, channels, height, width] that is
            preprocessed already.
        softmax: give probabilities; else scores. A network that was trained by squared error gives
            scores, which are its answer, in both cases.

    Raises:
        ArchitectureError: a layer has no form in ONNX, or the network does not end in one number a
            class.
        FormatError: the weights are more than the 2 GB that such a file can hold.
    """
    graph, state = parts.graph, parts.state
    if len(graph.output_shape) != 1:
        raise ArchitectureError(
            f"The network ends in the shape {graph.output_shape}; only one that ends in one number "
            "a class can be written as ONNX. Add a Flatten, and a Linear if it has too many."
        )
    size = sum(value.nbytes for value in state.values())
    if size > _MOST_BYTES:
        raise FormatError(
            f"The weights take {readable(size)}, and a .onnx file holds at most 2 GB. Write a "
            ".safetensors instead."
        )
    softmax = gives_probabilities(parts.loss, softmax)
    builder = GraphBuilder([*INPUTS.values(), SCORES, PROBABILITIES, *state])
    first, x = _input(graph.input_shape, parts.preprocessing, builder, pictures)
    shapes: dict[str, Shape] = {}
    shapes.pop(_layers(graph, state, x, builder, shapes))
    # The last node's, as dropout adds none and something has made a row of the map.
    builder.nodes[-1].output[0] = SCORES
    output = SCORES
    if softmax:
        shapes[SCORES] = graph.output_shape
        _probabilities(parts, builder)
        output = PROBABILITIES
    last = _info(output, graph.output_shape)
    constants = [one for one in builder.initializers if one.name not in state]
    model = helper.make_model(
        helper.make_graph(builder.nodes, "neocog", [first], [last], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="neocog",
        producer_version=__version__,
    )
    said = metadata_of(parts, pictures=pictures, softmax=softmax) | _description(parts, model)
    helper.set_model_props(model, said)
    model.graph.initializer.extend(one for one in builder.initializers if one.name in state)
    model.graph.value_info.extend(_info(name, shape) for name, shape in shapes.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def _description(parts: ModelParts, skeleton: ModelProto) -> dict[str, str]:
    """The metadata by which the network comes back as it is; none if it could not be read.

    Args:
        parts: of the network.
        skeleton: its model without weights.
    """
    try:
        text = describe_network(replace(parts, notes={}))
        graph = parse(Content(io.BytesIO(skeleton.SerializeToString())))
    except (ArchitectureError, FormatError):  # such as of a layer of the user's own
        return {}
    mark = fingerprint(graph, parts.state)
    return {} if mark is None else {DESCRIPTION: text, FINGERPRINT: mark}


def _info(name: str, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])


def _input(
    shape: tuple[int, int, int], preprocessing: Preprocessing, builder: GraphBuilder, pictures: bool
) -> tuple[ValueInfoProto, str]:
    """The graph's input, and the name of the value that the layers read."""
    name, (channels, height, width) = INPUTS[pictures], shape
    if not pictures:
        return _info(name, shape), name
    bytes_ = [BATCH, height, width, channels]
    info = helper.make_tensor_value_info(name, TensorProto.UINT8, bytes_)
    x = builder.add("Transpose", "preprocessing/Transpose", [name], perm=(0, 3, 1, 2))
    x = builder.add("Cast", "preprocessing/Cast", [x], to=TensorProto.FLOAT)
    for operator, part, values in (
        ("Mul", "scale", preprocessing.scale),
        ("Add", "shift", preprocessing.shift),
    ):
        numbers = np.array(values, np.float32).reshape(channels, 1, 1)
        constant = builder.constant(f"preprocessing/{part}", numbers)
        x = builder.add(operator, f"preprocessing/{operator}", [x, constant])
    return info, x


def _layers(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    x: str,
    builder: GraphBuilder,
    shapes: dict[str, Shape],
) -> str:
    """Add every layer's nodes, and the shapes of their outputs; returns the last output's name."""
    values: list[str] = []
    for node, sources in zip(graph.nodes, graph.sources, strict=True):
        rule = onnx_nodes.of(node.layer)
        if rule is None:
            kind = type(node.layer).__name__
            raise ArchitectureError(f"{node.name}: there are no ONNX operators for {kind}.")
        inputs = tuple(values[i] if i >= 0 else x for i in sources)
        of_inputs = tuple(
            graph.shapes[graph.nodes[i].name] if i >= 0 else graph.input_shape for i in sources
        )
        shape = graph.shapes[node.name]
        value = rule(node.layer, LayerNodes(builder, node.name, inputs, of_inputs, shape, state))
        if value not in inputs:
            value = builder.rename(builder.free(node.name))
            shapes[value] = shape
        values.append(value)
    return values[-1]


def _probabilities(parts: ModelParts, builder: GraphBuilder) -> None:
    scores = SCORES
    if parts.temperature != 1:
        temperature = builder.constant("temperature", np.array(parts.temperature, np.float32))
        scores = builder.add("Div", "calibrated", [scores, temperature])
    operator = "Sigmoid" if parts.loss == LOSSES[1] else "Softmax"
    attributes = {} if operator == "Sigmoid" else {"axis": 1}
    builder.nodes.append(
        helper.make_node(operator, [scores], [PROBABILITIES], name=PROBABILITIES, **attributes)
    )
