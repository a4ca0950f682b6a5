"""The PyTorch module of each layer: ``@torch_module(GELU)``.

A rule takes the layer, and the number of its inputs where it may have several, and returns a new
module with PyTorch's initial values. No module is of a class of neocog's, so that it can be used
where neocog is not installed: what PyTorch lacks comes from `fx_modules`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from torch import nn

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
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Slice,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.layers.dispatch import Dispatch
from neocog.torch_engine.fx_modules import (
    concatenation,
    layer_norm2d,
    product,
    residual,
    scaling,
    slicing,
    summation,
)

__all__ = [
    "PADDINGS",
    "PLAIN",
    "in_a_row",
    "module_of",
    "named_modules",
    "torch_module",
]

torch_module: Dispatch[Callable[..., nn.Module]] = Dispatch()


def module_of(layer: Layer, inputs: int = 1) -> nn.Module:
    """A new module for the layer, of so many inputs.

    Raises:
        ArchitectureError: there is none.
    """
    rule = torch_module.of(layer)
    if rule is None:
        raise ArchitectureError(f"There is no PyTorch module for {type(layer).__name__}.")
    return rule(layer, inputs) if layer.takes_several else rule(layer)


def named_modules(layers: Mapping[str, Layer]) -> "OrderedDict[str, nn.Module]":
    """New modules by the layers' names, made in order, since they draw initial values."""
    return OrderedDict((name, module_of(layer)) for name, layer in layers.items())


def in_a_row(layers: Mapping[str, Layer]) -> nn.Sequential:
    """A chain of modules.

    Raises:
        ArchitectureError: a layer has a name that PyTorch reserves, such as ``forward``.
    """
    try:
        return nn.Sequential(named_modules(layers))
    except KeyError as error:
        raise ArchitectureError(
            f"PyTorch has no module for these names: {error.args[0]}."
        ) from None


# The rules

#: Layers that have no arguments, and their modules.
PLAIN: dict[type[Layer], type[nn.Module]] = {
    ReLU: nn.ReLU,
    ReLU6: nn.ReLU6,
    SiLU: nn.SiLU,
    Sigmoid: nn.Sigmoid,
    Tanh: nn.Tanh,
    Hardsigmoid: nn.Hardsigmoid,
    Hardswish: nn.Hardswish,
    Mish: nn.Mish,
}
#: Layers that merge several inputs, and the module for a number of them.
_MERGING: dict[type[Layer], Callable[[int], nn.Module]] = {
    Add: summation,
    Multiply: product,
    Concat: concatenation,
}
#: Layers that have only a padding, (left, right, top, bottom).
PADDINGS: dict[type[Layer], type[nn.Module]] = {
    ZeroPad2d: nn.ZeroPad2d,
    ReflectionPad2d: nn.ReflectionPad2d,
    ReplicationPad2d: nn.ReplicationPad2d,
    CircularPad2d: nn.CircularPad2d,
}

for _layer, _module in PLAIN.items():
    torch_module(_layer)(lambda layer, made=_module: made())
for _layer, _module in PADDINGS.items():
    torch_module(_layer)(lambda layer, made=_module: made(layer.padding))
for _layer, _merging in _MERGING.items():
    torch_module(_layer)(lambda layer, inputs, made=_merging: made(inputs))


@torch_module(Conv2d)
def _conv2d(layer: Conv2d) -> nn.Module:
    return nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
        padding_mode=layer.padding_mode,
    )


@torch_module(Linear)
def _linear(layer: Linear) -> nn.Module:
    return nn.Linear(layer.in_features, layer.out_features, bias=layer.bias)


@torch_module(BatchNorm2d)
def _batch_norm2d(layer: BatchNorm2d) -> nn.Module:
    return nn.BatchNorm2d(
        layer.num_features, eps=layer.eps, momentum=layer.momentum, affine=layer.affine
    )


@torch_module(GroupNorm)
def _group_norm(layer: GroupNorm) -> nn.Module:
    return nn.GroupNorm(layer.num_groups, layer.num_channels, eps=layer.eps, affine=layer.affine)


@torch_module(LayerNorm2d)
def _layer_norm2d(layer: LayerNorm2d) -> nn.Module:
    return layer_norm2d(layer.normalized_shape, layer.eps, layer.elementwise_affine)


@torch_module(MaxPool2d)
def _max_pool2d(layer: MaxPool2d) -> nn.Module:
    return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)


@torch_module(AvgPool2d)
def _avg_pool2d(layer: AvgPool2d) -> nn.Module:
    return nn.AvgPool2d(
        layer.kernel_size,
        layer.stride,
        layer.padding,
        ceil_mode=layer.ceil_mode,
        count_include_pad=layer.count_include_pad,
        divisor_override=layer.divisor_override,
    )


@torch_module(AdaptiveAvgPool2d)
def _adaptive_avg_pool2d(layer: AdaptiveAvgPool2d) -> nn.Module:
    return nn.AdaptiveAvgPool2d(layer.output_size)


@torch_module(AdaptiveMaxPool2d)
def _adaptive_max_pool2d(layer: AdaptiveMaxPool2d) -> nn.Module:
    return nn.AdaptiveMaxPool2d(layer.output_size)


@torch_module(Upsample)
def _upsample(layer: Upsample) -> nn.Module:
    # As floats: these are what PyTorch's own layers hold.
    return nn.Upsample(scale_factor=tuple(map(float, layer.scale)), mode=layer.mode)


@torch_module(Dropout)
def _dropout(layer: Dropout) -> nn.Module:
    return nn.Dropout(layer.p)


@torch_module(Flatten)
def _flatten(layer: Flatten) -> nn.Module:
    return nn.Flatten()


@torch_module(LeakyReLU)
def _leaky_relu(layer: LeakyReLU) -> nn.Module:
    return nn.LeakyReLU(layer.negative_slope)


@torch_module(GELU)
def _gelu(layer: GELU) -> nn.Module:
    return nn.GELU(layer.approximate)


@torch_module(ELU)
def _elu(layer: ELU) -> nn.Module:
    return nn.ELU(layer.alpha)


@torch_module(Softplus)
def _softplus(layer: Softplus) -> nn.Module:
    return nn.Softplus(layer.beta, layer.threshold)


@torch_module(PReLU)
def _prelu(layer: PReLU) -> nn.Module:
    return nn.PReLU(layer.num_parameters, layer.init)


@torch_module(Scale)
def _scale(layer: Scale) -> nn.Module:
    return scaling(layer.factor)


@torch_module(Slice)
def _slice(layer: Slice) -> nn.Module:
    return slicing(layer.start, layer.stop)


@torch_module(ChannelShuffle)
def _channel_shuffle(layer: ChannelShuffle) -> nn.Module:
    return nn.ChannelShuffle(layer.groups)


@torch_module(Sequential)
def _sequential(layer: Sequential) -> nn.Module:
    return in_a_row(layer.children())


@torch_module(Residual)
def _residual(layer: Residual) -> nn.Module:
    modules = named_modules(layer.children())
    return residual(modules)
