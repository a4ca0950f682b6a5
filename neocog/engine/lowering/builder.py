"""What rules of layers put operations into."""

from collections.abc import Mapping
from typing import Any

from neocog.engine.ops import MultiplyOp, Op, PointwiseOp
from neocog.engine.tensor import Tensor
from neocog.layers import Shape

__all__ = ["Lowering"]


class Lowering:
    """Operations in the making.

    Attributes:
        shapes: of every layer's output, by its full name.
        training, alone, apart: as for `lower`.
        ops: the operations so far.
        dropouts: how many of them are a dropout.
    """

    def __init__(
        self, shapes: Mapping[str, Shape], training: bool, single_image: bool, unfused: bool
    ) -> None:
        self.shapes = shapes
        self.training = training
        self.single_image = single_image
        self.unfused = unfused
        self.ops: list[Op] = []
        self.dropouts = 0

    def add(self, op: Op) -> Tensor:
        """Put in an operation; gives its tensor."""
        for tensor in op.inputs:
            tensor.consumers += 1
        self.ops.append(op)
        return op.y

    def remove(self, op: Op) -> None:
        """Take out an operation whose work another one will do."""
        for tensor in op.inputs:
            tensor.consumers -= 1
        self.ops.remove(op)

    def tensor(self, name: str, x: Tensor, *, learns: bool = False) -> Tensor:
        """One for the output of the layer `name`, which reads x."""
        shape = self.shapes[name]
        channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
        dense = x.dense and len(shape) == 3 and channels == x.channels
        return Tensor(f"{name}.y", height, width, channels, dense, learns=learns or x.learns)

    def like(self, name: str, x: Tensor) -> Tensor:
        """One of x's size, also where x is a vector that lies as a map."""
        size = (x.height, x.width, x.channels)
        return Tensor(f"{name}.y", *size, x.dense, learns=x.learns, flat=x.flat)

    def maker(self, x: Tensor) -> Op | None:
        """The latest operation, if it is the one that gives x, and may still be changed."""
        last = self.ops[-1]
        return last if last.y is x and not x.shared and not self.unfused else None

    def pointwise(self, name: str, x: Tensor, order: int, **what: Any) -> Tensor:
        """A pointwise operation, or one step more of the one before."""
        before = self.maker(x)
        if isinstance(before, PointwiseOp) and before.order < order:
            for key, value in what.items():
                setattr(before, key, value)
            before.order = order
            return x
        y = self.like(name, x)
        op = PointwiseOp(name, (x,), y, order=order, fixed=self.unfused, **what)
        if op.norm is not None:
            y.learns = True
        return self.add(op)

    def sum(self, name: str, x: Tensor, addend: Tensor, output: str) -> Tensor:
        """x + addend, by an operation of its own or the pointwise one before.

        Args:
            name: the layer's, which may be several sums.
            x: what may have been made by the operation before.
            addend: what is added.
            output: what the sum's tensor is called after.
        """
        before = self.maker(x)
        if isinstance(before, PointwiseOp) and before.order < 2:
            before.inputs = (*before.inputs, addend)
            before.order = 2
            addend.consumers += 1
            y = x
        else:
            y = self.like(output, x)
            self.add(PointwiseOp(name, (x, addend), y, order=2, fixed=self.unfused))
        y.learns = y.learns or addend.learns
        return y

    def product(self, name: str, x: Tensor, factor: Tensor, output: str) -> Tensor:
        """x · factor, of which either may have one number per channel; arguments as for `sum`."""
        if x.height * x.width < factor.height * factor.width:
            x, factor = factor, x
        y = self.like(output, x)
        y.learns = x.learns or factor.learns
        return self.add(MultiplyOp(name, (x, factor), y))
