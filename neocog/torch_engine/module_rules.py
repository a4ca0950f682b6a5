"""The layer of each PyTorch module: ``@from_module(nn.GELU)``.

A rule takes the module and returns a layer, or None if the module changes nothing in evaluation.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from neocog.errors import ArchitectureError
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Multiply,
    ReLU,
    Scale,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.torch_engine.layer_rules import AddModule, ConcatModule, MultiplyModule, ScaleModule

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
    _require(module, padding_mode="zeros")
    return Conv2d(
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
        bias=module.bias is not None,
    )


@from_module(nn.Linear)
def _linear(module: nn.Linear) -> Layer:
    return Linear(module.in_features, module.out_features, bias=module.bias is not None)


@from_module(nn.BatchNorm2d)
def _batch_norm2d(module: nn.BatchNorm2d) -> Layer:
    _require(module, track_running_stats=True)
    momentum = 0.1 if module.momentum is None else module.momentum
    return BatchNorm2d(module.num_features, module.eps, momentum, module.affine)


@from_module(nn.MaxPool2d)
def _max_pool2d(module: nn.MaxPool2d) -> Layer:
    _require(module, ceil_mode=False, dilation=1)
    return MaxPool2d(module.kernel_size, module.stride, module.padding)


@from_module(nn.AvgPool2d)
def _avg_pool2d(module: nn.AvgPool2d) -> Layer:
    _require(module, ceil_mode=False, divisor_override=None)
    sizes = module.kernel_size, module.stride, module.padding
    return AvgPool2d(*sizes, count_include_pad=module.count_include_pad)


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


@from_module(nn.ReLU)
def _relu(module: nn.ReLU) -> Layer:
    return ReLU()


@from_module(nn.LeakyReLU)
def _leaky_relu(module: nn.LeakyReLU) -> Layer:
    return LeakyReLU(module.negative_slope)


@from_module(nn.SiLU)
def _silu(module: nn.SiLU) -> Layer:
    return SiLU()


@from_module(nn.GELU)
def _gelu(module: nn.GELU) -> Layer:
    return GELU(module.approximate)


@from_module(nn.Sigmoid)
def _sigmoid(module: nn.Sigmoid) -> Layer:
    return Sigmoid()


@from_module(nn.Tanh)
def _tanh(module: nn.Tanh) -> Layer:
    return Tanh()


@from_module(ScaleModule)
def _scale(module: ScaleModule) -> Layer:
    return Scale(module.factor)


@from_module(AddModule)
def _add(module: AddModule) -> Layer:
    return Add()


@from_module(MultiplyModule)
def _multiply(module: MultiplyModule) -> Layer:
    return Multiply()


@from_module(ConcatModule)
def _concat(module: ConcatModule) -> Layer:
    return Concat()
