"""Rules of ONNX's operators that become layers with weights."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator
from neocog.formats.onnx.reading.paddings import own_padding
from neocog.formats.onnx.reading.patterns import NORMALIZE
from neocog.formats.onnx.reading.signals import PIXELS, PLAIN, ROWS, Signal
from neocog.formats.onnx.reading.uneven_pools import means
from neocog.formats.onnx.reading.windows import pads_of, pair
from neocog.layers import (
    BatchNorm2d,
    Conv2d,
    GroupNorm,
    LayerNorm2d,
    Linear,
    ZeroPad2d,
)

__all__ = ["affine"]

_ZERO, _ONE = np.zeros(1, np.float32), np.ones(1, np.float32)


@onnx_operator("Conv")
def _conv(call: Call) -> Results:
    x, weight = call.map(), call.weights(1)
    if weight.ndim != 4 or not weight.size:
        raise call.refused(f"its weight has the shape {weight.shape}; 2-D convolutions are read")
    out, each, *kernel = weight.shape
    groups = call.integer("group", 1)
    if call.integers("kernel_shape") not in (None, tuple(kernel)):
        raise call.refuse("kernel_shape", f"{tuple(kernel)}, as its weight's")
    stride, dilation = pair(call, "strides"), pair(call, "dilations")
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    top, left, bottom, right = pads_of(call, x.shape[1:], reach, stride)
    padding = (top, left)
    if (top, left) != (bottom, right):
        x = call.add(ZeroPad2d((left, right, top, bottom)), x)
        padding = (0, 0)
    mode = "zeros"
    if not any((*padding, bottom, right)):
        x, padding, mode = own_padding(call, x)
    layer = call.made(Conv2d, each * groups, out, tuple(kernel), stride, padding, dilation, groups,
        call.given(2), mode,
    )  # fmt: skip
    state = {"weight": weight}
    if call.given(2):
        state["bias"] = _vector(call, 2, out)
    return call.add(layer, x, tensor=1, state=state)


@onnx_operator("BatchNormalization")
def _batch_norm(call: Call) -> Results:
    x = call.map()
    call.require("training_mode", 0)
    call.require("spatial", 1)
    call.ignore("consumed_inputs", "is_test")
    c = x.shape[0]
    parts = ("weight", "bias", "running_mean", "running_var")
    state = {part: _vector(call, at, c) for at, part in enumerate(parts, 1)}
    affine = not _does_nothing(call, state)
    if not affine:
        del state["weight"], state["bias"]
    momentum = float(f"{1 - call.real('momentum', 0.9):.6g}")
    layer = call.made(BatchNorm2d, c, call.real("epsilon", 1e-5), momentum, affine)
    state["num_batches_tracked"] = np.zeros((), np.int64)
    return call.add(layer, x, tensor=1, state=state)


@onnx_operator("Gemm")
def _gemm(call: Call) -> Results:
    x, weight = call.plain(), call.weights(1)
    call.require("transA", 0)
    if weight.ndim != 2:
        raise call.refused(f"its weight has the shape {weight.shape}, not two axes")
    weight = weight if call.integer("transB", 0) else weight.T
    alpha, beta = call.real("alpha", 1), call.real("beta", 1)
    if alpha != 1:
        call.importing.check_computed(weight.nbytes)
        weight = np.float32(alpha) * weight
    state = {"weight": weight}
    if call.given(2):
        bias = _vector(call, 2, weight.shape[0])
        state["bias"] = bias if beta == 1 else call.importing.charged(np.float32(beta) * bias)
    layer = call.made(Linear, weight.shape[1], weight.shape[0], call.given(2))
    return call.add(layer, x, tensor=1, state=state)


@onnx_operator("MatMul")
def _matmul(call: Call) -> Results:
    if call.is_constant(0) or not call.is_constant(1):
        return means(call)
    x, weight = call.signal(), call.weights(1)
    if x.order == PLAIN and len(x.shape) == 3:
        return means(call)
    if weight.ndim != 2 or 0 in weight.shape:
        raise call.refused(f"its weight has the shape {weight.shape}, not two axes")
    inner, out = weight.shape
    if x.order == PIXELS:  # of every pixel's channels: a convolution of 1 × 1
        pixels = call.made(Conv2d, inner, out, 1, bias=False)
        return call.add(pixels, x, tensor=1, state={"weight": weight.T[:, :, None, None]})
    if x.order != PLAIN or len(x.shape) != 1:
        raise call.refused(f"its input has the shape {x.axes(call.batch)}; flat ones are read")
    layer = call.made(Linear, inner, out, bias=False)
    return call.add(layer, x, tensor=1, state={"weight": weight.T})


@onnx_operator("LayerNormalization")
def _layer_norm(call: Call) -> Results:
    x = call.signal()
    call.ignore("stash_type")
    if x.order != PIXELS or call.integer("axis", -1) not in (-1, 3):
        raise call.refused("layer normalization is read over the channels of each pixel only")
    c = x.shape[0]
    state = {"weight": _vector(call, 1, c)}
    state["bias"] = _vector(call, 2, c) if call.given(2) else call.importing.repeated(_ZERO, c)
    if _does_nothing(call, state):
        state = {}
    layer = call.made(LayerNorm2d, c, call.real("epsilon", 1e-5), bool(state))
    return call.add(layer, x, tensor=1, state=state)


@onnx_operator(NORMALIZE)
def _normalize(call: Call) -> Results:
    """Layer normalization in single steps, without its weights."""
    x = call.signal()
    call.require("keepdims", 1)
    call.ignore("noop_with_empty_axes")
    axes = call.integers("axes") if not call.given(1) else call.row(1)
    channels = {PIXELS: (3, -1), PLAIN: (1, -3)}.get(x.order, ())
    if len(x.shape) != 3 or axes is None or len(axes) != 1 or axes[0] not in channels:
        raise call.refused("a normalization is read over the channels of each pixel only")
    return call.add(call.made(LayerNorm2d, x.shape[0], call.real("epsilon", 0), False), x)


@onnx_operator("InstanceNormalization")
def _instance_norm(call: Call) -> Results:
    x, eps = call.signal(), call.real("epsilon", 1e-5)
    if x.order == ROWS:  # group normalization, whose weights come after it
        weight, bias = (_vector(call, at, x.groups) for at in (1, 2))
        if (weight != 1).any() or bias.any():
            raise call.refused("group normalization has weights for each channel only")
        return call.add(call.made(GroupNorm, x.groups, x.shape[0], eps, False), x)
    x = call.map()
    c = x.shape[0]
    state = {"weight": _vector(call, 1, c), "bias": _vector(call, 2, c)}
    if _does_nothing(call, state):
        state = {}
    layer = call.made(GroupNorm, c, c, eps, bool(state))
    return call.add(layer, x, tensor=1, state=state)


@onnx_operator("GroupNormalization")
def _group_norm(call: Call) -> Results:
    x, groups = call.map(), call.integer("num_groups", 0)
    call.ignore("stash_type")
    c = x.shape[0]
    layer = call.made(GroupNorm, groups, c, call.real("epsilon", 1e-5))
    arrays = []
    for at in (1, 2):
        array = call.weights(at)
        if array.size == groups != c:  # before version 21 of the operators
            array = call.importing.repeated(array, c // groups)
        arrays.append(_sized(call, at, array, c))
    state = {"weight": arrays[0], "bias": arrays[1]}
    return call.add(layer, x, tensor=1, state=state)


def _does_nothing(call: Call, state: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a normalization's weight and bias are 1 and 0, and no parameters by their names."""
    named = any(name.endswith((".weight", ".bias")) for name in call.operation.inputs)
    return not named and bool((state["weight"] == 1).all()) and not state["bias"].any()


def affine(
    call: Call, x: Signal, factor: NDArray[Any] | None, shift: NDArray[Any] | None
) -> Signal:
    """x · factor + shift, with one number for each channel, as part of a layer or a layer.

    Raises:
        FormatError: x is a vector and is not a linear layer's output.
    """
    importing = call.importing
    node = importing.node(x.layer)
    c = x.shape[0]
    if node is not None and isinstance(node.layer, GroupNorm | LayerNorm2d):
        state = importing.state(x.layer) or {
            "weight": importing.repeated(_ONE, c),
            "bias": importing.repeated(_ZERO, c),
        }
        for name in ("weight", "bias"):
            if factor is not None:
                state[name] = importing.charged(state[name] * factor)
        if shift is not None:
            state["bias"] = importing.charged(state["bias"] + shift)
        layer: Any = node.layer
        same = (
            GroupNorm(layer.num_groups, c, layer.eps)
            if isinstance(layer, GroupNorm)
            else LayerNorm2d(c, layer.eps)
        )
        return importing.replaced(x, same, state)
    if node is not None and factor is None and isinstance(node.layer, Conv2d | Linear):
        state = importing.state(x.layer)
        added = state["bias"] + shift if node.layer.bias else shift
        state["bias"] = importing.charged(np.array(added, np.float32))
        return importing.replaced(x, _with_bias(node.layer), state)
    if len(x.shape) != 3:
        raise call.refused(f"constants of a vector of {c} numbers are no layer")
    weight = importing.repeated(_ONE, c) if factor is None else factor
    state = {"weight": importing.charged(np.array(weight).reshape(c, 1, 1, 1))}
    if shift is not None:
        state["bias"] = shift
    layer = Conv2d(c, c, 1, groups=c, bias=shift is not None)
    return call.add(layer, x, state=state)


def _with_bias(layer: Conv2d | Linear) -> Conv2d | Linear:
    if isinstance(layer, Linear):
        return Linear(layer.in_features, layer.out_features)
    return Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
        layer.dilation, layer.groups,
    )  # fmt: skip


def _vector(call: Call, at: int, size: int) -> NDArray[Any]:
    return _sized(call, at, call.weights(at), size)


def _sized(call: Call, at: int, array: NDArray[Any], size: int) -> NDArray[Any]:
    """A row of this many numbers; a single one stands for all."""
    if array.size == 1 and size > 1:
        array = call.importing.repeated(array, size)
    if array.size != size or math.prod(array.shape[:-1]) not in (1, size):
        raise call.refused(f"input {at} has the shape {array.shape}, not {size} numbers")
    return array.reshape(-1)
