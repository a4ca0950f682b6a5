"""Rules of ONNX's operators that reorder, cut, pad or repeat numbers."""

import math
from collections.abc import Sequence

import numpy as np

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator
from neocog.formats.onnx.reading.constants import reshaped, sections
from neocog.formats.onnx.reading.paddings import circular
from neocog.formats.onnx.reading.safety import MOST_AXES
from neocog.formats.onnx.reading.signals import (
    COLUMN,
    FLAT,
    GROUPS,
    PIXELS,
    PLAIN,
    ROWS,
    SHUFFLED,
    Pending,
    Signal,
)
from neocog.formats.onnx.reading.uneven_pools import gathered
from neocog.layers import (
    ChannelShuffle,
    CircularPad2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    ReflectionPad2d,
    ReplicationPad2d,
    Slice,
    ZeroPad2d,
)

__all__: list[str] = []

_TRANSPOSED = {
    (PLAIN, (0, 2, 3, 1)): PIXELS,
    (PIXELS, (0, 3, 1, 2)): PLAIN,
    (GROUPS, (0, 2, 1, 3, 4)): SHUFFLED,
}
_PADDINGS = {
    "constant": ZeroPad2d,
    "reflect": ReflectionPad2d,
    "edge": ReplicationPad2d,
    "wrap": CircularPad2d,
}


@onnx_operator("Transpose")
def _transpose(call: Call) -> Results:
    x, perm = call.signal(), call.integers("perm")
    count = len(x.axes(call.batch))
    perm = tuple(reversed(range(count))) if perm is None else perm
    if perm == tuple(range(count)):
        return x
    order = _TRANSPOSED.get((x.order, perm))
    if order is None or len(x.shape) != 3:
        raise call.refused(
            f"axes in the order {perm}, of a map in the order {x.order}, are no layer"
        )
    return x.seen(order, x.groups)


@onnx_operator("Reshape")
def _reshape(call: Call) -> Results:
    x = call.signal()
    target = call.row(1) if call.given(1) else call.integers("shape") or ()
    allow_zero = bool(call.integer("allowzero", 0))
    axes = x.axes(call.batch)
    try:
        return _seen_as(call, x, reshaped(axes, target, allow_zero))
    except (ValueError, IndexError, ZeroDivisionError):
        raise call.refused(f"{axes} cannot have the shape {target}") from None


@onnx_operator("Flatten")
def _flatten(call: Call) -> Results:
    x = call.signal()
    axes = x.axes(call.batch)
    axis = call.integer("axis", 1)
    if not -len(axes) <= axis <= len(axes):
        raise call.refuse("axis", f"at most {len(axes)}")
    axis = axis % len(axes) if axis < len(axes) else axis
    return _seen_as(call, x, (math.prod(axes[:axis]), math.prod(axes[axis:])))


@onnx_operator("Squeeze")
def _squeeze(call: Call) -> Results:
    x = call.signal()
    axes = x.axes(call.batch)
    given = call.row(1) if call.given(1) else call.integers("axes")
    gone = [at for at, size in enumerate(axes) if size == 1] if given is None else given
    where = {at % len(axes) for at in gone}
    if any(axes[at] != 1 for at in where):
        raise call.refused(f"{axes} has other than 1 at {sorted(where)}")
    return _seen_as(call, x, [size for at, size in enumerate(axes) if at not in where])


@onnx_operator("Unsqueeze")
def _unsqueeze(call: Call) -> Results:
    x = call.signal()
    axes = list(x.axes(call.batch))
    given = call.row(1) if call.given(1) else call.integers("axes") or ()
    if len(given) > MOST_AXES:
        raise call.refused(f"it adds {len(given):,} axes")
    count = len(axes) + len(given)
    for at in sorted(axis % count for axis in given):
        axes.insert(at, 1)
    return _seen_as(call, x, axes)


def _seen_as(call: Call, x: Signal, target: Sequence[int]) -> Signal:
    """The same numbers in another shape, which must be one of those that networks use."""
    batch, shape = call.batch, x.shape
    axes, target = x.axes(batch), tuple(target)
    if target == axes:
        return x
    if x.order == FLAT:
        return _seen_as(call, x.seen(PLAIN), target)
    if x.order == PLAIN and target == (batch * math.prod(shape),):
        return x.seen(FLAT)
    if len(shape) == 3:
        plain = (batch, *shape)
        if target == plain and x.order in (GROUPS, ROWS):
            return x.seen(PLAIN)
        if x.order == SHUFFLED and target in (plain, (batch, math.prod(shape))):
            shuffled = call.add(call.made(ChannelShuffle, x.groups), x.seen(PLAIN))
            return _seen_as(call, shuffled, target)  # PyTorch's exporter flattens in the same node
        if target == (batch, math.prod(shape)) and (
            x.order in (PLAIN, GROUPS, ROWS) or (x.order == PIXELS and shape[1:] == (1, 1))
        ):
            return call.add(Flatten(), x.seen(PLAIN))
        if x.order == PLAIN and len(target) in (3, 5) and target[0] == batch:
            groups = target[1]
            if shape[0] % groups == 0:
                for order in (GROUPS, ROWS):
                    if x.seen(order, groups).axes(batch) == target:
                        return x.seen(order, groups)
    elif target == (batch, *shape):
        return x.seen(PLAIN)
    elif target == (batch, *shape, 1):
        return x.seen(COLUMN)
    elif target == (batch, *shape, 1, 1):
        return _as_map(call, x)
    raise call.refused(f"{axes} as {target} is no layer")


def _as_map(call: Call, x: Signal) -> Signal:
    """A vector as a map of one pixel: the layers since it was one are computed on maps."""
    importing = call.importing
    chain: list[tuple[str, Layer]] = []
    name = x.layer
    while True:
        node = importing.node(name)
        if node is None or len(node.inputs) != 1 or len(chain) > 8:
            raise call.refused("a vector can be a map only where it was one before")
        if isinstance(node.layer, Flatten):
            source = importing.signal(node.inputs[0])
            break
        chain.append((name, node.layer))
        name = node.inputs[0]
    if source.shape[1:] != (1, 1):
        raise call.refused("a vector can be a map only where it was one of a single pixel")
    for name, layer in reversed(chain):
        state = importing.state(name)
        if isinstance(layer, Linear):
            layer = Conv2d(layer.in_features, layer.out_features, 1, bias=layer.bias)
            state["weight"] = state["weight"][:, :, None, None]
        source = importing.add(name, layer, (source,), state)
    return source


@onnx_operator("Slice")
def _slice(call: Call) -> Results:
    x = call.signal()
    axes = x.axes(call.batch)
    if call.given(1):
        starts, stops = call.row(1), call.row(2)
        where = call.row(3) if call.given(3) else tuple(range(len(starts)))
        steps = call.row(4) if call.given(4) else (1,) * len(starts)
    else:
        starts, stops = call.integers("starts") or (), call.integers("ends") or ()
        where = call.integers("axes") or tuple(range(len(starts)))
        steps = (1,) * len(starts)
    if not len(starts) == len(stops) == len(where) == len(steps):
        raise call.refused("its starts, ends, axes and steps differ in number")
    result: Signal | Pending = x
    if len(x.shape) == 1 and x.order == PLAIN:
        return _of_vector(call, x, list(zip(starts, stops, where, steps, strict=True)))
    for start, stop, axis, step in zip(starts, stops, where, steps, strict=True):
        axis %= len(axes)
        if step != 1:
            raise call.refused(f"its step (={step}) must be 1")
        part = range(*slice(start, stop).indices(axes[axis]))
        if len(part) == axes[axis]:
            continue
        if isinstance(result, Pending) or x.order != PLAIN or axis == 0 or len(x.shape) != 3:
            raise call.refused("parts of channels are read, not of other axes")
        if axis == 1:
            result = call.add(call.made(Slice, part.start, part.stop), result)
        else:
            why = "it reads a part of a map, which is read as circular padding only"
            result = Pending("strip", result, axis, part.start, part.stop, why)
    return result


def _of_vector(call: Call, x: Signal, cuts: list[tuple[int, int, int, int]]) -> Signal:
    """A part of a vector that was a map of one pixel: a part of that map's channels."""
    (size,) = x.shape
    for start, stop, axis, step in cuts:
        part = range(*slice(start, stop).indices(size))
        if axis not in (1, -1) or step != 1 or len(cuts) > 1:
            raise call.refused("of a vector one part of its numbers is read")
        if len(part) < size:
            cut = call.add(call.made(Slice, part.start, part.stop), _as_map(call, x))
            return call.add(Flatten(), cut)
    return x


@onnx_operator("Split")
def _split(call: Call) -> Results:
    x = call.map()
    if call.integer("axis", 0) not in (1, -3):
        raise call.refuse("axis", "1, that of the channels")
    count = call.integer("num_outputs", len(call.operation.outputs))
    lengths = call.row(1) if call.given(1) else call.integers("split")
    try:
        if count < 1:
            raise ValueError("no parts")
        parts = sections(x.shape[0], lengths, count)
    except ValueError as error:
        raise call.refused(str(error)) from None
    if len(parts) < len(call.operation.outputs):
        raise call.refused(f"it has {len(call.operation.outputs)} outputs of {len(parts)} parts")
    return [
        call.add(call.made(Slice, *part), x) if name else np.zeros(0)
        for part, name in zip(parts, call.operation.outputs, strict=False)
    ]


@onnx_operator("Pad")
def _pad(call: Call) -> Results:
    x = call.map()
    pads = call.row(1) if call.given(1) else call.integers("pads") or ()
    mode = call.text("mode", "constant")
    if mode not in _PADDINGS:
        raise call.refuse("mode", f"one of {', '.join(_PADDINGS)}")
    if call.number(2, call.real("value", 0)) != 0:
        raise call.refused("it pads with another number than 0")
    axes = call.row(3) if call.given(3) else tuple(range(4))
    if len(pads) != 2 * len(axes):
        raise call.refused(f"its pads {pads} do not fit its axes {axes}")
    before, after = [0] * 4, [0] * 4
    for at, axis in enumerate(axes):
        before[axis % 4], after[axis % 4] = pads[at], pads[at + len(axes)]
    if any((*before[:2], *after[:2])):
        raise call.refused(f"its pads {pads} are not of rows and columns alone")
    sides = (before[3], after[3], before[2], after[2])
    return x if not any(sides) else call.add(call.made(_PADDINGS[mode], sides), x)


@onnx_operator("Gather")
def _gather(call: Call) -> Results:
    """Rows or columns of a map: circular padding, or the windows of an uneven pooling."""
    value = call.value()
    given = value if isinstance(value, Pending) else call.signal()
    x = given.source if isinstance(given, Pending) else given
    axis, places = call.integer("axis", 0), call.constant(1)
    if places.dtype.kind not in "iu":
        raise call.refused(f"its places are numbers of {places.dtype}, not integers")
    if x.order == FLAT and axis == 0 and places.size == x.axes(call.batch)[0]:
        call.importing.check_computed(3 * 8 * places.size)
        if np.array_equal(places.reshape(-1), np.arange(places.size)):
            return _seen_as(call, x, places.shape)
        raise call.refused("the numbers of its input in another order are no layer")
    if x.order != PLAIN or len(x.shape) != 3 or axis not in (2, 3):
        raise call.refused("single rows or columns are read only as padding, or to be pooled")
    size = x.shape[axis - 1]
    if places.ndim == 2 or isinstance(given, Pending):
        return gathered(call, given, axis, places)
    if places.size >= size:
        call.importing.check_computed(3 * 8 * places.size)  # this row, and what it should be
        row = places.reshape(-1).astype(np.int64)
        # The first place says how many stand before; if it is 0, none or a whole side.
        first = int(-row[0] % size)
        for before in (first,) if first else (0, size):
            after = row.size - size - before
            if after >= 0 and np.array_equal(row, np.arange(-before, size + after) % size):
                return circular(call, x, axis, before, after)
    raise call.refused("the rows or columns are those of no padding")
