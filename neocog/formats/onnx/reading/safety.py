"""The limits within which an ONNX file is read, and why a file is refused before it is built.

ONNX can describe any program: loops, branches, functions of its own, numbers in other files. None
of that is a network of neocog's, so a file that has it is refused by name.
"""

import math

from neocog.errors import FormatError, is_plain, printable
from neocog.layers import Graph
from neocog.limits import readable

__all__ = [
    "LARGEST_FOLDED",
    "MOST_ATTRIBUTES",
    "MOST_AXES",
    "MOST_BYTES",
    "MOST_ENTRIES",
    "MOST_FOLDED_BYTES",
    "MOST_LAYERS",
    "MOST_NODES",
    "MOST_TENSORS",
    "NEWEST_OPSET",
    "check_operator",
    "check_opset",
    "check_state",
    "text",
]

#: Of a file: a message of Protocol Buffers cannot be larger.
MOST_BYTES = 2**31
#: Of a graph. PyTorch's first exporter writes some 15 nodes for a layer at worst.
MOST_NODES = 20_000
#: As in `neocog.formats.model_file`.
MOST_LAYERS = 10_000
MOST_TENSORS = 50_000
MOST_AXES = 8
#: Of a node, and numbers in one of them.
MOST_ATTRIBUTES = 100
MOST_ENTRIES = 2**16
#: Numbers that an operator of constants may give, and bytes of all such together.
LARGEST_FOLDED = 2**16
MOST_FOLDED_BYTES = 2**25
#: Versions of ONNX's operators that the rules know.
OLDEST_OPSET, NEWEST_OPSET = 7, 28
# How many bytes of weights there may be for a byte of the file: layers may share a tensor.
_MOST_SHARING, _SPARE_BYTES = 4, 2**24
_LONGEST_TEXT = 1000
_DOMAINS = ("", "ai.onnx")
_PROGRAMS = ("If", "Loop", "Scan", "SequenceMap")


def text(raw: memoryview, what: str) -> str:
    """A name or another text of a file.

    Raises:
        FormatError: it is too long, is not UTF-8, or has characters that move a terminal's cursor.
    """
    if len(raw) > _LONGEST_TEXT:
        raise FormatError(f"it has a {what} of {len(raw):,} bytes; up to {_LONGEST_TEXT} are read.")
    try:
        found = bytes(raw).decode()
    except UnicodeDecodeError:
        raise FormatError(f"it has a {what} that is no text.") from None
    if not is_plain(found):
        raise FormatError(f"it has a {what} with control characters, {printable(found)}.")
    return found


def check_opset(versions: dict[str, int]) -> None:
    """Check the versions of the sets of operators, by domain."""
    found = max((versions[domain] for domain in _DOMAINS if domain in versions), default=None)
    if found is None:
        raise FormatError("it names no version of ONNX's operators (opset_import).")
    if not OLDEST_OPSET <= found <= NEWEST_OPSET:
        raise FormatError(
            f"it uses version {found} of ONNX's operators; {OLDEST_OPSET} to {NEWEST_OPSET} are "
            "read. Export it with another opset_version."
        )


def check_operator(where: str, operator: str, domain: str) -> None:
    """Check that a node is one of ONNX's own operators, and not a program."""
    if domain not in _DOMAINS:
        raise FormatError(
            f"{where} is of the domain {printable(domain)}; only ONNX's own are read."
        )
    if not operator.isidentifier():
        raise FormatError(f"{where} is no operator of ONNX's.")
    if operator in _PROGRAMS:
        raise FormatError(f"{where} has a graph of its own, as loops and branches do.")


def check_state(graph: Graph, length: int) -> None:
    """Check that a network's weights take no more memory than its file explains."""
    size = 4 * sum(math.prod(shape) for shape in graph.state_shapes.values())
    if size > _MOST_SHARING * length + _SPARE_BYTES:
        raise FormatError(
            f"its layers share tensors: they have {readable(size)} of weights in a file of "
            f"{readable(length)}."
        )
