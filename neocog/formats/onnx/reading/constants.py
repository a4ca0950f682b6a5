"""Operators of constants, which exporters leave in a graph: mostly the arithmetic of shapes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.onnx.reading.messages import Operation
from neocog.formats.onnx.reading.safety import LARGEST_COMPUTED, LARGEST_FOLDED, LONGEST_ROW
from neocog.formats.onnx.reading.tensors import DTYPES, Tensor

__all__ = ["COPYING", "FOLDED", "fold", "reshaped", "sections", "sliced"]

# What Python and NumPy raise for values that an operator does not take.
_MISFITS = (
    AttributeError, ValueError, IndexError, TypeError, KeyError, OverflowError, ZeroDivisionError,
)  # fmt: skip

Array = NDArray[Any]
Fold = Callable[[Operation, list[Array]], Array | list[Array]]


def fold(operation: Operation, inputs: Sequence[Array | None]) -> list[Array] | None:
    """The outputs of an operator of constants; None if there is no rule for it.

    Raises:
        FormatError: the inputs are none that the operator takes, or the result is too large.
    """
    rule = _RULES.get(operation.operator)
    if rule is None:
        return None
    given = [one for one in inputs if one is not None]
    try:
        with np.errstate(all="ignore"):
            found = rule(operation, given)
    except _MISFITS as error:
        raise FormatError(f"{operation.where} does not fit its inputs ({error}).") from None
    # NumPy gives scalars where an array has no axes.
    return [np.asarray(one) for one in (found if isinstance(found, list) else [found])]


def _sized(shape: Sequence[int], inputs: Sequence[Array] = ()) -> tuple[int, ...]:
    """The shape, if an operator may give as much."""
    most = max([LARGEST_FOLDED, *(one.size for one in inputs)])
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes) or math.prod(sizes) > most:
        raise ValueError(f"a constant of the shape {sizes}")
    return sizes


def _row(array: Array) -> list[int]:
    """Numbers that say a shape, axes or places; ever so many would cost, and mean nothing."""
    if array.ndim > 1 or array.size > LONGEST_ROW or array.dtype.kind not in "iu":
        raise ValueError(f"{array.dtype} of the shape {array.shape} for a short row of integers")
    row: list[int] = array.reshape(-1).tolist()
    return row


def _elementwise(function: Callable[..., Any], count: int = 2) -> Fold:
    def rule(_operation: Operation, inputs: list[Array]) -> Array:
        if len(inputs) != count:  # NumPy takes one more, into which it would write
            raise ValueError(f"{len(inputs)} inputs, not {count}")
        _sized(np.broadcast_shapes(*(one.shape for one in inputs)), inputs)
        return np.asarray(function(*inputs))

    return rule


def _divided(a: Array, b: Array) -> Array:
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not np.all(b):
        raise ZeroDivisionError("a division by zero")
    quotient = np.abs(a) // np.abs(b)  # ONNX rounds toward zero
    return np.asarray(quotient * np.sign(a) * np.sign(b)).astype(a.dtype)


def reshaped(shape: Sequence[int], target: Sequence[int], allow_zero: bool) -> tuple[int, ...]:
    """The shape that Reshape gives: 0 keeps an axis, and −1 is what is left.

    Raises:
        ValueError: the shapes do not have the same number of elements.
    """
    sizes = [
        shape[i] if size == 0 and not allow_zero else int(size) for i, size in enumerate(target)
    ]
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise ValueError(f"the shape {tuple(target)}")
    if -1 in sizes:
        known = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = math.prod(shape) // known
    if math.prod(sizes) != math.prod(shape):
        raise ValueError(f"{tuple(shape)} as {tuple(target)}")
    return tuple(sizes)


def sliced(size: int, start: int, stop: int, step: int) -> slice:
    """A part of an axis, as Slice means it."""
    if step == 0:
        raise ValueError("a step of 0")
    return slice(*slice(start, stop, step).indices(size)) if step > 0 else slice(start, stop, step)


def sections(size: int, lengths: Sequence[int] | None, parts: int) -> list[tuple[int, int]]:
    """The parts of an axis that Split makes: begin and end of each."""
    if lengths is None:
        if parts > size:
            raise ValueError(f"{parts} parts of {size}")
        each = -(-size // parts)
        lengths = [max(0, min(each, size - i * each)) for i in range(parts)]
    if sum(lengths) != size or any(length < 1 for length in lengths):
        raise ValueError(f"parts of {list(lengths[:LONGEST_ROW])} of {size}")
    ends = np.cumsum(lengths).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _axes(operation: Operation, inputs: list[Array], at: int = 1) -> tuple[int, ...] | None:
    """Axes, which later versions of ONNX have as an input."""
    given = operation.attributes.get("axes")
    return tuple(_row(inputs[at])) if len(inputs) > at else given


def _constant(operation: Operation, _inputs: list[Array]) -> Array:
    ((name, value),) = operation.attributes.items()
    if isinstance(value, Tensor):
        return value.array()
    kinds = {"value_float": np.float32, "value_floats": np.float32}
    return np.asarray(value, kinds.get(name, np.int64))


def _constant_of_shape(operation: Operation, inputs: list[Array]) -> Array:
    value = operation.attributes.get("value")
    filled = np.zeros(1, np.float32) if value is None else value.array().reshape(-1)
    return np.full(_sized(_row(inputs[0])), filled[0], filled.dtype)


def _cast(operation: Operation, inputs: list[Array]) -> Array:
    return inputs[0].astype(DTYPES[operation.attributes["to"]], copy=False)


def _reshape(operation: Operation, inputs: list[Array]) -> Array:
    allow_zero = bool(operation.attributes.get("allowzero", 0))
    if not inputs[0].flags.c_contiguous and inputs[0].size > LARGEST_COMPUTED:
        raise ValueError(f"a copy of {inputs[0].size:,} numbers")
    return inputs[0].reshape(reshaped(inputs[0].shape, _row(inputs[1]), allow_zero))


def _transpose(operation: Operation, inputs: list[Array]) -> Array:
    return inputs[0].transpose(operation.attributes.get("perm"))


def _squeeze(operation: Operation, inputs: list[Array]) -> Array:
    return np.squeeze(inputs[0], _axes(operation, inputs))


def _unsqueeze(operation: Operation, inputs: list[Array]) -> Array:
    axes = _axes(operation, inputs) or ()
    return np.expand_dims(inputs[0], axes) if len(axes) <= 8 else inputs[0].reshape(-1, 0)


def _gather(operation: Operation, inputs: list[Array]) -> Array:
    axis = operation.attributes.get("axis", 0)
    rest = inputs[0].size // max(1, inputs[0].shape[axis])
    _sized((rest * inputs[1].size,))
    return np.take(inputs[0], inputs[1], axis)


def _concat(operation: Operation, inputs: list[Array]) -> Array:
    _sized((sum(one.size for one in inputs),))
    return np.concatenate(inputs, operation.attributes["axis"])


def _slice(operation: Operation, inputs: list[Array]) -> Array:
    given = operation.attributes
    rows = [_row(one) for one in inputs[1:]] or [given["starts"], given["ends"]]
    starts, stops, *more = rows
    axes = more[0] if more else given.get("axes", range(len(starts)))
    steps = more[1] if len(more) > 1 else [1] * len(starts)
    found = inputs[0]
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        part = [slice(None)] * found.ndim
        part[axis] = sliced(found.shape[axis], start, stop, step)
        found = found[tuple(part)]
    return found


def _split(operation: Operation, inputs: list[Array]) -> list[Array]:
    axis = operation.attributes.get("axis", 0)
    lengths = operation.attributes.get("split")
    if len(inputs) > 1:
        if inputs[1].size != len(operation.outputs):
            raise ValueError(f"{inputs[1].size:,} lengths for {len(operation.outputs):,} outputs")
        lengths = inputs[1].tolist()
    parts = sections(inputs[0].shape[axis], lengths, len(operation.outputs))
    return [np.take(inputs[0], range(*part), axis) for part in parts]


def _range(_operation: Operation, inputs: list[Array]) -> Array:
    start, stop, step = (float(one.item()) for one in inputs)
    _sized((max(0, math.ceil((stop - start) / step)),))
    found: Array = np.arange(start, stop, step).astype(inputs[0].dtype)
    return found


def _expand(_operation: Operation, inputs: list[Array]) -> Array:
    shape = np.broadcast_shapes(inputs[0].shape, _sized(_row(inputs[1])))
    return np.broadcast_to(inputs[0], _sized(shape)).copy()


def _shape(operation: Operation, inputs: list[Array]) -> Array:
    given = operation.attributes
    return np.array(inputs[0].shape[given.get("start", 0) : given.get("end")], np.int64)


_RULES: dict[str, Fold] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda _, inputs: inputs[0],
    "Cast": _cast,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Range": _range,
    "Expand": _expand,
    "Shape": _shape,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divided),
    "Pow": _elementwise(np.power),
    "Neg": _elementwise(np.negative, 1),
    "Sqrt": _elementwise(np.sqrt, 1),
    "Reciprocal": _elementwise(lambda a: 1 / a, 1),
    "Floor": _elementwise(np.floor, 1),
    "Equal": _elementwise(np.equal),
    "Where": _elementwise(np.where, 3),
}
# Those that give a part, or another view, of the numbers that they read.
_VIEWS = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Shape")
#: Operators of constants, and those of them whose results are arrays of their own.
FOLDED = frozenset(_RULES)
COPYING = FOLDED - frozenset(_VIEWS)
