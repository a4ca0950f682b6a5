"""The ONNX operators of each layer: ``@onnx_nodes(GELU)``.

A rule takes the layer and a `LayerNodes`, into which it puts its nodes, and returns the name of the
value that is the layer's output, which its last node gives; a layer that does nothing in prediction
returns its input.

All operators are of opset 17, which ONNX Runtime has known since 1.12 and other runtimes know, too:
of later ones only shorter spellings would be gained, such as Gelu (20), Mish (18) and
GroupNormalization (21). Those are spelled as PyTorch's exporters do, and ONNX Runtime fuses them.
"""

import math
from collections.abc import Callable
from functools import reduce

from neocog.formats.onnx.writing.builder import LayerNodes
from neocog.layers import (
    ELU,
    GELU,
    Add,
    BatchNorm2d,
    ChannelShuffle,
    CircularPad2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    LayerNorm2d,
    LeakyReLU,
    Linear,
    Mish,
    Multiply,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.layers.dispatch import Dispatch
from neocog.layers.padding import padding_sources

__all__ = ["onnx_nodes"]

onnx_nodes: Dispatch[Callable[..., str]] = Dispatch()

# Above this log(1 + exp(z)) is z in float32.
_SAME = 20.0


# Convolutions and products


@onnx_nodes(Conv2d)
def _conv2d(layer: Conv2d, o: LayerNodes) -> str:
    x, before, after = o.x, layer.before, layer.after
    if layer.padding_mode != "zeros" and any((*before, *after)):
        x = _padded(layer.padding_mode, (*before, *after), o)
        before = after = (0, 0)
    weights = ["weight", "bias"] if layer.bias else ["weight"]
    return o.node(
        "Conv",
        x,
        *map(o.parameter, weights),
        kernel_shape=layer.kernel,
        strides=layer.steps,
        dilations=layer.spread,
        pads=(*before, *after),
        group=layer.groups,
    )


@onnx_nodes(Linear)
def _linear(layer: Linear, o: LayerNodes) -> str:
    weights = ["weight", "bias"] if layer.bias else ["weight"]
    return o.node("Gemm", o.x, *map(o.parameter, weights), transB=1)


# Normalization


@onnx_nodes(BatchNorm2d)
def _batch_norm2d(layer: BatchNorm2d, o: LayerNodes) -> str:
    scale, shift = _scale_and_shift(layer.affine, layer.num_features, o)
    statistics = o.parameter("running_mean"), o.parameter("running_var")
    return o.node("BatchNormalization", o.x, scale, shift, *statistics, epsilon=layer.eps)


@onnx_nodes(GroupNorm)
def _group_norm(layer: GroupNorm, o: LayerNodes) -> str:
    """Each group is one channel of an instance normalization, whose own scale is 1."""
    groups = o.node("Reshape", o.x, o.integers("groups", [0, layer.num_groups, -1]))
    one, zero = _scale_and_shift(False, layer.num_groups, o)
    y = o.node("InstanceNormalization", groups, one, zero, epsilon=layer.eps)
    y = o.node("Reshape", y, o.integers("shape", [0, *o.shape]))
    if layer.affine:
        y = o.node("Mul", y, o.per_channel("weight", o.shape))
        y = o.node("Add", y, o.per_channel("bias", o.shape))
    return y


@onnx_nodes(LayerNorm2d)
def _layer_norm2d(layer: LayerNorm2d, o: LayerNodes) -> str:
    scale, shift = _scale_and_shift(layer.elementwise_affine, layer.normalized_shape, o)
    y = o.node("Transpose", o.x, perm=(0, 2, 3, 1))
    y = o.node("LayerNormalization", y, scale, shift, axis=-1, epsilon=layer.eps)
    return o.node("Transpose", y, perm=(0, 3, 1, 2))


def _scale_and_shift(affine: bool, count: int, o: LayerNodes) -> tuple[str, str]:
    if affine:
        return o.parameter("weight"), o.parameter("bias")
    return o.floats("one", [1.0] * count), o.floats("zero", [0.0] * count)


# Padding, upsampling and channels


@onnx_nodes(ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d)
def _padding(
    layer: ZeroPad2d | ReflectionPad2d | ReplicationPad2d | CircularPad2d, o: LayerNodes
) -> str:
    (top, bottom), (left, right) = layer.rows, layer.columns
    return _padded(layer.mode, (top, left, bottom, right), o)


def _padded(mode: str, sides: tuple[int, ...], o: LayerNodes) -> str:
    """The input with (top, left, bottom, right) added; opset 17 has no circular padding."""
    top, left, bottom, right = sides
    if mode == "circular":
        _channels, height, width = o.shapes[0]
        rows = padding_sources(mode, height, top, bottom)
        columns = padding_sources(mode, width, left, right)
        y = o.node("Gather", o.x, o.integers("rows", rows), axis=2)
        return o.node("Gather", y, o.integers("columns", columns), axis=3)
    named = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}[mode]
    pads = o.integers("pads", [0, 0, top, left, 0, 0, bottom, right])
    return o.node("Pad", o.x, pads, mode=named)


@onnx_nodes(Upsample)
def _upsample(layer: Upsample, o: LayerNodes) -> str:
    return o.node(
        "Resize",
        o.x,
        "",
        o.floats("scales", [1, 1, *layer.scale]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


@onnx_nodes(Slice)
def _slice(layer: Slice, o: LayerNodes) -> str:
    bounds = (("start", layer.start), ("stop", layer.stop), ("axis", 1))
    return o.node("Slice", o.x, *(o.integers(part, [value]) for part, value in bounds))


@onnx_nodes(ChannelShuffle)
def _channel_shuffle(layer: ChannelShuffle, o: LayerNodes) -> str:
    channels, height, width = o.shape
    split = [0, layer.groups, channels // layer.groups, height, width]
    y = o.node("Reshape", o.x, o.integers("groups", split))
    y = o.node("Transpose", y, perm=(0, 2, 1, 3, 4))
    return o.node("Reshape", y, o.integers("shape", [0, *o.shape]))


@onnx_nodes(Flatten)
def _flatten(layer: Flatten, o: LayerNodes) -> str:
    return o.node("Flatten", o.x, axis=1)


# Several inputs


@onnx_nodes(Add)
def _add(layer: Add, o: LayerNodes) -> str:
    return reduce(lambda sum_, x: o.node("Add", sum_, x), o.inputs)


@onnx_nodes(Multiply)
def _multiply(layer: Multiply, o: LayerNodes) -> str:
    return reduce(lambda product, x: o.node("Mul", product, x), o.inputs)


@onnx_nodes(Concat)
def _concat(layer: Concat, o: LayerNodes) -> str:
    return o.node("Concat", *o.inputs, axis=1)


# Elementwise


@onnx_nodes(Dropout)
def _dropout(layer: Dropout, o: LayerNodes) -> str:
    return o.x


@onnx_nodes(ReLU)
def _relu(layer: ReLU, o: LayerNodes) -> str:
    return o.node("Relu", o.x)


@onnx_nodes(Sigmoid)
def _sigmoid(layer: Sigmoid, o: LayerNodes) -> str:
    return o.node("Sigmoid", o.x)


@onnx_nodes(Tanh)
def _tanh(layer: Tanh, o: LayerNodes) -> str:
    return o.node("Tanh", o.x)


@onnx_nodes(LeakyReLU)
def _leaky_relu(layer: LeakyReLU, o: LayerNodes) -> str:
    return o.node("LeakyRelu", o.x, alpha=layer.negative_slope)


@onnx_nodes(ReLU6)
def _relu6(layer: ReLU6, o: LayerNodes) -> str:
    return o.node("Clip", o.x, o.floats("low", 0), o.floats("high", 6))


@onnx_nodes(Hardsigmoid)
def _hardsigmoid(layer: Hardsigmoid, o: LayerNodes) -> str:
    return o.node("HardSigmoid", o.x, alpha=1 / 6, beta=0.5)


@onnx_nodes(Hardswish)
def _hardswish(layer: Hardswish, o: LayerNodes) -> str:
    return o.node("HardSwish", o.x)


@onnx_nodes(SiLU)
def _silu(layer: SiLU, o: LayerNodes) -> str:
    return o.node("Mul", o.x, o.node("Sigmoid", o.x))


@onnx_nodes(ELU)
def _elu(layer: ELU, o: LayerNodes) -> str:
    return o.node("Elu", o.x, alpha=layer.alpha)


@onnx_nodes(PReLU)
def _prelu(layer: PReLU, o: LayerNodes) -> str:
    return o.node("PRelu", o.x, o.per_channel("weight", o.shape))


@onnx_nodes(Scale)
def _scale(layer: Scale, o: LayerNodes) -> str:
    return o.node("Mul", o.x, o.floats("factor", layer.factor))


@onnx_nodes(Mish)
def _mish(layer: Mish, o: LayerNodes) -> str:
    return o.node("Mul", o.x, o.node("Tanh", o.node("Softplus", o.x)))


@onnx_nodes(Softplus)
def _softplus(layer: Softplus, o: LayerNodes) -> str:
    if layer.beta == 1:
        z = o.x
        y = o.node("Softplus", z)
    else:
        beta = o.floats("beta", layer.beta)
        z = o.node("Mul", o.x, beta)
        y = o.node("Div", o.node("Softplus", z), beta)
    if layer.threshold >= _SAME:
        return y
    is_straight = o.node("Greater", z, o.floats("threshold", layer.threshold))
    return o.node("Where", is_straight, o.x, y)


@onnx_nodes(GELU)
def _gelu(layer: GELU, o: LayerNodes) -> str:
    one, half = o.floats("one", 1), o.floats("half", 0.5)
    if layer.approximate == "none":
        y = o.node("Erf", o.node("Div", o.x, o.floats("root", math.sqrt(2))))
        return o.node("Mul", o.node("Mul", o.x, o.node("Add", y, one)), half)
    cube = o.node("Pow", o.x, o.floats("three", 3))
    y = o.node("Add", o.x, o.node("Mul", cube, o.floats("factor", 0.044715)))
    y = o.node("Tanh", o.node("Mul", y, o.floats("root", math.sqrt(2 / math.pi))))
    return o.node("Mul", o.node("Mul", o.x, half), o.node("Add", y, one))
