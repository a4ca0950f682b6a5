"""Operators that become several layers: what ONNX Runtime computes, the network's formulas do."""

import numpy as np
import pytest

from neocog.errors import FormatError
from neocog.formats.onnx.reading.reader import read_onnx
from neocog.reference import forward

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHAPE = (4, 5, 6)


def node(operator, *inputs, output="y", **attributes):
    return helper.make_node(operator, inputs, [output], **attributes)


def written(nodes, constants, folder, opset=17):
    """A file of these nodes, from "x", a map of SHAPE, to "y"."""
    tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset)]
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


ZERO, ONE, LOW, HIGH = (np.float32(one) for one in (0, 1, -0.75, 0.5))
POOL = node("GlobalAveragePool", "x", output="p")
FLAT = node("Flatten", "p", output="f")
FORMS = {
    "HardSigmoid of Keras": ([node("HardSigmoid", "x", alpha=0.2)], {}),
    "HardSigmoid moved": ([node("HardSigmoid", "x", alpha=0.3, beta=0.25)], {}),
    "Clip to 1": ([node("Clip", "x", "low", "high")], {"low": ZERO, "high": ONE}),
    "Clip around 0": ([node("Clip", "x", "low", "high")], {"low": LOW, "high": HIGH}),
    "Clip from below": ([node("Clip", "x", "low")], {"low": LOW}),
    "Clip from above": ([node("Clip", "x", "", "high")], {"high": HIGH}),
    "Clip below 0": ([node("Clip", "x", "low", "high")], {"low": LOW, "high": ZERO}),
    "Clip of a vector": ([POOL, FLAT, node("Clip", "f", "low", "high")],
                         {"low": LOW / 9, "high": HIGH / 9}),
    "Max": ([node("Max", "low", "x")], {"low": LOW}),
    "Min": ([node("Min", "x", "high")], {"high": HIGH}),
    **{
        f"Resize, linear, {factors}, {where}": (
            [node("Resize", "x", "", "scales", mode="linear",
                  coordinate_transformation_mode=where)],
            {"scales": np.array([1, 1, *factors], np.float32)},
        )
        for factors in ((2, 2), (3, 2), (1, 4), (5, 3))
        for where in ("half_pixel", "pytorch_half_pixel")
    },
    "Slice of a vector": (
        [POOL, FLAT, node("Slice", "f", "start", "stop", "axis")],
        {"start": np.array([1]), "stop": np.array([3]), "axis": np.array([1])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FORMS)
def test_a_form_of_an_operator(what, tmp_path):
    path = written(*FORMS[what], tmp_path)
    x = np.random.default_rng(0).normal(0, 1, (3, *SHAPE)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": x})
    parts = read_onnx(path).parts
    found = list(forward(parts.graph, parts.state, x.astype(np.float64)).values())[-1]
    assert wanted.std() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)


REFUSED = {
    "a dilated pool": (
        [node("MaxPool", "x", kernel_shape=(2, 2), dilations=(2, 2))],
        {},
        r"\(MaxPool\): dilations \(=\(2, 2\)\) must be 1",
    ),
    "limits on one side of 0": (
        [node("Clip", "x", "low", "high")],
        {"low": HIGH, "high": ONE},
        r"\(Clip\): only limits around 0 are read, not 0.5 and 1",
    ),
    "limits that are not constant": (
        [node("Max", "x", "x")], {}, r"\(Max\): only limits that are constant are read"
    ),
    "corners": (
        [node("Resize", "x", "", "scales", mode="linear",
              coordinate_transformation_mode="align_corners")],
        {"scales": np.array([1, 1, 2, 2], np.float32)},
        r"\(Resize\): places are found by align_corners, which is no layer",
    ),
    "cubic": (
        [node("Resize", "x", "", "scales", mode="cubic")],
        {"scales": np.array([1, 1, 2, 2], np.float32)},
        r"\(Resize\): mode \(=cubic\) must be nearest or linear",
    ),
    "a part of a vector that was no pixel": (
        [node("Flatten", "x", output="f"), node("Slice", "f", "start", "stop", "axis")],
        {"start": np.array([1]), "stop": np.array([3]), "axis": np.array([1])},
        r"\(Slice\): a vector can be a map only where it was one of a single pixel",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_layer_is_named(what, tmp_path):
    nodes, constants, reason = REFUSED[what]
    with pytest.raises(FormatError, match=reason):
        read_onnx(written(nodes, constants, tmp_path))
