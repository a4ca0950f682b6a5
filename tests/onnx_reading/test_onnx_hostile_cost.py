"""ONNX files that are made to cost time or memory: refused within a second and 100 MB.

Each ends in an attribute that no layer has, or in nothing that fits, behind as much as the limits
allow.
"""

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

# Below the limit of nodes.
MANY = 4_980
CONSTANTS = [
    tensor(name, (), struct.pack("<f", number))
    for name, number in (("half", 0.5), ("one", 1), ("six", 6), ("three", 3), ("root", 2**0.5))
] + [
    tensor("zero", (), struct.pack("<f", 0)),
    tensor("row", (3, 1, 1), struct.pack("<3f", 1, 2, 3)),
]


def chained(*steps, count=MANY):
    """Steps (operator, inputs…) one after another; "@" is the output of the one before."""
    nodes, before = [], "p"
    for at in range(count):
        operator, *inputs = steps[at % len(steps)]
        nodes.append(node(operator, [before if one == "@" else one for one in inputs], [f"a{at}"]))
        before = f"a{at}"
    last = odd_node([before], ["q"])
    return model(small(*nodes, last, tensors=CONSTANTS))


def doubled(operator):
    """Each node reads the two before it, so that there are exponentially many ways through."""
    names = ["p", "p", *(f"a{at}" for at in range(MANY))]
    nodes = [node(operator, names[at : at + 2], [names[at + 2]]) for at in range(MANY)]
    return model(small(*nodes, odd_node([names[-1]], ["q"])))


def of_constants(*nodes, tensors):
    """Nodes whose last value "r" is added to the image."""
    return model(graph([*nodes, node("Add", ["x", "r"], ["y"])], tensors))


def integers(name, *numbers, shape=None):
    row = struct.pack(f"<{len(numbers)}q", *numbers)
    return tensor(name, (len(numbers),) if shape is None else shape, row, 7)


def uneven_maxima(count):
    """Many poolings whose windows must each be compared."""
    places = integers("rows", *[0] * 60_000, shape=(200, 300))
    nodes = []
    for at in range(count):
        axis = attribute("axis", (3, 2))
        axes = (attribute("axes", (8, 3)), attribute("keepdims", (3, 0)))
        nodes.append(node("Gather", ["x", "rows"], [f"g{at}"], axis))
        nodes.append(node("ReduceMax", [f"g{at}"], [f"m{at}"], *axes))
    nodes.append(node("Sum", [f"m{at}" for at in range(count)], ["y"]))
    return model(graph(nodes, [places], inputs=[value("x", (1, 1, 300, 1))]))


BIG = tensor("big", (15_000_000,), bytes(60_000_000))
SIGMOIDS = [("Sigmoid", "@"), ("Mul", "@", "p")]
GELUS = [
    ("Div", "@", "root"), ("Erf", "@"), ("Add", "@", "one"), ("Mul", "@", "@"),
    ("Mul", "@", "half"),
]  # fmt: skip
FILES = {
    **{
        f"chain of {one}": lambda one=one: chained((one, "@"))
        for one in ("Relu", "Neg", "Identity")
    },
    **{
        f"chain of {operator}, {other}": lambda operator=operator, other=other: chained(
            (operator, "@", other)
        )
        for operator in ("Add", "Mul", "Sub", "Div")
        for other in ("@", "half", "row")
    },
    "products of each other": lambda: doubled("Mul"),
    "sums of each other": lambda: doubled("Add"),
    "pieces of SiLU": lambda: chained(*SIGMOIDS),
    "pieces of GELU": lambda: chained(*GELUS),
    "pieces of hardswish": lambda: chained(
        ("Add", "@", "three"), ("Clip", "@", "zero", "six"), ("Mul", "@", "p"), ("Div", "@", "six")
    ),
    "nodes backwards": lambda: model(
        small(*(node("Relu", [f"a{at}"], [f"a{at + 1}"]) for at in reversed(range(MANY))))
    ),
    "one name": lambda: model(
        small(
            *(node("Relu", [f"a{at - 1}" if at else "p"], [f"a{at}"], name="same")
              for at in range(MANY)),
            odd_node([f"a{MANY - 1}"], ["q"]),
        )
    ),
    "long names": lambda: model(small(node("Sum", ["p" + 990 * "n"] * 40_000, ["q"]))),
    "a huge name": lambda: model(small(node("Relu", ["p"], ["q"], name="x" * 50_000_000))),
    "a huge comment": lambda: model(small(odd_node(["p"], ["q"])), (6, "x" * 50_000_000)),
    "empty nodes": lambda: model(entry(1, b"") * 1_000_000),
    "empty tensors": lambda: model(entry(5, b"") * 1_000_000),
    "fields": lambda: model(entry(99, b"") * 1_000_000),
    "rows of attributes": lambda: model(
        small(
            *(node("Relu", ["p"], [f"z{at}"], attribute("pads", (8, b"\1" * 65_000)))
              for at in range(300))
        )
    ),
    "rows of numbers": lambda: model(
        small(
            *(node("Relu", ["p"], [f"z{at}"], attribute("pads", (7, bytes(260_000))))
              for at in range(300))
        )
    ),
    "numbers one by one": lambda: model(
        small(odd_node(["p"], ["q"]),
              tensors=[message((1, 150_000), (2, 7), (8, "t"), *[(7, 1)] * 150_000)])
    ),
    "packed numbers": lambda: model(
        small(tensors=[message((1, 2**20 * 20), (2, 7), (8, "t"), *[(7, b"\1" * 2**20)] * 20)])
    ),
    "a large tensor": lambda: model(small(odd_node(["p"], ["q"]), tensors=[BIG])),
    "a large tensor of truths": lambda: model(
        small(odd_node(["p"], ["q"]), tensors=[tensor("t", (2**26,), bytes(2**26), 9)])
    ),
    "sums of a large tensor": lambda: of_constants(
        *(node("Add", [f"r{at - 1}" if at else "big", "big"], [f"r{at}"]) for at in range(MANY)),
        node("Identity", [f"r{MANY - 1}"], ["r"]),
        tensors=[BIG],
    ),
    "constants of constants": lambda: of_constants(
        node("Range", ["a", "b", "c"], ["r0"]),
        *(node("Pow", [f"r{at}", "r0"], [f"r{at + 1}"]) for at in range(MANY - 9)),
        node("Identity", [f"r{MANY - 9}"], ["r"]),
        tensors=[integers(name, at, shape=()) for name, at in (("a", 0), ("b", 200), ("c", 1))],
    ),
    "windows": lambda: uneven_maxima(2_000),
    "rows that nearly wrap": lambda: model(
        graph(
            [node("Gather", ["x", "rows"], ["a"], attribute("axis", (3, 2))),
             node("Flatten", ["a"], ["y"])],
            [integers("rows", *(row % 20_000 for row in range(-20_000, 39_999)), 5)],
            inputs=[value("x", (1, 1, 20_000, 1))],
        )
    ),
    "metadata": lambda: model(
        small(odd_node(["p"], ["q"])),
        *[(14, message((1, f"k{at}"), (2, "x" * 2**20))) for at in range(60)],
    ),
    "deep metadata": lambda: model(small(), (14, message((1, "neocog"), (2, "[" * 2**20)))),
    "values in metadata": lambda: model(
        small(),
        (14, message((1, "neocog.fingerprint"), (2, "0"))),
        (14, message((1, "neocog.network"), (2, '{"a":[' + "{}," * 1_000_000 + "{}]}"))),
    ),
    "no file of ONNX": lambda: b"\xff" * 150_000_000,
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="what a process takes is read otherwise there")
def test_costly_files_are_refused_at_once(tmp_path):
    for name, make in FILES.items():
        (tmp_path / f"{name}.onnx").write_bytes(make())
    check_refused([f"{name}.onnx" for name in FILES], tmp_path)
