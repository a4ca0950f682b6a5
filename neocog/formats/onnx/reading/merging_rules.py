"""Rules of ONNX's arithmetic: of two layers' outputs, and of one and constants."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator, shortest
from neocog.formats.onnx.reading.paddings import circular
from neocog.formats.onnx.reading.signals import PIXELS, PLAIN, Pending, Signal
from neocog.formats.onnx.reading.weight_rules import affine
from neocog.layers import Add, Concat, Multiply, Scale

__all__: list[str] = []

Array = NDArray[Any]


@onnx_operator("Add", "Sum")
def _add(call: Call) -> Results:
    if len(call.operation.inputs) == 2:
        if call.is_constant(1):
            return _shifted(call, call.signal(0), call.weights(1))
        if call.is_constant(0):
            return _shifted(call, call.signal(1), call.weights(0))
    signals = _signals(call)
    return signals[0] if len(signals) == 1 else call.add(Add(), *signals)


@onnx_operator("Sub")
def _sub(call: Call) -> Results:
    if call.is_constant(1):
        return _shifted(call, call.signal(0), call.importing.charged(-call.weights(1)))
    if call.is_constant(0):
        negative = call.add(Scale(-1.0), call.signal(1))
        return _shifted(call, negative, call.weights(0))
    first, second = _signals(call)
    return call.add(Add(), first, call.add(Scale(-1.0), second))


@onnx_operator("Mul")
def _mul(call: Call) -> Results:
    if call.is_constant(1):
        return _scaled(call, call.signal(0), call.weights(1))
    if call.is_constant(0):
        return _scaled(call, call.signal(1), call.weights(0))
    return call.add(Multiply(), *_signals(call))


@onnx_operator("Div")
def _div(call: Call) -> Results:
    if not call.is_constant(1):
        raise call.refused("only a division by constants is read")
    divisor = call.weights(1)
    if not divisor.all():
        raise call.refused("it divides by zero")
    return _scaled(call, call.signal(0), call.importing.charged(1 / divisor.astype(np.float64)))


def _signals(call: Call) -> list[Signal]:
    """All inputs, in the same order of axes."""
    signals = [call.signal(at) for at in range(len(call.operation.inputs))]
    if not signals or len({(one.order, one.groups) for one in signals}) > 1:
        orders = ", ".join(one.order for one in signals)
        raise call.refused(f"its inputs' axes are in different orders ({orders})")
    return signals


def _scaled(call: Call, x: Signal, factor: Array) -> Signal:
    if factor.size == 1 and factor.ndim <= len(x.axes(call.batch)):
        number = shortest(factor.item())
        return x if number == 1 else call.add(call.made(Scale, number), x)
    row = _of_channels(call, x, factor)
    return affine(call, x, call.importing.charged(row.astype(np.float32)), None)


def _shifted(call: Call, x: Signal, shift: Array) -> Signal:
    if not shift.any() and shift.ndim <= 1:
        return x
    return affine(call, x, None, _of_channels(call, x, shift))


def _of_channels(call: Call, x: Signal, array: Array) -> Array:
    """A constant as one number for each channel."""
    axes = x.axes(call.batch)
    channel = {PIXELS: 3, PLAIN: 1}.get(x.order)
    shape = (*(1,) * (len(axes) - array.ndim), *array.shape)
    if channel is None or len(shape) != len(axes):
        raise call.refused(f"a constant of the shape {array.shape} does not fit {axes}")
    size = axes[channel]
    if array.size == 1:
        return call.importing.repeated(array, size)
    if array.size != size or shape[channel] != size:
        raise call.refused(f"a constant of the shape {array.shape} is not one number a channel")
    return array.reshape(-1)


@onnx_operator("Concat")
def _concat(call: Call) -> Results:
    values = [call.value(at) for at in range(len(call.operation.inputs))]
    if any(isinstance(one, Pending) for one in values):
        given = [
            one if isinstance(one, Pending) else call.signal(at) for at, one in enumerate(values)
        ]
        return _circular(call, given)
    signals = _signals(call)
    axes = signals[0].axes(call.batch)
    channel = {PIXELS: 3, PLAIN: 1}.get(signals[0].order)
    axis = call.integer("axis", 1)
    if channel is None or axis % len(axes) != channel:
        raise call.refuse("axis", "that of the channels")
    return signals[0] if len(signals) == 1 else call.add(Concat(), *signals)


def _circular(call: Call, values: list[Any]) -> Signal:
    """A map between strips of its own other sides, as PyTorch writes circular padding."""
    axis = call.integer("axis", 0)
    maps = [one for one in values if isinstance(one, Signal)]
    if len(maps) != 1 or maps[0].order != PLAIN or axis not in (2, 3):
        raise call.refused("parts of a map are read as circular padding only")
    whole, size = maps[0], maps[0].shape[axis - 1]
    added = [0, 0]
    for at, one in enumerate(values):
        if one is whole:
            continue
        behind = at > values.index(whole)
        length = one.stop - one.start if isinstance(one, Pending) else 0
        fits = (0, length) if behind else (size - length, size)
        if (
            not isinstance(one, Pending)
            or (one.kind, one.source, one.axis) != ("strip", whole, axis)
            or (one.start, one.stop) != fits
            or added[behind]
        ):
            raise call.refused("parts of a map are read as circular padding only")
        added[behind] = length
    return circular(call, whole, axis, *added)
