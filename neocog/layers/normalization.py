"""Batch normalization."""

from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape, check_flag, check_numbers, check_real, feature_map

__all__ = ["BatchNorm2d"]


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
        c, _h, _w = feature_map(self, shape)
        if c != self.num_features:
            raise ArchitectureError(
                f"BatchNorm2d: num_features (={self.num_features}) must equal its input's channels "
                f"(={c}, of the shape {shape})."
            )
        return shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` and ``bias``, (num_features,) each, if `affine`."""
        each = (self.num_features,)
        return {"weight": each, "bias": each} if self.affine else {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """``running_mean`` and ``running_var`` (num_features,), ``num_batches_tracked`` ()."""
        each = (self.num_features,)
        return {"running_mean": each, "running_var": each, "num_batches_tracked": ()}
