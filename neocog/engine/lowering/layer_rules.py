"""What each layer becomes: ``@lowers(Linear)``.

A rule gets what operations are put into, the layer's full name, the layer and the tensors that it
reads, and gives the tensor of its output.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from neocog.engine.lowering.builder import Lowering
from neocog.engine.lowering.padded_convolution import PaddedConv2d
from neocog.engine.ops import (
    ChannelShuffleOp,
    ConcatOp,
    ConvolutionOp,
    DepthwiseOp,
    DropoutOp,
    ImageNormalizationOp,
    LinearOp,
    PaddingOp,
    PointwiseOp,
    PoolingOp,
    PReLUOp,
    SliceOp,
    UpsampleOp,
)
from neocog.engine.tensor import Tensor
from neocog.errors import ArchitectureError
from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
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
    Layer,
    LayerNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
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

__all__ = ["is_two_by_two", "lowers"]

lowers: Dispatch[Callable[..., Tensor]] = Dispatch()

_Pads = ZeroPad2d | ReflectionPad2d | ReplicationPad2d | CircularPad2d
_Pool = MaxPool2d | AvgPool2d | AdaptiveMaxPool2d | AdaptiveAvgPool2d


@lowers(Conv2d)
def _conv2d(lowering: Lowering, name: str, layer: Conv2d, x: Tensor) -> Tensor:
    if layer.padding_mode != "zeros" and any((*layer.before, *layer.after)):
        (top, left), (bottom, right) = layer.before, layer.after
        size = top + x.height + bottom, left + x.width + right, x.channels
        padded = Tensor(f"{name}.padded", *size, x.dense, learns=x.learns)
        x = lowering.add(PaddingOp(name, (x,), padded, top, left, layer.padding_mode))
        layer = replace(layer, padding=0, padding_mode="zeros")
    layer, x = _take_in_zeros(lowering, layer, x)
    y = lowering.tensor(name, x, learns=True)
    y.dense = False
    if layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1:
        return lowering.add(DepthwiseOp(name, (x,), y, layer))
    op = ConvolutionOp(
        name, (x,), y, layer, single_image=lowering.single_image, direct=lowering.unfused
    )
    return lowering.add(op)


def _take_in_zeros(lowering: Lowering, layer: Conv2d, x: Tensor) -> tuple[Conv2d, Tensor]:
    """The convolution and what it reads, without a `ZeroPad2d` right before that only it reads.

    Borders are as wide on both sides. So where windows would see nothing but zeros, the copy stays.
    """
    pad = lowering.maker(x)
    if not isinstance(pad, PaddingOp) or pad.mode != "zeros":
        return layer, x
    reach = (d * (k - 1) for k, d in zip(layer.kernel, layer.spread, strict=True))
    if any(max(side) > most for side, most in zip(pad.sides, reach, strict=True)):
        return layer, x
    lowering.remove(pad)
    return PaddedConv2d.of(layer, *pad.sides), pad.x


@lowers(Linear)
def _linear(lowering: Lowering, name: str, layer: Linear, x: Tensor) -> Tensor:
    y = lowering.tensor(name, x, learns=True)
    return lowering.add(LinearOp(name, (x,), y, layer))


@lowers(BatchNorm2d)
def _batch_norm2d(lowering: Lowering, name: str, layer: BatchNorm2d, x: Tensor) -> Tensor:
    return lowering.pointwise(name, x, 1, norm=layer)


@lowers(GroupNorm, LayerNorm2d)
def _image_normalization(
    lowering: Lowering, name: str, layer: GroupNorm | LayerNorm2d, x: Tensor
) -> Tensor:
    if x.dense:  # as of an image; the kernels read whole vectors
        wide = lowering.like(f"{name}.wide", x)
        wide.dense = False
        x = lowering.add(PointwiseOp(f"{name}.wide", (x,), wide, order=3))
    y = lowering.like(name, x)
    y.learns = x.learns or bool(layer.parameter_shapes())
    return lowering.add(ImageNormalizationOp(name, (x,), y, layer))


@lowers(MaxPool2d, AvgPool2d, AdaptiveMaxPool2d, AdaptiveAvgPool2d)
def _pool(lowering: Lowering, name: str, layer: _Pool, x: Tensor) -> Tensor:
    before = lowering.maker(x)
    if isinstance(before, ConvolutionOp) and before.can_pool and is_two_by_two(layer):
        before.pool = True
        _c, x.height, x.width = lowering.shapes[name]
        return x
    return lowering.add(PoolingOp(name, (x,), lowering.tensor(name, x), layer))


def is_two_by_two(layer: _Pool) -> bool:
    """Whether it is the max pooling that a convolution can take in."""
    return isinstance(layer, MaxPool2d) and (
        (layer.kernel, layer.steps, layer.before) == ((2, 2), (2, 2), (0, 0))
        and not layer.ceil_mode
    )


@lowers(ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d)
def _pad(lowering: Lowering, name: str, layer: _Pads, x: Tensor) -> Tensor:
    y, corner = lowering.tensor(name, x), (layer.rows[0], layer.columns[0])
    return lowering.add(PaddingOp(name, (x,), y, *corner, layer.mode))


@lowers(Upsample)
def _upsample(lowering: Lowering, name: str, layer: Upsample, x: Tensor) -> Tensor:
    return lowering.add(UpsampleOp(name, (x,), lowering.tensor(name, x), layer))


@lowers(Dropout)
def _dropout(lowering: Lowering, name: str, layer: Dropout, x: Tensor) -> Tensor:
    if not lowering.training or lowering.unfused or layer.p == 0:
        return x
    lowering.dropouts += 1
    y = lowering.like(name, x)
    return lowering.add(DropoutOp(name, (x,), y, layer.p, lowering.dropouts))


@lowers(Flatten)
def _flatten(lowering: Lowering, name: str, layer: Flatten, x: Tensor) -> Tensor:
    # A map without a border lies in memory as its vector does: nothing moves. Where others
    # may want a border around the same map, the vector needs a place of its own.
    if x.consumers == 0 and x.border == (0, 0) and lowering.maker(x) is not None:
        x.flat = True
        return x
    y = lowering.like(name, x)
    y.flat = True
    return lowering.add(PointwiseOp(name, (x,), y, order=3))


@lowers(Add)
def _add(lowering: Lowering, name: str, layer: Add, *inputs: Tensor) -> Tensor:
    if len({(x.height, x.width, x.channels) for x in inputs}) > 1:
        raise _in_another_order(name, inputs)
    y, *others = inputs
    for k, addend in enumerate(others, 1):
        y = lowering.sum(name, y, addend, name if k == len(others) else f"{name}.partial{k}")
    return y


def _in_another_order(name: str, inputs: tuple[Tensor, ...]) -> ArchitectureError:
    height, width, _channels = max((x.height, x.width, x.channels) for x in inputs)
    return ArchitectureError(
        f"{name}: one lane of the block is a flattened map of {height} × {width} pixels or "
        "came from one, the other is not, and their numbers lie in different orders: put a "
        "Linear layer between Flatten and the block."
    )


@lowers(Multiply)
def _multiply(lowering: Lowering, name: str, layer: Multiply, *inputs: Tensor) -> Tensor:
    if len({x.channels for x in inputs}) > 1:
        raise _in_another_order(name, inputs)
    y, *others = inputs
    for k, factor in enumerate(others, 1):
        output = name if k == len(others) else f"{name}.partial{k}"
        y = lowering.product(name, y, factor, output)
    return y


@lowers(Concat)
def _concat(lowering: Lowering, name: str, layer: Concat, *inputs: Tensor) -> Tensor:
    if len(lowering.shapes[name]) == 1 and any((x.height, x.width) != (1, 1) for x in inputs):
        raise ArchitectureError(
            f"{name}: one of its inputs is a flattened map of more than one pixel or came from "
            "one, and its numbers lie in another order: concatenate the maps before Flatten, or "
            "put a Linear layer between."
        )
    y = lowering.tensor(name, inputs[0])
    y.dense, y.learns = False, any(x.learns for x in inputs)
    return lowering.add(ConcatOp(name, inputs, y))


@lowers(Slice)
def _slice(lowering: Lowering, name: str, layer: Slice, x: Tensor) -> Tensor:
    y = lowering.tensor(name, x)
    y.dense = False
    return lowering.add(SliceOp(name, (x,), y, layer.start))


@lowers(ChannelShuffle)
def _channel_shuffle(lowering: Lowering, name: str, layer: ChannelShuffle, x: Tensor) -> Tensor:
    y = lowering.tensor(name, x)
    y.dense = False
    return lowering.add(ChannelShuffleOp(name, (x,), y, layer.groups))


#: Functions without parameters, by the names that `Pointwise` has for them.
_FUNCTIONS: dict[type[Layer], str] = {
    ReLU: "relu",
    ReLU6: "relu6",
    SiLU: "silu",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
    Hardsigmoid: "hardsigmoid",
    Hardswish: "hardswish",
    Mish: "mish",
}


def _function(lowering: Lowering, name: str, layer: Layer, x: Tensor, *, function: str) -> Tensor:
    return lowering.pointwise(name, x, 3, function=function)


for _layer, _named in _FUNCTIONS.items():
    lowers(_layer)(partial(_function, function=_named))


@lowers(LeakyReLU)
def _leaky_relu(lowering: Lowering, name: str, layer: LeakyReLU, x: Tensor) -> Tensor:
    slope = layer.negative_slope
    return lowering.pointwise(name, x, 3, function="leaky_relu", parameter=slope)


@lowers(GELU)
def _gelu(lowering: Lowering, name: str, layer: GELU, x: Tensor) -> Tensor:
    function = "gelu" if layer.approximate == "none" else "gelu_tanh"
    return lowering.pointwise(name, x, 3, function=function)


@lowers(ELU)
def _elu(lowering: Lowering, name: str, layer: ELU, x: Tensor) -> Tensor:
    return lowering.pointwise(name, x, 3, function="elu", parameter=layer.alpha)


@lowers(Softplus)
def _softplus(lowering: Lowering, name: str, layer: Softplus, x: Tensor) -> Tensor:
    return lowering.pointwise(
        name, x, 3, function="softplus", parameter=layer.beta, threshold=layer.threshold
    )


@lowers(PReLU)
def _prelu(lowering: Lowering, name: str, layer: PReLU, x: Tensor) -> Tensor:
    if layer.num_parameters > 1 and x.channels != layer.num_parameters:
        raise ArchitectureError(
            f"{name}: its input is a flattened map of {x.height} × {x.width} pixels, whose numbers "
            "lie in another order than the slopes: put PReLU before Flatten, or a Linear layer "
            "between."
        )
    y = lowering.like(name, x)
    y.learns = True
    return lowering.add(PReLUOp(name, (x,), y, layer))


@lowers(Scale)
def _scale(lowering: Lowering, name: str, layer: Scale, x: Tensor) -> Tensor:
    return lowering.pointwise(name, x, 3, function="scale", parameter=layer.factor)
