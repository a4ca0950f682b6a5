"""What operators and groups of them become, in files written byte by byte."""

import json
import struct

import numpy as np
import pytest
from onnx_bytes import attribute, graph, message, model, node, small, tensor, value

from neocog.errors import FormatError
from neocog.formats.onnx.reading.reader import read_onnx
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    CircularPad2d,
    Conv2d,
    Flatten,
    Hardsigmoid,
    Hardswish,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Mish,
    ReLU,
    ReLU6,
    SiLU,
    Softplus,
    Upsample,
    ZeroPad2d,
)
from neocog.preprocessing import Preprocessing, Resize


def floats(name, numbers, shape=()):
    return tensor(name, shape, struct.pack(f"<{len(numbers)}f", *numbers))


def integers(name, numbers):
    return tensor(name, (len(numbers),), struct.pack(f"<{len(numbers)}q", *numbers), 7)


NUMBERS = {
    "half": 0.5, "one": 1, "two": 2, "three": 3, "zero": 0, "six": 6, "root": 2**0.5,
    "eps": 1e-5, "tanh": 0.7978845608, "cubic": 0.044715,
}  # fmt: skip
CONSTANTS = [floats(name, [number]) for name, number in NUMBERS.items()]


def read(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    return read_onnx(path).parts


def chain(*steps):
    """Nodes of (output, operator, inputs…)."""
    return [node(operator, inputs, [output]) for output, operator, *inputs in steps]


GATE = [("a", "Add", "p", "three"), ("b", "Clip", "a", "zero", "six")]
ERF = [("a", "Div", "p", "root"), ("b", "Erf", "a"), ("c", "Add", "one", "b")]
CUBE = [("a", "Pow", "p", "three"), ("b", "Mul", "cubic", "a"), ("c", "Add", "p", "b")]
CENTER = [("m", "ReduceMean", "p"), ("c", "Sub", "p", "m")]
GROUPS = {
    "silu": (chain(("s", "Sigmoid", "p"), ("q", "Mul", "s", "p")), SiLU()),
    "mish": (chain(("s", "Softplus", "p"), ("t", "Tanh", "s"), ("q", "Mul", "p", "t")), Mish()),
    "hardsigmoid": (chain(*GATE, ("q", "Div", "b", "six")), Hardsigmoid()),
    "hardswish": (chain(*GATE, ("c", "Div", "b", "six"), ("q", "Mul", "p", "c")), Hardswish()),
    "hardswish, divided": (
        chain(*GATE, ("c", "Mul", "p", "b"), ("q", "Div", "c", "six")),
        Hardswish(),
    ),
    "relu6": (chain(("a", "Max", "p", "zero"), ("q", "Min", "a", "six")), ReLU6()),
    "gelu": (chain(*ERF, ("d", "Mul", "p", "c"), ("q", "Mul", "d", "half")), GELU()),
    "gelu, halved": (chain(*ERF, ("d", "Mul", "c", "half"), ("q", "Mul", "p", "d")), GELU()),
    "gelu, divided": (chain(*ERF, ("d", "Mul", "p", "c"), ("q", "Div", "d", "two")), GELU()),
    "gelu of tanh": (
        chain(*CUBE, ("d", "Mul", "tanh", "c"), ("e", "Tanh", "d"), ("h", "Add", "e", "one"),
              ("g", "Mul", "p", "half"), ("q", "Mul", "g", "h")),
        GELU("tanh"),
    ),
    "softplus": (
        chain(("a", "Mul", "p", "two"), ("b", "Softplus", "a"), ("c", "Div", "b", "two"),
              ("d", "Greater", "a", "six"), ("q", "Where", "d", "p", "c")),
        Softplus(2.0, 6.0),
    ),
    "relu": ([node("Clip", ["p", "zero"], ["q"])], ReLU()),
    "upsampling": (
        [node("Resize", ["p", "", "scales"], ["r"]), node("GlobalMaxPool", ["r"], ["q"])],
        Upsample(scale_factor=(2, 3)),
    ),
    "padding by rows": (
        [node("Gather", ["x", "rows"], ["g"], attribute("axis", (3, 2))),
         node("GlobalMaxPool", ["g"], ["q"])],
        CircularPad2d((0, 0, 1, 2)),
    ),
}  # fmt: skip
MORE = [floats("scales", [1, 1, 2, 3], (4,)), integers("rows", [7, *range(8), 0, 1])]


@pytest.mark.parametrize("what", GROUPS)
def test_a_group_of_operators_is_one_layer(what, tmp_path):
    nodes, layer = GROUPS[what]
    parts = read(model(small(*nodes, tensors=[*CONSTANTS, *MORE])), tmp_path)
    found = [one.layer for one in parts.graph.nodes if not isinstance(one.layer, AdaptiveMaxPool2d)]
    assert found[-3:] == [layer, Flatten(), Linear(3, 2, bias=False)]


def test_layer_normalization_in_single_steps(tmp_path):
    axes = attribute("axes", (8, 1))
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes),
        node("Sub", ["x", "m"], ["c"]),
        node("Pow", ["c", "two"], ["d"]),
        node("ReduceMean", ["d"], ["v"], axes),
        *chain(("e", "Add", "v", "eps"), ("s", "Sqrt", "e"), ("n", "Div", "c", "s"),
               ("w", "Mul", "n", "weight"), ("b", "Add", "w", "weight")),
        node("GlobalMaxPool", ["b"], ["q"]),
    ]  # fmt: skip
    weight = floats("weight", [1, 2, 3], (3, 1, 1))
    parts = read(model(small(*nodes, tensors=[*CONSTANTS, weight])), tmp_path)
    first = parts.graph.nodes[0]
    assert first.layer == LayerNorm2d(3, 1e-5)
    np.testing.assert_array_equal(parts.state[f"{first.name}.bias"], [1, 2, 3])


@pytest.mark.parametrize(
    ("operator", "attributes", "layers"),
    [
        ("MaxPool", {"pads": (1, 1, 2, 2)}, [MaxPool2d(3, 2, 1, ceil_mode=True)]),
        ("AveragePool", {"pads": (0, 0, 1, 1)}, [AvgPool2d(3, 2, 0, True, False)]),
        (
            "AveragePool",
            {"pads": (0, 0, 1, 1), "count_include_pad": 1},
            [ZeroPad2d((0, 1, 0, 1)), AvgPool2d(3, 2)],
        ),
        ("MaxPool", {"auto_pad": "SAME_UPPER"}, [MaxPool2d(3, 2, 0, ceil_mode=True)]),
        ("MaxPool", {"auto_pad": "VALID"}, [MaxPool2d(3, 2)]),
    ],
)
def test_padding_at_the_end_of_a_pool(operator, attributes, layers, tmp_path):
    attributes = {"kernel_shape": (3, 3), "strides": (2, 2), **attributes}
    given = [
        attribute(name, (4, one)) if isinstance(one, str)
        else attribute(name, (3, one)) if isinstance(one, int)
        else attribute(name, *((8, number) for number in one))
        for name, one in attributes.items()
    ]  # fmt: skip
    nodes = [node(operator, ["x"], ["r"], *given), node("GlobalMaxPool", ["r"], ["q"])]
    parts = read(model(small(*nodes)), tmp_path)
    assert [one.layer for one in parts.graph.nodes][: len(layers)] == layers


def test_means_of_uneven_windows(tmp_path):
    rows = np.zeros((3, 8), np.float32)
    for row, (start, stop) in zip(rows, [(0, 3), (2, 6), (5, 8)], strict=True):
        row[start:stop] = 1 / (stop - start)
    matrices = [tensor("r", (3, 8), rows.tobytes()), tensor("c", (8, 3), rows.T.tobytes())]
    nodes = chain(("a", "MatMul", "x", "c"), ("b", "MatMul", "r", "a"), ("q", "GlobalMaxPool", "b"))
    parts = read(model(small(*nodes, tensors=matrices)), tmp_path)
    assert parts.graph.nodes[0].layer == AdaptiveAvgPool2d((3, 3))
    matrices[0] = tensor("r", (3, 8), (rows + 1).tobytes())
    with pytest.raises(FormatError, match="not those of a pooling"):
        read(model(small(*nodes, tensors=matrices)), tmp_path)


def test_constants_of_channels_are_a_layer_of_their_own(tmp_path):
    row = floats("row", [1, 2, 3], (3, 1, 1))
    parts = read(model(small(node("Mul", ["p", "row"], ["q"]), tensors=[row])), tmp_path)
    node_ = parts.graph.nodes[1]
    assert node_.layer == Conv2d(3, 3, 1, groups=3, bias=False)
    np.testing.assert_array_equal(parts.state[f"{node_.name}.weight"].ravel(), [1, 2, 3])


def test_numbers_in_one_row_and_back(tmp_path):
    """What PyTorch's second exporter makes of images whose channels come last in memory."""
    places = tensor("places", (2, 3, 1, 1), struct.pack("<6q", *range(6)), 7)
    nodes = chain(("a", "Reshape", "p", "all"), ("q", "Gather", "a", "places"))
    content = model(
        small(*nodes, tensors=[places, integers("all", [-1])], inputs=[value("x", (2, 3, 8, 8))])
    )
    assert len(read(content, tmp_path).graph.nodes) == 3


def pictures(metadata=None, shift=-0.5, kind=2):
    """Bytes, as neocog's exports take them: x = pixel / 128 + shift."""
    nodes = [
        node("Transpose", ["u"], ["t"], attribute("perm", (8, 0), (8, 3), (8, 1), (8, 2))),
        node("Cast", ["t"], ["c"], attribute("to", (3, 1))),
        *chain(("s", "Mul", "c", "factor"), ("x", "Add", "s", "shift")),
    ]
    whole = graph(
        [*nodes, *chain(("p", "GlobalAveragePool", "x"), ("f", "Flatten", "p"),
                        ("z", "MatMul", "f", "w"), ("y", "Softmax", "z"))],
        [floats("factor", [1 / 128] * 3, (3, 1, 1)), floats("shift", [shift] * 3, (3, 1, 1)),
         floats("w", range(6), (3, 2))],
        [value("u", ("n", 8, 10, 3), kind)],
    )  # fmt: skip
    entries = [(14, message((1, k), (2, json.dumps(v)))) for k, v in (metadata or {}).items()]
    return model(whole, *entries)


def test_bytes_are_preprocessed_as_the_graph_says(tmp_path):
    parts = read(pictures(), tmp_path)
    assert parts.graph.input_shape == (3, 8, 10)
    np.testing.assert_allclose(parts.preprocessing.std, [128 / 255] * 3, rtol=1e-6)
    np.testing.assert_allclose(parts.preprocessing.mean, [64 / 255] * 3, rtol=1e-6)
    assert isinstance(parts.graph.nodes[-1].layer, Linear)  # the scores


def test_metadata_say_what_operators_cannot(tmp_path):
    mean, std = [64 / 255] * 3, [128 / 255] * 3
    look = {"mean": mean, "std": std, "resize": {"mode": "crop", "keep": 0.875}}
    names = {"neocog.preprocessing": look, "neocog.classes": ["cat", "dog"]}
    parts = read(pictures(names), tmp_path)
    assert parts.classes == ("cat", "dog")
    assert parts.preprocessing == Preprocessing(tuple(mean), tuple(std), Resize("crop", keep=0.875))
    with pytest.raises(FormatError, match="another preprocessing than its graph"):
        read(pictures(names, shift=-0.6), tmp_path)


def test_bytes_must_be_cast(tmp_path):
    content = model(small(inputs=[value("x", ("n", 3, 8, 8), 2)]))
    with pytest.raises(FormatError, match="must be cast to float32"):
        read(content, tmp_path)


def test_names_of_layers_are_plain_and_their_own(tmp_path):
    nodes = [
        node("Relu", ["p"], ["a"], name="/layer1/layer1.0/act/Relu"),
        node("Relu", ["a"], ["b"], name="/layer1/layer1.0/act/Relu_1"),
        node("Relu", ["b"], ["c"], name="node_relu_3"),
        node("Relu", ["c"], ["d"], name="input"),
        node("Relu", ["d"], ["q"], name="../../x y\u4e2d"),
    ]
    parts = read(model(small(*nodes)), tmp_path)
    names = [one.name for one in parts.graph.nodes]
    assert names[1:6] == ["layer1.0.act", "layer1.0.act_2", "relu_3", "input_2", "relu"]
