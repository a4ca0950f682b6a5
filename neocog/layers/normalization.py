"""Batch, group and layer normalization."""

from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape, check_flag, check_numbers, check_real, feature_map

__all__ = ["BatchNorm2d", "GroupNorm", "LayerNorm2d"]


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """y = (x − mean) / √(var + eps) · weight + bias, channel by channel.

    In training, mean and var are those of the batch, over images and positions, with the biased
    variance; otherwise they are the running ones, which are updated as
    r ← (1 − momentum) · r + momentum · batch's, with the unbiased variance. As
    ``torch.nn.BatchNorm2d``; S. Ioffe and C. Szegedy, 2015.
    """

    num_features: int
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, "num_features")
        check_real(self, "eps", 0, 1e6)
        check_real(self, "momentum", 0, 1)
        check_flag(self, "affine")

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        _require_channels(self, "num_features", self.num_features, shape)
        return shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` and ``bias``, (num_features,) each, if `affine`."""
        each = (self.num_features,)
        return {"weight": each, "bias": each} if self.affine else {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """``running_mean`` and ``running_var`` (num_features,), ``num_batches_tracked`` ()."""
        each = (self.num_features,)
        return {"running_mean": each, "running_var": each, "num_batches_tracked": ()}


@dataclass(frozen=True)
class GroupNorm(Layer):
    """y = (x − mean) / √(var + eps) · weight + bias, with mean and var of a group of channels.

    They are taken over the channels of a group and all positions of each image, in training and in
    prediction alike. One group is layer normalization over the whole image, one per channel is
    instance normalization. As ``torch.nn.GroupNorm``; Y. Wu and K. He, 2018.
    """

    num_groups: int
    num_channels: int
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, "num_groups", "num_channels")
        check_real(self, "eps", 0, 1e6)
        check_flag(self, "affine")
        if self.num_channels % self.num_groups:
            raise ArchitectureError(
                f"GroupNorm: num_channels (={self.num_channels}) must be a multiple of num_groups "
                f"(={self.num_groups})."
            )

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        _require_channels(self, "num_channels", self.num_channels, shape)
        return shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` and ``bias``, (num_channels,) each, if `affine`."""
        each = (self.num_channels,)
        return {"weight": each, "bias": each} if self.affine else {}


@dataclass(frozen=True)
class LayerNorm2d(Layer):
    """y = (x − mean) / √(var + eps) · weight + bias, with mean and var of a pixel's channels.

    As torchvision's ``LayerNorm2d``, which ConvNeXt uses with this eps: ``torch.nn.LayerNorm`` over
    the channels of a map (J. L. Ba et al., 2016; Z. Liu et al., 2022). `normalized_shape` is the
    number of channels.
    """

    normalized_shape: int
    eps: float = 1e-6
    elementwise_affine: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, "normalized_shape")
        check_real(self, "eps", 0, 1e6)
        check_flag(self, "elementwise_affine")

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        _require_channels(self, "normalized_shape", self.normalized_shape, shape)
        return shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` and ``bias``, (normalized_shape,) each, if `elementwise_affine`."""
        each = (self.normalized_shape,)
        return {"weight": each, "bias": each} if self.elementwise_affine else {}


def _require_channels(layer: Layer, name: str, channels: int, shape: Shape) -> None:
    c, _h, _w = feature_map(layer, shape)
    if c != channels:
        raise ArchitectureError(
            f"{type(layer).__name__}: {name} (={channels}) must equal its input's channels "
            f"(={c}, of the shape {shape})."
        )
