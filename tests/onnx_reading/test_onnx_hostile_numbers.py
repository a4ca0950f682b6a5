"""ONNX files whose numbers, names or lists are made to cost: refused within a second and 100 MB.

Each is valid Protocol Buffers within the limits on a file, or nearly so, and makes one rule of an
operator, or one list, as large as it can.
"""

import itertools
import json
import struct
import sys

import pytest
from cost_of_reading import check_refused
from onnx_bytes import (
    attribute,
    entry,
    graph,
    message,
    model,
    node,
    odd_node,
    small,
    tensor,
    value,
)

MANY = 4_980
PIXEL = [value("x", (1, 1, 1, 1))]
MEGABYTE = 2**20


def integers(name, *numbers, shape=None):
    row = struct.pack(f"<{len(numbers)}q", *numbers)
    return tensor(name, (len(numbers),) if shape is None else shape, row, 7)


def odd(operator, *attributes, inputs=("x", "", "c"), tensors=(), image=(1, 3, 8, 8), outputs=1):
    """One node, then one with an attribute that no layer has."""
    names = [f"o{at}" if at else "o" for at in range(outputs)]
    nodes = [node(operator, inputs, names, *attributes), odd_node(["o"], ["y"])]
    return model(graph(nodes, tensors, inputs=[value("x", image)]))


def doubled_channels(*last, times=26):
    """A pixel whose channels are doubled again and again, then a node that reads them as "o"."""
    names = ["x", *(f"c{at}" for at in range(times - 1)), "o"]
    nodes = [node("Concat", [a, a], [b], attribute("axis", (3, 1)))
             for a, b in itertools.pairwise(names)]  # fmt: skip
    one = tensor("one", (1, 1, 1, 1), struct.pack("<f", 2))
    row = tensor("row", (1,), struct.pack("<f", 2))
    return model(graph([*nodes, *last, odd_node(["z"], ["y"])], [one, row], inputs=PIXEL))


def described(text):
    """A file that says to be neocog's, of the network in the text."""
    entries = (("neocog", "{}"), ("neocog.fingerprint", "0"), ("neocog.network", text))
    return [(14, message((1, key), (2, one))) for key, one in entries]


PIXELS = json.dumps(
    {"version": 1, "input_shape": [3, 8, 8], "layers": [{"name": "a", "type": "ReLU"}],
     "classes": None, "preprocessing": {"mean": [0.5] * 3, "std": [0.5] * 3}}
)  # fmt: skip
FLOATS = bytes(30 * MEGABYTE)
FILES = {
    # Numbers of attributes
    "floats in a row": lambda: odd("Relu", attribute("a", (7, FLOATS)), inputs=["x"]),
    "floats for one": lambda: odd("Relu", attribute("a", (2, FLOATS)), inputs=["x"]),
    "axes to add": lambda: odd(
        "Unsqueeze", attribute("axes", (8, b"\0" * 260_000)), inputs=["x"]
    ),
    # Constants that say a shape
    **{
        f"{operator} of a row of {count}": lambda operator=operator, count=count: odd(
            operator, inputs=inputs_of(operator),
            tensors=[tensor("c", (count,), struct.pack("<q", 2**62) * count, 7),
                     tensor("n", (1,), b"\0" * 4)],
        )
        for operator in ("Reshape", "ConstantOfShape", "Expand", "Slice", "Split", "Squeeze",
                         "Unsqueeze")
        for count in (60_000, 4_000_000)
    },
    "a tile": lambda: odd("Tile", inputs=["n", "c"], tensors=[
        integers("c", 2**62), tensor("n", (1,), b"\0" * 4)]),
    "a long range": lambda: odd("Range", inputs=["a", "b", "d"], tensors=[
        integers(name, at, shape=()) for name, at in (("a", -2**63), ("b", 2**63 - 1), ("d", 1))]),
    "outputs of a split": lambda: odd(
        "Split", inputs=["t"], outputs=150_000, tensors=[tensor("t", (150_000,), bytes(150_000), 2)]
    ),
    "copies of constants": lambda: model(graph([
        node("Transpose", ["b"], ["t"]), node("Reshape", ["t", "s"], ["r"]),
        odd_node(["r"], ["y"]),
    ], [tensor("b", (5_000, 4_000), bytes(80_000_000)), integers("s", -1)])),
    # Maps
    "linear to huge": lambda: odd(
        "Resize", attribute("mode", (4, "linear")),
        tensors=[tensor("c", (4,), struct.pack("<4f", 1, 1, 2**26, 1))], image=(1, 1, 1, 1)),
    "nearest to huge": lambda: odd(
        "Resize", tensors=[tensor("c", (4,), struct.pack("<4f", 1, 1, 2**30, 2**30))]),
    "a convolution of many groups": lambda: odd(
        "Conv", attribute("group", (3, 10**9)), inputs=["x", "w"],
        tensors=[tensor("w", (1, 1, 1, 1), b"\0" * 4)]),
    "a kernel of the largest size": lambda: odd(
        "MaxPool", attribute("kernel_shape", (8, 2**31 - 1), (8, 2**31 - 1)),
        attribute("pads", *[(8, 2**31 - 1)] * 4), inputs=["x"]),
    "channels plus a number": lambda: doubled_channels(node("Add", ["o", "one"], ["z"])),
    "channels to normalize": lambda: doubled_channels(
        node("BatchNormalization", ["o", *["row"] * 4], ["z"])),
    "channels of HardSigmoid": lambda: doubled_channels(
        node("HardSigmoid", ["o"], ["z"], attribute("beta", (2, 0.25)))),
    "channels of instances": lambda: doubled_channels(
        node("InstanceNormalization", ["o", "row", "row"], ["z"])),
    # Windows of poolings, which are compared
    "maxima of tiny windows": lambda: model(graph(
        [node("Gather", ["x", "p"], ["g"], attribute("axis", (3, 2))),
         node("ReduceMax", ["g"], ["y"], attribute("axes", (8, 3)), attribute("keepdims", (3, 0)))],
        [tensor("p", (8_000_000, 1), bytes(8_000_000), 2)], inputs=PIXEL)),
    "means of tiny windows": lambda: model(graph(
        [node("MatMul", ["x", "r"], ["m"]), node("MatMul", ["l", "m"], ["y"])],
        [tensor("r", (1, 1), b"\0" * 4), tensor("l", (8_000_000, 1), bytes(32_000_000))],
        inputs=PIXEL)),
    # Weights
    "a large weight that is scaled": lambda: odd(
        "Gemm", attribute("alpha", (2, 2.0)), inputs=["f", "w"],
        tensors=[tensor("w", (4_000, 4_500), bytes(72_000_000))]),
    "constants in what neocog described": lambda: model(
        graph([odd_node(["x"], ["y"])], [tensor("t", (20_000_000,), bytes(80_000_000))]),
        *described(PIXELS)),
    "a constant in what neocog described": lambda: model(
        graph([node("Constant", [], ["c"], attribute("value", (5, tensor("t", (7_000_000,), bytes(
            28_000_000))))), odd_node(["c"], ["y"])]), *described(PIXELS)),
    # Lists and names
    "inputs": lambda: odd("Sum", inputs=["x"] * 190_000),
    "inputs of many nodes": lambda: model(small(
        *(node("Sum", [f"a{at - 1}" if at else "p"] * 32, [f"a{at}"]) for at in range(MANY)),
        odd_node([f"a{MANY - 1}"], ["q"]))),
    "paths as names": lambda: model(small(
        *(node("Relu", [f"a{at - 1}" if at else "p"], [f"a{at}"], name="/a" * 490 + f"/{at}")
          for at in range(4_000)), odd_node(["a3999"], ["q"]))),
    "tensors of nothing": lambda: model(
        message(*[(5, tensor(f"{at}", (0,))) for at in range(25_000)])),
    "nearly too many tensors": lambda: model(graph(
        [odd_node(["x"], ["y"])], [tensor(f"{at}", (0,)) for at in range(19_000)])),
    "inputs of the graph": lambda: model(graph(
        [odd_node(["x"], ["y"])], inputs=[value(f"{at}", (1,)) for at in range(19_000)])),
    "a deep graph in an attribute": lambda: model(small(
        node("Relu", ["p"], ["q"], attribute("g", (6, nested(10_000)))))),
    "sparse tensors": lambda: model(graph([], (), None, None, (15, bytes(60 * MEGABYTE)))),
    "functions that call themselves": lambda: model(
        small(node("f", ["p"], ["q"], domain="f")),
        *[(25, message((1, "f"), (7, node("f", ["p"], ["q"], domain="f")), (10, "f")))] * 1_000),
    "a type within a type": lambda: model(
        graph([], inputs=[message((1, "x"), (2, nested(10_000)))])),
    # Metadata
    "classes in metadata": lambda: model(small(), *noted("classes", "[", "{},", "{}]")),
    "means in metadata": lambda: model(
        small(), *noted("preprocessing", '{"mean":[', "[],", "[]]}")),
    "many means in metadata": lambda: model(
        small(), *noted("preprocessing", '{"mean":[', "1,", '1],"std":[1]}')),
}  # fmt: skip


def inputs_of(operator):
    return ["c"] if operator == "ConstantOfShape" else ["n", "c"] + ["c"] * (operator == "Slice")


def nested(times):
    found = b""
    for _ in range(times):
        found = entry(4, found)
    return found


def noted(key, begin, one, end):
    """Metadata with a list as long as an entry may be."""
    row = begin + one * ((2**22 - 100) // len(one)) + end
    return [(14, message((1, "neocog"), (2, "{}"))), (14, message((1, key), (2, row)))]


@pytest.mark.skipif(sys.platform == "win32", reason="what a process takes is read otherwise there")
def test_costly_files_are_refused_at_once(tmp_path):
    for name, make in FILES.items():
        (tmp_path / f"{name}.onnx").write_bytes(make())
    check_refused([f"{name}.onnx" for name in FILES], tmp_path)
