"""Kernels, strides and paddings of ONNX's convolutions and pools."""

from neocog.formats.onnx.reading.call import Call
from neocog.layers import Shape

__all__ = ["Pads", "pads_of", "pair"]

#: top, left, bottom, right.
Pads = tuple[int, int, int, int]


def pair(call: Call, name: str) -> tuple[int, int]:
    """An attribute with a number for the rows and one for the columns; 1 if it is left out."""
    found = call.integers(name)
    if found is None:
        return 1, 1
    if len(found) != 2 or not all(1 <= size < 2**31 for size in found):
        raise call.refuse(name, "two whole numbers of at least 1, for rows and columns")
    return found[0], found[1]


def pads_of(call: Call, size: Shape, reach: tuple[int, ...], stride: tuple[int, int]) -> Pads:
    """The padding of a node: its pads, or those that auto_pad asks for.

    Args:
        call: the node.
        size: rows and columns of its input.
        reach: rows and columns that a kernel covers.
        stride: of the kernel.
    """
    mode, pads = call.text("auto_pad", "NOTSET"), call.integers("pads")
    if mode == "NOTSET":
        pads = pads or (0, 0, 0, 0)
        if len(pads) != 4 or not all(0 <= one < 2**31 for one in pads):
            raise call.refuse("pads", "four whole numbers of at least 0")
        return pads[0], pads[1], pads[2], pads[3]
    if mode == "VALID":
        return 0, 0, 0, 0
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise call.refuse("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    before, after = [], []
    for length, kernel, step in zip(size, reach, stride, strict=True):
        total = max(0, (-(-length // step) - 1) * step + kernel - length)
        less = total // 2
        before.append(less if mode == "SAME_UPPER" else total - less)
        after.append(total - before[-1])
    return before[0], before[1], after[0], after[1]
