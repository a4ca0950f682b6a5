"""The limits within which an ONNX file is read, and why a file is refused before it is built.

ONNX can describe any program: loops, branches, functions of its own, numbers in other files. None
of that is a network of neocog's, so a file that has it is refused by name.
"""

import math

from neocog.errors import FormatError, is_plain, printable
from neocog.layers import Graph
from neocog.limits import readable

__all__ = [
    "LARGEST_COMPUTED",
    "LARGEST_FOLDED",
    "LONGEST_ROW",
    "MOST_ATTRIBUTES",
    "MOST_AXES",
    "MOST_BYTES",
    "MOST_DESCRIPTION_BYTES",
    "MOST_ENTRIES",
    "MOST_FOLDED_BYTES",
    "MOST_LAYERS",
    "MOST_LINKS",
    "MOST_METADATA",
    "MOST_METADATA_BYTES",
    "MOST_NODES",
    "MOST_PACKED_BYTES",
    "MOST_TENSORS",
    "MOST_TEXT_BYTES",
    "NEWEST_OPSET",
    "check_opset",
    "check_state",
    "text",
    "unfit_operator",
]

#: Of a file: a message of Protocol Buffers cannot be larger.
MOST_BYTES = 2**31
#: Of a graph. A ResNet of 1,001 layers has 3,300.
MOST_NODES = 5_000
#: Of the network: a node may become several.
MOST_LAYERS = 5_000
#: Inputs and outputs of all nodes together. A ResNet of 1,001 layers has 12,000.
MOST_LINKS = 40_000
MOST_TENSORS = 20_000
MOST_AXES = 8
#: Of a node.
MOST_ATTRIBUTES = 100
#: Numbers and texts in rows of attributes, of all nodes together.
MOST_ENTRIES = 2**18
#: Of all names together.
MOST_TEXT_BYTES = 2**22
#: Of integers that are packed; they take 30 times as much while they are read.
MOST_PACKED_BYTES = 2**20
#: Of what must be in memory at once: long fields that are no tensors of the graph, and metadata.
MOST_DESCRIPTION_BYTES = 2**25
MOST_METADATA = 1000
#: Of an entry of the metadata; longer ones are not ours.
MOST_METADATA_BYTES = 2**22
#: Numbers of a constant that says a shape, axes, or where something is cut.
LONGEST_ROW = 64
#: Numbers that an operator of constants may give, and bytes of all such together.
LARGEST_FOLDED = 2**16
MOST_FOLDED_BYTES = 2**25
#: Numbers of a constant that others are computed of.
LARGEST_COMPUTED = 2**22
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


def unfit_operator(operator: str, domain: str) -> str | None:
    """Why a node is none of ONNX's own operators, or is a program; None if it is neither."""
    if domain not in _DOMAINS:
        return f"is of the domain {printable(domain)}; only ONNX's own are read."
    if not operator.isidentifier():
        return "is no operator of ONNX's."
    if operator in _PROGRAMS:
        return "has a graph of its own, as loops and branches do."
    return None


def check_state(graph: Graph, length: int) -> None:
    """Check that a network's weights take no more memory than its file explains."""
    size = 4 * sum(math.prod(shape) for shape in graph.state_shapes.values())
    if size > _MOST_SHARING * length + _SPARE_BYTES:
        raise FormatError(
            f"its layers share tensors: they have {readable(size)} of weights in a file of "
            f"{readable(length)}."
        )
