"""A network as PyTorch's own module: the same layers, names, shapes and numbers."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import nn

from neocog.errors import ArchitectureError
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.network import Network

__all__ = ["ResidualModule", "ScaleModule", "to_torch"]


class ResidualModule(nn.Module):  # type: ignore[misc]
    """y = body(x) + shortcut(x), or body(x) + x without a shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both lanes added."""
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


class ScaleModule(nn.Module):  # type: ignore[misc]
    """f(x) = factor · x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Each number times the factor."""
        return self.factor * x

    def extra_repr(self) -> str:
        """What ``repr`` shows in its brackets."""
        return f"factor={self.factor}"


def to_torch(network: Network) -> nn.Sequential:
    """The same network of ``torch.nn`` modules, in training mode as a new module is.

    Its ``state_dict`` has the names, shapes and order of ``network.state_dict()``, and copies of
    its values if the network has any; otherwise PyTorch's own initial values, drawn in the order of
    the layers: after ``torch.manual_seed(seed)`` they are those of ``network.initialize(seed)``.
    It takes preprocessed images, float32 [N, C, H, W], and gives scores: those of a calibrated
    network are divided by ``network.temperature`` before the softmax.

    Raises:
        ArchitectureError: if a layer has a name that PyTorch keeps for itself, such as ``forward``.
    """
    module = _in_a_row(network.layers)
    if network.initialized:
        state = network.state_dict()
        module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return module


def _in_a_row(layers: Mapping[str, Layer]) -> nn.Sequential:
    modules = OrderedDict((name, _module(layer)) for name, layer in layers.items())
    try:
        return nn.Sequential(modules)
    except KeyError as error:
        raise ArchitectureError(
            f"PyTorch has no module for these names: {error.args[0]}."
        ) from None


def _module(layer: Layer) -> nn.Module:
    return _MAKERS[type(layer)](layer)


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
    )


def _batch_norm2d(layer: BatchNorm2d) -> nn.Module:
    return nn.BatchNorm2d(
        layer.num_features, eps=layer.eps, momentum=layer.momentum, affine=layer.affine
    )


def _avg_pool2d(layer: AvgPool2d) -> nn.Module:
    return nn.AvgPool2d(
        layer.kernel_size,
        layer.stride,
        layer.padding,
        count_include_pad=layer.count_include_pad,
    )


def _residual(layer: Residual) -> nn.Module:
    # The body first: modules draw their initial values in the order in which they are made.
    body = _module(layer.body)
    return ResidualModule(body, None if layer.shortcut is None else _module(layer.shortcut))


_MAKERS: dict[type[Layer], Callable[..., nn.Module]] = {
    Conv2d: _conv2d,
    Linear: lambda layer: nn.Linear(layer.in_features, layer.out_features, bias=layer.bias),
    BatchNorm2d: _batch_norm2d,
    MaxPool2d: lambda layer: nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding),
    AvgPool2d: _avg_pool2d,
    AdaptiveAvgPool2d: lambda layer: nn.AdaptiveAvgPool2d(layer.output_size),
    AdaptiveMaxPool2d: lambda layer: nn.AdaptiveMaxPool2d(layer.output_size),
    Dropout: lambda layer: nn.Dropout(layer.p),
    Flatten: lambda layer: nn.Flatten(),
    ReLU: lambda layer: nn.ReLU(),
    LeakyReLU: lambda layer: nn.LeakyReLU(layer.negative_slope),
    SiLU: lambda layer: nn.SiLU(),
    GELU: lambda layer: nn.GELU(layer.approximate),
    Sigmoid: lambda layer: nn.Sigmoid(),
    Tanh: lambda layer: nn.Tanh(),
    Scale: lambda layer: ScaleModule(layer.factor),
    Sequential: lambda layer: _in_a_row(layer.children()),
    Residual: _residual,
}
