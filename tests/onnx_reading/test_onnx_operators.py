"""ONNX's own tests of its operators (``onnx.backend.test``), for those that the rules know.

Each is one node with inputs and outputs. The first input becomes the image, the others constants of
the file, as they are in a network. What is computed is the graph's formula (`neocog.reference`),
which all kernels are tested against.
"""

import warnings
from functools import cache

import numpy as np
import pytest

from neocog.errors import FormatError
from neocog.formats.onnx.reading.reader import read_onnx
from neocog.reference import forward

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

# Operators by whether their tests treat each number alike, so that any shape can be an image's.
ELEMENTWISE = (
    "Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "HardSigmoid", "HardSwish", "Mish",
    "Gelu", "Swish", "Clip", "Identity", "Dropout", "Neg", "PRelu",
)  # fmt: skip
MERGING = ("Add", "Sub", "Mul", "Sum")
# How many tests are read and right. Others are of a form that no layer has: of three axes or five,
# of integers, in training, with other constants; the reader's message says which.
RIGHT = {
    "Add": 1, "AveragePool": 9, "BatchNormalization": 2, "Clip": 7, "Conv": 6, "Dropout": 6,
    "Elu": 3, "Flatten": 3, "Gelu": 4, "Gemm": 8, "GlobalAveragePool": 2, "GlobalMaxPool": 2,
    "GroupNormalization": 2, "HardSigmoid": 3, "HardSwish": 1, "InstanceNormalization": 2,
    "LayerNormalization": 3, "LeakyRelu": 3, "LogSoftmax": 2,
    "MatMul": 1, "MaxPool": 9, "Mish": 1, "Mul": 2, "Neg": 2,
    "PRelu": 1, "Relu": 1, "Resize": 4, "Sigmoid": 2, "Softmax": 2, "Softplus": 2, "Sub": 2,
    "Sum": 2, "Swish": 1, "Tanh": 2, "Upsample": 1,
}  # fmt: skip


@cache
def all_cases():
    """Made anew by the package's code, which takes some seconds."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of tests of other operators
        from onnx.backend.test.case.node import collect_testcases

        return collect_testcases()


def cases(operator):
    """The tests of an operator that consist of this one node and have float32 inputs."""
    for case in all_cases():
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type == operator and not case.model.functions:
            yield case


def as_network(case, directory):
    """A file whose image is the test's first input; also the image, and the wanted output."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    node = graph.node[0]
    inputs, outputs = case.data_sets[0]
    image, wanted = np.asarray(inputs[0]), np.asarray(outputs[0])
    shape, names = list(image.shape), [name for name in node.input if name]
    if node.op_type in ELEMENTWISE and image.ndim != 4:
        shape = [1, image.size, 1, 1]
        wanted = wanted.reshape(shape)
        inputs = [image, *(np.reshape(one, (-1, 1, 1)) if np.size(one) == image.size else one
                           for one in inputs[1:])]  # fmt: skip
    elif node.op_type in ("Gemm", "Softmax", "LogSoftmax", "MatMul") and image.ndim == 2:
        shape = [*image.shape, 1, 1]
        _through(graph, "Flatten", "flat")
    elif node.op_type == "LayerNormalization" and image.ndim == 4:  # of the last axis
        image, wanted = (one.transpose(0, 3, 1, 2) for one in (image, wanted))
        shape = list(image.shape)
        _through(graph, "Transpose", "pixels", perm=(0, 2, 3, 1))
        graph.node.append(helper.make_node("Transpose", ["normal"], ["map"], perm=(0, 3, 1, 2)))
        node.output[0], graph.output[0].name = "normal", "map"
    elif node.op_type in MERGING and len({np.shape(one) for one in inputs}) == 1:
        image, inputs, names = _merged(graph, node, inputs), inputs[:1], []
        shape, wanted = list(image.shape), wanted.reshape(1, -1, 1, 1)
    first = graph.input[0]
    del graph.input[:]
    kind = first.type.tensor_type.elem_type
    graph.input.append(helper.make_tensor_value_info(first.name, kind, shape))
    for name, value in zip(names[1:], inputs[1:], strict=True):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    del graph.output[1:]
    path = directory / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path, image.reshape(shape), wanted


def _through(graph, operator, name, **attributes):
    """Put a node of this operator between the image and the one node of a test."""
    node = graph.node[0]
    before = helper.make_node(operator, [node.input[0]], [name], **attributes)
    node.input[0] = name
    graph.node.insert(0, before)


def _merged(graph, node, inputs):
    """All inputs, of one size, as channels of one image, of which each is a part."""
    size = np.size(inputs[0])
    for at, name in enumerate(list(node.input)):
        bounds = [f"{name} {part}" for part in ("start", "stop", "axis")]
        for bound, value in zip(bounds, (at * size, (at + 1) * size, 1), strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array([value]), bound))
        part = helper.make_node("Slice", ["image", *bounds], [f"{name} of image"])
        graph.node.insert(0, part)
        node.input[at] = f"{name} of image"
    graph.input[0].name = "image"
    return np.concatenate([np.ravel(one) for one in inputs]).reshape(1, -1, 1, 1)


def outcome(case, directory):
    """None if the result is right, else why it is not."""
    path, image, wanted = as_network(case, directory)
    try:
        parts = read_onnx(path).parts
    except FormatError as error:
        return str(error).split(": ", 1)[1]
    state = {name: array.astype(np.float64) for name, array in parts.state.items()}
    found = list(forward(parts.graph, state, image.astype(np.float64)).values())[-1]
    if case.model.graph.node[0].op_type in ("Softmax", "LogSoftmax"):
        # A network gives the scores before it.
        found = found - found.max(-1, keepdims=True)
        found = found - np.log(np.exp(found).sum(-1, keepdims=True))
        found = np.exp(found) if case.model.graph.node[0].op_type == "Softmax" else found
    # Some of the expected numbers are rounded to four digits.
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=case.rtol, atol=1e-6)
    return None


@pytest.mark.parametrize("operator", RIGHT)
def test_the_operator_does_what_onnx_says(operator, tmp_path):
    reasons = {case.name: outcome(case, tmp_path) for case in cases(operator)}
    right = [name for name, reason in reasons.items() if reason is None]
    assert len(right) >= RIGHT[operator], reasons
