"""Products, concatenations and parts of tensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.strips import Rows
from neocog.engine.tensor import Tensor
from neocog.kernels.elementwise.channel_copy import (
    ChannelCopy,
    ChannelPermutation,
    copy_channels,
    shuffle_channels,
)
from neocog.kernels.elementwise.product import (
    ChannelProduct,
    ElementwiseProduct,
    channel_products,
    multiply_maps,
    scale_channels,
)

__all__ = ["ChannelShuffleOp", "ConcatOp", "MultiplyOp", "SliceOp"]

# The kernel and the class of its spec.
_OF_MAPS: tuple[Any, Any] = multiply_maps, ElementwiseProduct
_BY_CHANNEL: tuple[Any, Any] = scale_channels, ChannelProduct


@dataclass(eq=False)
class MultiplyOp(Op):
    """The product of two tensors, of which the second may have one number per channel."""

    @property
    def factor(self) -> Tensor:
        """The second of them."""
        return self.inputs[1]

    @property
    def _by_channel(self) -> bool:
        return (self.factor.height, self.factor.width) != (self.x.height, self.x.width)

    def forward(self, builder: Builder) -> None:
        """Multiply."""
        builder.map(self.y.name, self.y.map)
        kernel, kind = _BY_CHANNEL if self._by_channel else _OF_MAPS
        spec = kind(self.x.map, self.factor.map, self.y.map)
        names = {"x": self.x.name, "factor": self.factor.name, "y": self.y.name}
        maps = ("x", "y") if self._by_channel else ("x", "factor", "y")
        builder.emit_rows(kernel, Rows.of_maps(spec, maps), self.name, **names)

    def backward(self, builder: Builder) -> None:
        """Multiply the gradient by the other factor."""
        if not self.y.learns:
            return
        dy = builder.gradient(self.y)
        if self.x.learns:
            self._give(builder, self.x, self.factor, dy, by_channel=self._by_channel)
        if self.factor.learns and not self._by_channel:
            self._give(builder, self.factor, self.x, dy, by_channel=False)
        elif self.factor.learns:
            to, _ = builder.write_gradient(self.factor)
            spec = ChannelProduct(self.x.map, self.factor.gradient_map, self.y.gradient_map)
            builder.emit(channel_products, spec, self.name, x=self.x.name, y=dy, sums=to)
            builder.add_gradient(self.factor, to)

    def _give(
        self, builder: Builder, tensor: Tensor, other: Tensor, dy: str, *, by_channel: bool
    ) -> None:
        """The gradient of a factor of y's size: dy times the other one."""
        to, _ = builder.write_gradient(tensor)
        kernel, kind = _BY_CHANNEL if by_channel else _OF_MAPS
        spec = kind(self.y.gradient_map, other.map, tensor.gradient_map)
        builder.emit(kernel, spec, self.name, x=dy, factor=other.name, y=to)
        builder.add_gradient(tensor, to)


@dataclass(eq=False)
class ConcatOp(Op):
    """The channels of all inputs, one after another."""

    def _parts(self) -> Iterator[tuple[Tensor, int]]:
        """Each input, and the channel at which it begins in y."""
        begin = 0
        for x in self.inputs:
            yield x, begin
            begin += x.channels

    def forward(self, builder: Builder) -> None:
        """Copy each of them."""
        y = self.y.map
        builder.map(self.y.name, y)
        for x, begin in self._parts():
            is_last = begin + x.channels == y.channels
            wanted = y.pixel - begin if is_last else x.channels
            spec = ChannelCopy(x.map, y, 0, begin, x.channels, wanted)
            names = {"x": x.name, "y": self.y.name}
            rows = Rows.of_maps(spec, ("x", "y"))
            builder.emit_rows(copy_channels, rows, self.name, **names)

    def backward(self, builder: Builder) -> None:
        """Copy each one's part of the gradient."""
        if not self.y.learns:
            return
        dy = builder.gradient(self.y)
        for x, begin in self._parts():
            if x.learns:
                to, _ = builder.write_gradient(x)
                dx = x.gradient_map
                spec = ChannelCopy(self.y.gradient_map, dx, begin, 0, x.channels, dx.pixel)
                builder.emit(copy_channels, spec, self.name, x=dy, y=to)
                builder.add_gradient(x, to)


@dataclass(eq=False)
class SliceOp(Op):
    """The channels from `start` on, as many as y has."""

    start: int

    def forward(self, builder: Builder) -> None:
        """Copy them."""
        y = self.y.map
        builder.map(self.y.name, y)
        spec = ChannelCopy(self.x.map, y, self.start, 0, y.channels, y.pixel)
        rows = Rows.of_maps(spec, ("x", "y"))
        builder.emit_rows(copy_channels, rows, self.name, x=self.x.name, y=self.y.name)

    def backward(self, builder: Builder) -> None:
        """Copy their gradient, between zeros."""
        if not (self.y.learns and self.x.learns):
            return
        dy, dy_map, dx_map = builder.gradient(self.y), self.y.gradient_map, self.x.gradient_map
        dx, _ = builder.write_gradient(self.x)
        before = ChannelCopy(dy_map, dx_map, 0, 0, 0, self.start)
        behind = dx_map.pixel - self.start
        own = ChannelCopy(dy_map, dx_map, 0, self.start, dy_map.channels, behind)
        for spec in (before, own) if self.start else (own,):
            builder.emit(copy_channels, spec, self.name, x=dy, y=dx)
        builder.add_gradient(self.x, dx)


@dataclass(eq=False)
class ChannelShuffleOp(Op):
    """The channels of `groups` groups in turn."""

    groups: int

    def forward(self, builder: Builder) -> None:
        """Copy them in the new order."""
        builder.map(self.y.name, self.y.map)
        spec = ChannelPermutation(self.x.map, self.y.map, self.groups)
        rows = Rows.of_maps(spec, ("x", "y"))
        builder.emit_rows(shuffle_channels, rows, self.name, x=self.x.name, y=self.y.name)

    def backward(self, builder: Builder) -> None:
        """Copy their gradient in the old order."""
        if not (self.y.learns and self.x.learns):
            return
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        each = self.x.channels // self.groups
        spec = ChannelPermutation(self.y.gradient_map, self.x.gradient_map, each)
        builder.emit(shuffle_channels, spec, self.name, x=dy, y=dx)
        builder.add_gradient(self.x, dx)
