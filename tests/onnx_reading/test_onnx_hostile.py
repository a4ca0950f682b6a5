"""Files that pretend to be networks: refused at once, with the reason, and nothing is run."""

import contextlib
import re
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx_bytes import attribute, graph, message, model, node, small, tensor, value, varint

from neocog.errors import FormatError
from neocog.formats.onnx.reading.reader import read_onnx
from neocog.layers import AdaptiveAvgPool2d, Flatten, Linear

ALL = 2**31 - 1
PLAIN = model(small())


def read(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    return read_onnx(path)


def refused(content, tmp_path):
    """The reason; it was given within 100 MB, the file included."""
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(FormatError) as caught:
        read_onnx(path)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6
    return str(caught.value)


def test_a_network_written_byte_by_byte(tmp_path):
    parts = read(PLAIN, tmp_path).parts
    assert [node.layer for node in parts.graph.nodes] == [
        AdaptiveAvgPool2d(1),
        Flatten(),
        Linear(3, 2, bias=False),
    ]
    np.testing.assert_array_equal(parts.state["fc.weight"], [[0, 1, 2], [3, 4, 5]])


def through(operator, *attributes, inputs=("p",), tensors=(), **more):
    """A file with one more node, called "odd"."""
    return model(small(node(operator, inputs, ["q"], *attributes, name="odd", **more),
                       tensors=tensors))  # fmt: skip


BODY = graph([node("Identity", ["p"], ["q"])])
REFUSED = {
    "loop": (
        through("Loop", attribute("body", (6, BODY), (20, 5))),
        r"node 'odd' \(Loop\) has a graph of its own",
    ),
    "branch": (
        through("If", attribute("then_branch", (6, BODY))),
        r"node 'odd' \(If\) has a graph of its own",
    ),
    "graph in an attribute": (
        through("Relu", attribute("g", (6, BODY))),
        r"node 'odd' \(Relu\) has a graph of its own, in 'g'",
    ),
    "domain": (
        through("Relu", domain="com.microsoft"),
        r"node 'odd' \(Relu\) is of the domain com.microsoft; only ONNX's own are read",
    ),
    "operator": (
        through("LSTM"),
        r"node 'odd' \(LSTM\): there is no layer for this operator",
    ),
    "operator that is no name": (through("several nodes"), "is no operator of ONNX's"),
    "attribute": (
        through("Relu", attribute("mood", (3, 1))),
        r"node 'odd' \(Relu\): mood \(=1\) must be no such attribute",
    ),
    "functions": (model(small(), (25, message((1, "f")))), "it has functions of its own"),
    "training": (model(small(), (20, message((1, b"")))), "describes a training"),
    "old operators": (model(small(), opset=6), "version 6 of ONNX's operators; 7 to 28"),
    "later operators": (model(small(), opset=99), "version 99 of ONNX's operators"),
    "no operators": (message((1, 8), (7, small())), "names no version"),
    "two graphs": (model(small(), (7, small())), "two graphs"),
    "no graph": (message((1, 8)), "has no graph"),
    "external data": (
        through("Add", inputs=("p", "e"), tensors=[
            tensor("e", (3,), b"", 1, (14, 1), (13, message((1, "location"), (2, "/etc/passwd"))))
        ]),
        "the numbers of e are in another file",
    ),
    "huge tensor": (
        through("Add", inputs=("p", "e"), tensors=[tensor("e", (ALL, ALL, ALL), b"\0" * 4)]),
        "the tensor 'e' has 1 numbers for the shape",
    ),
    "negative tensor": (
        through("Add", inputs=("p", "e"), tensors=[tensor("e", (-1,), b"\0" * 4)]),
        "the tensor 'e' has 1 numbers for the shape",
    ),
    "many axes": (
        through("Add", inputs=("p", "e"), tensors=[tensor("e", (1,) * 9, b"\0" * 4)]),
        "more than 8 axes",
    ),
    "tensor of texts": (
        through("Add", inputs=("p", "e"), tensors=[message((2, 8), (8, "e"), (6, "a"))]),
        "has texts",
    ),
    "two tensors of one name": (
        model(small(tensors=[tensor("e", (0,)), tensor("e", (0,))])), "two of its tensors"
    ),
    "huge constant": (
        model(small(
            node("ConstantOfShape", ["s"], ["c"], name="odd"),
            node("Add", ["p", "c"], ["q"]),
            tensors=[tensor("s", (2,), struct.pack("<2q", 10**9, 10**9), 7)],
        )),
        r"node 'odd' \(ConstantOfShape\) does not fit its inputs",
    ),
    "huge map": (
        model(small(
            node("Resize", ["x", "", "s"], ["r"]),
            node("GlobalMaxPool", ["r"], ["q"]),
            tensors=[tensor("s", (4,), struct.pack("<4f", 1, 1, 1e6, 1e6))],
        )),
        "absurdly large",
    ),
    "huge image": (
        model(small(inputs=[value("x", ("n", 3, ALL, ALL))])), "absurdly large"
    ),
    "image of no size": (
        model(small(inputs=[value("x", ("n", 3, "h", "w"))])), "has no fixed size of images"
    ),
    "two images": (
        model(small(inputs=[value("x", (1, 3, 8, 8)), value("z", (1, 3, 8, 8))])), "has 2 inputs"
    ),
    "image of doubles": (
        model(small(inputs=[value("x", (1, 3, 8, 8), 11)])), "has the type 11 of ONNX"
    ),
    "two results": (
        model(small(outputs=[value("y", ("n", 2)), value("p", ("n", 3, 1, 1))])), "has 2 outputs"
    ),
    "one value twice": (
        model(small(node("Relu", ["p"], ["q"]), node("Tanh", ["p"], ["q"]))),
        "two of its nodes, inputs or tensors give a value of the same name",
    ),
    "circle": (
        model(small(node("Relu", ["r"], ["q"], name="odd"), node("Relu", ["q"], ["r"]))),
        r"node 'odd' \(Relu\) reads 'r', which nothing before gives",
    ),
    "result that is constant": (
        model(graph([node("Identity", ["e"], ["y"])], [tensor("e", (1,), b"\0" * 4)])),
        "its result is not the output of a layer",
    ),
    "name that moves the cursor": (
        through("Relu", attribute("\x1b[2J", (3, 1))), "has a name with control characters"
    ),
    "long name": (through("R" * 2000), "name of 2,000 bytes"),
    "wrong metadata": (
        model(small(), (14, message((1, "neocog"), (2, "{")))),
        "its metadata's 'neocog' is damaged"
    ),
    "metadata of another network": (
        model(small(), (14, message((1, "neocog.preprocessing"),
                                    (2, '{"mean": [0.5], "std": [0.5]}')))),
        "are for 1 channels, not 3",
    ),
    "padding": (
        through("Pad", inputs=("p", "s"), tensors=[
            tensor("s", (8,), struct.pack("<8q", 0, 0, 2**40, 0, 0, 0, 2**40, 0), 7)]),
        r"node 'odd' \(Pad\): ZeroPad2d: padding",
    ),
    "axes that a map lacks": (
        through("Resize", attribute("axes", (8, 100)), inputs=("p", "", "", "s"), tensors=[
            tensor("s", (1,), struct.pack("<q", 4), 7)]),
        r"node 'odd' \(Resize\): axes \(=\(100,\)\) must be those of a map",
    ),
    "scales that are texts": (
        through("Upsample", attribute("scales", (9, "two"))), r"scales .* must be numbers"
    ),
    "places that are no integers": (
        model(graph([node("Gather", ["x", "s"], ["y"], attribute("axis", (3, 2)), name="odd")],
                    [tensor("s", (9,), b"\1" * 9, 9)])),
        r"node 'odd' \(Gather\): its places are numbers of bool, not integers",
    ),
    "a value that is no tensor": (
        model(small(node("ConstantOfShape", ["s"], ["c"], attribute("value", (3, 1)), name="odd"),
                    node("Add", ["p", "c"], ["q"]),
                    tensors=[tensor("s", (1,), struct.pack("<q", 1), 7)])),
        r"node 'odd' \(ConstantOfShape\) does not fit its inputs",
    ),
    "a sum of three constants": (
        model(small(node("Add", ["s", "s", "s"], ["c"], name="odd"),
                    node("Add", ["p", "c"], ["q"]), tensors=[tensor("s", (1,), b"\0" * 4)])),
        r"node 'odd' \(Add\) does not fit its inputs \(3 inputs, not 2\)",
    ),
    "endless parts": (
        through("Split", attribute("axis", (3, 1)), attribute("num_outputs", (3, 2**40))),
        r"node 'odd' \(Split\): 1099511627776 parts of 3",
    ),
    "shared weights": (
        model(graph(
            [node("Flatten", ["x"], ["f0"]),
             *(node("Gemm", [f"f{i}", "w"], [f"f{i + 1}"]) for i in range(1000)),
             node("Identity", ["f1000"], ["y"])],
            [tensor("w", (192, 192), b"\0" * 4 * 192**2)])),
        "its layers share tensors",
    ),
    "many constants": (
        model(graph(
            [*(node("Range", ["a", "b", "c"], [f"r{i}"]) for i in range(200)),
             node("Add", ["x", "r0"], ["z0"]),
             *(node("Add", [f"z{i}", f"r{i + 1}"], [f"z{i + 1}"]) for i in range(199)),
             node("Identity", ["z199"], ["y"])],
            [tensor(n, (), struct.pack("<q", v), 7)
             for n, v in (("a", 0), ("b", 60000), ("c", 1))])),
        "it computes more constants than a network needs",
    ),
    "many nodes": (
        model(graph([node("Relu", ["x"], ["y"])] * 60_000)), "more than 5,000 nodes"
    ),
    "many layers": (
        model(graph([node("Sub", ["x", f"x{i or ''}"], [f"x{i + 1}"]) for i in range(4_500)],
                    inputs=[value("x", (1, 1, 1, 1))], outputs=[value("x4500", (1,))])),
        "more than 5,000 layers",
    ),
    "many fields": (b"\x08\x08" * 1_000_000, "more than 200,000 fields"),
    "many empty attributes": (
        model(graph([message(*[(5, b"")] * 700_000)])), "more than 100 attributes"
    ),
    "long row": (
        through("Pad", attribute("pads", (8, b"\x01" * 2**21))), "more than 1,048,576 bytes of int"
    ),
    "no file of ONNX": (b"PK\x03\x04" + b"\0" * 1000, "it is no ONNX file, or it is damaged"),
    "empty": (b"", "has no graph"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused(what, tmp_path):
    content, reason = REFUSED[what]
    assert re.search(reason, refused(content, tmp_path))


def test_a_deep_graph_is_read_without_recursion(tmp_path):
    row = [node("Identity", [f"a{i}"], [f"a{i + 1}"]) for i in range(4_900)]
    nodes = [node("Relu", ["p"], ["a0"]), *row, node("Relu", ["a4900"], ["q"])]
    parts = read(model(small(*nodes)), tmp_path).parts
    assert len(parts.graph.nodes) == 5


def test_every_shorter_file_is_refused(tmp_path):
    for length in range(len(PLAIN)):
        with pytest.raises(FormatError):
            read(PLAIN[:length], tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(1, 255)), max_size=4))
@example([(0, 255)])
def test_changed_bytes_are_read_or_refused(tmp_path, changes):
    content = bytearray(PLAIN)
    for at, bits in changes:
        content[at] ^= bits
    try:
        parts = read(bytes(content), tmp_path).parts
    except FormatError:
        return
    assert list(parts.state) == list(parts.graph.state_shapes)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, len(PLAIN)))
def test_any_bytes_are_read_or_refused(tmp_path, junk, at):
    for content in (junk, PLAIN[:at] + junk + PLAIN[at:]):
        with contextlib.suppress(FormatError):
            read(content, tmp_path)


def test_varints_have_at_most_64_bits(tmp_path):
    assert varint(-1) == b"\xff" * 9 + b"\x01"
    assert "damaged" in refused(b"\x08" + b"\xff" * 11, tmp_path)
    assert "damaged" in refused(b"\x0b", tmp_path)
