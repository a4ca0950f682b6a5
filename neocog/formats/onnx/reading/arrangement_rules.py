"""Rules of ONNX's operators that reorder, cut, pad or repeat numbers."""

import math
from collections.abc import Sequence

import numpy as np

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator
from neocog.formats.onnx.reading.constants import reshaped, sections
from neocog.formats.onnx.reading.paddings import circular
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
    Upsample,
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
# How a row or column is found whose nearest is repeated, for whole factors.
_NEAREST = {
    ("asymmetric", "floor"),
    *((mode, rounding)
      for mode in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
      for rounding in ("round_prefer_floor", "round_prefer_ceil")),
}  # fmt: skip


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
        if target == plain and x.order == SHUFFLED:
            return call.add(call.made(ChannelShuffle, x.groups), x.seen(PLAIN))
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
    if x.order == FLAT and axis == 0 and places.size == x.axes(call.batch)[0]:
        if np.array_equal(places.reshape(-1), np.arange(places.size)):
            return _seen_as(call, x, places.shape)
        raise call.refused("the numbers of its input in another order are no layer")
    if x.order != PLAIN or len(x.shape) != 3 or axis not in (2, 3):
        raise call.refused("single rows or columns are read only as padding, or to be pooled")
    size = x.shape[axis - 1]
    if places.ndim == 2 or isinstance(given, Pending):
        return gathered(call, given, axis, places)
    row = places.reshape(-1).tolist()
    for before in range(size + 1):
        after = len(row) - size - before
        if after >= 0 and row == [place % size for place in range(-before, size + after)]:
            return circular(call, x, axis, before, after)
        if after < 0:
            break
    raise call.refused("the rows or columns are those of no padding")


@onnx_operator("Resize", "Upsample")
def _resize(call: Call) -> Results:
    x = call.map()
    old = call.operation.operator == "Upsample" or len(call.operation.inputs) == 2
    call.ignore("cubic_coeff_a", "extrapolation_value", "exclude_outside", "antialias")
    call.ignore("keep_aspect_ratio_policy")
    mode = call.text("mode", "nearest")
    if mode != "nearest":
        raise call.refuse("mode", "nearest")
    where = call.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = call.text("nearest_mode", "floor" if old else "round_prefer_floor")
    axes = call.integers("axes") or (0, 1, 2, 3)
    given = x.axes(call.batch)
    if call.given(3):
        sizes = call.row(3)
        scales = [size / given[axis] for size, axis in zip(sizes, axes, strict=False)]
    else:
        at = 1 if old else 2
        numbers = call.attribute("scales", tuple, None)
        scales = list(numbers) if numbers and not call.given(at) else _scales(call, at)
    factors = [1.0] * 4
    for factor, axis in zip(scales, axes, strict=False):
        factors[axis % 4] = factor
    if factors[:2] != [1, 1] or any(one < 1 or one % 1 for one in factors):
        raise call.refused(f"its scales {scales} must be whole, of rows and columns alone")
    if factors == [1.0] * 4:
        return x
    if (where, rounding) not in _NEAREST:
        raise call.refused(f"the nearest is found by {where} and {rounding}, which is no layer")
    scale = (int(factors[2]), int(factors[3]))
    return call.add(call.made(Upsample, scale_factor=scale), x)


def _scales(call: Call, at: int) -> list[float]:
    found = call.constant(at)
    if found.dtype.kind != "f" or found.size > 4 or not np.isfinite(found).all():
        raise call.refused(f"input {at} is no row of scales")
    return [float(one) for one in found.reshape(-1)]
