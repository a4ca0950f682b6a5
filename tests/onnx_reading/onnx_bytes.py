"""ONNX files byte by byte, as nobody's library would write them."""

import struct


def varint(number):
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= 2**64 - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def entry(number, value):
    """A field: an integer as a varint, a float as 4 bytes, a text or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def message(*entries):
    return b"".join(entry(number, value) for number, value in entries)


def tensor(name, shape, numbers=b"", kind=1, *more):
    return message(*((1, size) for size in shape), (2, kind), (8, name), (9, numbers), *more)


def attribute(name, *entries):
    return message((1, name), *entries)


def node(operator, inputs, outputs, *attributes, name="", domain=""):
    return message(
        *((1, one) for one in inputs),
        *((2, one) for one in outputs),
        (3, name), (4, operator), (7, domain),
        *((5, one) for one in attributes),
    )  # fmt: skip


def odd_node(inputs, outputs):
    """A node that is refused when its layer is made, after all before it."""
    return node("Relu", inputs, outputs, attribute("mood", (3, 1)))


def value(name, shape, kind=1):
    axes = [(1, message((1, size))) if isinstance(size, int) else (1, message((2, size)))
            for size in shape]  # fmt: skip
    return message((1, name), (2, message((1, message((1, kind), (2, message(*axes)))))))


def graph(nodes, tensors=(), inputs=None, outputs=None, *more):
    inputs = [value("x", ("n", 3, 8, 8))] if inputs is None else inputs
    outputs = [value("y", ("n", 2))] if outputs is None else outputs
    return message(
        *((1, one) for one in nodes),
        *((5, one) for one in tensors),
        *((11, one) for one in inputs),
        *((12, one) for one in outputs),
        *more,
    )


def model(of, *more, opset=17, domain=""):
    return message((1, 8), (7, of), (8, message((1, domain), (2, opset))), *more)


def small(*nodes, tensors=(), **more):
    """A graph of a pooling, what is given, from "p" to "q", and a linear layer."""
    weight = tensor("fc.weight", (2, 3), struct.pack("<6f", *range(6)))
    return graph(
        [
            node("GlobalAveragePool", ["x"], ["p"]),
            *nodes,
            node("Flatten", ["q" if nodes else "p"], ["f"]),
            node("Gemm", ["f", "fc.weight"], ["y"], attribute("transB", (3, 1), (20, 2))),
        ],
        [weight, *tensors],
        **more,
    )
