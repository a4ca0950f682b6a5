"""The layer of each PyTorch module: ``@from_module(nn.GELU)``.

A rule takes the module and returns a layer, or None if the module changes nothing in evaluation.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from neocog.errors import ArchitectureError
from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Conv2d,
    Dropout,
    GroupNorm,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PReLU,
    Softplus,
    Upsample,
)
from neocog.torch_engine.layer_rules import PADDINGS, PLAIN

__all__ = ["rule_of_module"]

_Rule = Callable[[Any], Layer | None]
_rules: dict[type[nn.Module], _Rule] = {}


def rule_of_module(module: nn.Module) -> _Rule | None:
    """The rule for a module of exactly this class, as a subclass may compute anything."""
    return _rules.get(type(module))


def from_module(*kinds: type[nn.Module]) -> Callable[[_Rule], _Rule]:
    """Register a rule."""

    def register(rule: _Rule) -> _Rule:
        _rules.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def _require(module: nn.Module, **wanted: Any) -> None:
    for name, value in wanted.items():
        if getattr(module, name) != value:
            raise ArchitectureError(
                f"{type(module).__name__}: {name} (={getattr(module, name)!r}) must be {value!r}."
            )


@from_module(nn.Conv2d)
def _conv2d(module: nn.Conv2d) -> Layer:
    return Conv2d(
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
        bias=module.bias is not None,
        padding_mode=module.padding_mode,
    )


@from_module(nn.Linear)
def _linear(module: nn.Linear) -> Layer:
    return Linear(module.in_features, module.out_features, bias=module.bias is not None)


@from_module(nn.BatchNorm2d)
def _batch_norm2d(module: nn.BatchNorm2d) -> Layer:
    _require(module, track_running_stats=True)
    momentum = 0.1 if module.momentum is None else module.momentum
    return BatchNorm2d(module.num_features, module.eps, momentum, module.affine)


@from_module(nn.GroupNorm)
def _group_norm(module: nn.GroupNorm) -> Layer:
    return GroupNorm(module.num_groups, module.num_channels, module.eps, module.affine)


@from_module(nn.MaxPool2d)
def _max_pool2d(module: nn.MaxPool2d) -> Layer:
    _require(module, dilation=1)
    sizes = module.kernel_size, module.stride, module.padding
    return MaxPool2d(*sizes, ceil_mode=module.ceil_mode)


@from_module(nn.AvgPool2d)
def _avg_pool2d(module: nn.AvgPool2d) -> Layer:
    return AvgPool2d(
        module.kernel_size,
        module.stride,
        module.padding,
        count_include_pad=module.count_include_pad,
        divisor_override=module.divisor_override,
        ceil_mode=module.ceil_mode,
    )


@from_module(nn.AdaptiveAvgPool2d)
def _adaptive_avg_pool2d(module: nn.AdaptiveAvgPool2d) -> Layer:
    return AdaptiveAvgPool2d(module.output_size)


@from_module(nn.AdaptiveMaxPool2d)
def _adaptive_max_pool2d(module: nn.AdaptiveMaxPool2d) -> Layer:
    return AdaptiveMaxPool2d(module.output_size)


@from_module(nn.Dropout)
def _dropout(module: nn.Dropout) -> Layer:
    return Dropout(module.p)


@from_module(nn.Identity)
def _identity(module: nn.Identity) -> None:
    return None


@from_module(nn.LeakyReLU)
def _leaky_relu(module: nn.LeakyReLU) -> Layer:
    return LeakyReLU(module.negative_slope)


@from_module(nn.GELU)
def _gelu(module: nn.GELU) -> Layer:
    return GELU(module.approximate)


@from_module(nn.ChannelShuffle)
def _channel_shuffle(module: nn.ChannelShuffle) -> Layer:
    return ChannelShuffle(module.groups)


@from_module(nn.Upsample, nn.UpsamplingNearest2d)
def _upsample(module: nn.Upsample) -> Layer:
    _require(module, mode="nearest", size=None)
    factor = module.scale_factor
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    if any(float(one) != int(one) for one in factors):
        raise ArchitectureError(f"Upsample: scale_factor (={factor}) must be whole.")
    return Upsample(scale_factor=(int(factors[0]), int(factors[1])))


def _plain(module: Any, *, layer: Callable[[], Layer]) -> Layer:
    return layer()


def _padding(module: Any, *, layer: Callable[..., Layer]) -> Layer:
    return layer(tuple(module.padding))


for _layer, _module in PLAIN.items():
    from_module(_module)(partial(_plain, layer=_layer))
for _layer, _module in PADDINGS.items():
    from_module(_module)(partial(_padding, layer=_layer))


@from_module(nn.ELU)
def _elu(module: nn.ELU) -> Layer:
    return ELU(module.alpha)


@from_module(nn.Softplus)
def _softplus(module: nn.Softplus) -> Layer:
    return Softplus(module.beta, module.threshold)


@from_module(nn.PReLU)
def _prelu(module: nn.PReLU) -> Layer:
    return PReLU(module.num_parameters, module.init)
