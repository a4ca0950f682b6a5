"""From a network's layers to operations: which layers run as one, and which tensors join them.

- A convolution takes in 2 × 2 max pooling right behind it, and ReLU where a convolution or a linear
  layer follows, whose input gradient can undo it; a linear layer takes in its ReLU likewise.
- Batch normalization, the sum of a residual block and an activation run as one pointwise operation.
- For inference batch normalization goes into the weights of the convolution before it, and dropout
  is nothing.
- A residual block is its shortcut, then its body, then the sum.
"""

from collections.abc import Mapping

from neocog.engine.ops import (
    ConvolutionOp,
    DepthwiseOp,
    DropoutOp,
    LinearOp,
    LoadOp,
    Op,
    PointwiseOp,
    PoolingOp,
)
from neocog.engine.tensor import Tensor
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
    Shape,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.network import Network

__all__ = ["lower"]

_FUNCTIONS: dict[type[Layer], str] = {
    ReLU: "relu",
    LeakyReLU: "leaky_relu",
    SiLU: "silu",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
    Scale: "scale",
}

_Pool = MaxPool2d | AvgPool2d | AdaptiveMaxPool2d | AdaptiveAvgPool2d


def lower(
    network: Network, *, training: bool, single_image: bool = False, unfused: bool = False
) -> list[Op]:
    """The operations of a network, first to last; the first loads images.

    Args:
        network: what to lower.
        training: whether it is to learn.
        single_image: whether they are for one image at a time.
        unfused: whether every layer is an operation of its own, so that each can be inspected:
            nothing is fused or folded, convolutions are direct, dropout is skipped, batch
            normalization uses its running statistics, and the image is copied by an operation, so
            that it has a gradient.

    Raises:
        ArchitectureError: if the network does not end in one number a class, or learns nothing.
    """
    if len(network.output_shape) != 1:
        raise ArchitectureError(
            f"The network ends in the shape {network.output_shape}; it must end in one number a "
            "class: add Flatten() and Linear(…) at the end."
        )
    lowering = _Lowering(network, training, single_image, unfused)
    channels, height, width = network.input_shape
    image = Tensor("input", height, width, channels, dense=True)
    lowering.ops.append(LoadOp("input", image, image))
    if unfused:
        image = lowering.copy_image(image)
    last = lowering.row(network.layers, "", image)
    if (last.height, last.width) != (1, 1):
        raise ArchitectureError(
            f"The network ends in a flattened map of {last.height} × {last.width} pixels; it must "
            "end in one number a class: add Linear(…) at the end."
        )
    if not last.learns:
        raise ArchitectureError("The network has no layer that learns.")
    last.consumers += 1
    return lowering.finish()


class _Lowering:
    def __init__(self, network: Network, training: bool, single_image: bool, unfused: bool) -> None:
        self.shapes: Mapping[str, Shape] = network.shapes
        self.training = training
        self.single_image = single_image
        self.unfused = unfused
        self.ops: list[Op] = []
        self._dropouts = 0

    def copy_image(self, image: Tensor) -> Tensor:
        """The image as a map whose gradient is wanted."""
        size = (image.height, image.width, image.channels)
        copy = Tensor("image.y", *size, learns=True)
        return self._add(PointwiseOp("image", image, copy, order=3))

    # Rows of layers

    def row(self, layers: Mapping[str, Layer], prefix: str, x: Tensor) -> Tensor:
        """Operations for layers in a row; gives the last one's tensor."""
        for name, layer in layers.items():
            x = self.layer(f"{prefix}{name}", layer, x)
        return x

    def layer(self, name: str, layer: Layer, x: Tensor) -> Tensor:
        """Operations for one layer; gives its tensor."""
        match layer:
            case Sequential():
                return self.row(layer.children(), f"{name}.", x)
            case Residual():
                return self._residual(name, layer, x)
            case Flatten():
                return self._flatten(name, x)
            case BatchNorm2d():
                return self._pointwise(name, x, 1, norm=layer)
            case Dropout():
                return self._dropout(name, layer, x)
            case Conv2d():
                return self._convolution(name, layer, x)
            case Linear():
                y = self._tensor(name, x, learns=True)
                return self._add(LinearOp(name, x, y, layer))
            case MaxPool2d() | AvgPool2d() | AdaptiveMaxPool2d() | AdaptiveAvgPool2d():
                return self._pool(name, layer, x)
            case GELU():
                function = "gelu" if layer.approximate == "none" else "gelu_tanh"
                return self._pointwise(name, x, 3, function=function)
        parameter = float(getattr(layer, "negative_slope", 0.0) or getattr(layer, "factor", 0.0))
        return self._pointwise(name, x, 3, function=_FUNCTIONS[type(layer)], parameter=parameter)

    def _add(self, op: Op) -> Tensor:
        op.x.consumers += 1
        self.ops.append(op)
        return op.y

    def _tensor(self, name: str, x: Tensor, *, learns: bool = False) -> Tensor:
        shape = self.shapes.get(name, (x.channels, x.height, x.width))
        channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
        dense = x.dense and len(shape) == 3 and channels == x.channels
        return Tensor(f"{name}.y", height, width, channels, dense, learns=learns or x.learns)

    def _like(self, name: str, x: Tensor) -> Tensor:
        """A tensor of x's size, also where x is a vector that lies as a map."""
        size = (x.height, x.width, x.channels)
        return Tensor(f"{name}.y", *size, x.dense, learns=x.learns, flat=x.flat)

    # Layers

    def _flatten(self, name: str, x: Tensor) -> Tensor:
        # A map without a border lies in memory as its vector does: nothing moves. Where others
        # may want a border around the same map, the vector needs a place of its own.
        if x.consumers == 0 and x.border == (0, 0) and self._made(x) is not None:
            x.flat = True
            return x
        y = self._like(name, x)
        y.flat = True
        return self._add(PointwiseOp(name, x, y, order=3))

    def _made(self, x: Tensor) -> Op | None:
        """The latest operation, if it is the one that gives x."""
        last = self.ops[-1]
        return last if last.y is x and not x.shared and not self.unfused else None

    def _pointwise(self, name: str, x: Tensor, order: int, **what: object) -> Tensor:
        """A pointwise operation, or one step more of the one before."""
        before = self._made(x)
        if isinstance(before, PointwiseOp) and before.order < order:
            for key, value in what.items():
                setattr(before, key, value)
            before.order = order
            return x
        y = self._like(name, x)
        op = PointwiseOp(name, x, y, order=order, fixed=self.unfused, **what)  # type: ignore[arg-type]
        if op.norm is not None:
            y.learns = True
        return self._add(op)

    def _residual(self, name: str, layer: Residual, x: Tensor) -> Tensor:
        x.shared = True
        around = x
        if layer.shortcut is not None:
            around = self.layer(f"{name}.shortcut", layer.shortcut, x)
        if around is not x:
            around.shared = True
        through = self.layer(f"{name}.body", layer.body, x)
        through = through if through is not x else self._copy(f"{name}.body", x)
        if _size(through) != _size(around):
            raise ArchitectureError(
                f"{name}: one lane of the block is a flattened map of {around.height} × "
                f"{around.width} pixels or came from one, the other is not, and their numbers lie "
                "in different orders: put a Linear layer between Flatten and the block."
            )
        joined = self._pointwise(name, through, 2, addend=around)
        around.consumers += 1
        joined.learns = joined.learns or around.learns
        return joined

    def _copy(self, name: str, x: Tensor) -> Tensor:
        return self._add(PointwiseOp(name, x, self._like(name, x), order=1))

    def _dropout(self, name: str, layer: Dropout, x: Tensor) -> Tensor:
        if not self.training or self.unfused or layer.p == 0:
            return x
        self._dropouts += 1
        return self._add(DropoutOp(name, x, self._like(name, x), layer.p, self._dropouts))

    def _convolution(self, name: str, layer: Conv2d, x: Tensor) -> Tensor:
        y = self._tensor(name, x, learns=True)
        y.dense = False
        if layer.groups == layer.in_channels == layer.out_channels and layer.groups > 1:
            return self._add(DepthwiseOp(name, x, y, layer))
        return self._add(
            ConvolutionOp(name, x, y, layer, single_image=self.single_image, direct=self.unfused)
        )

    def _pool(self, name: str, layer: _Pool, x: Tensor) -> Tensor:
        before = self._made(x)
        if (
            isinstance(before, ConvolutionOp)
            and before.can_pool
            and isinstance(layer, MaxPool2d)
            and (layer.kernel, layer.steps, layer.before) == ((2, 2), (2, 2), (0, 0))
        ):
            before.pool = True
            _c, x.height, x.width = self.shapes[name]
            return x
        return self._add(PoolingOp(name, x, self._tensor(name, x), layer))

    # At the end

    def finish(self) -> list[Op]:
        """The operations, once all are there: what they can take over from each other."""
        if not self.training:
            self._fold()
        if not self.unfused:
            self._take_in_relu()
        for op in self.ops:
            op.ask_borders()
        return self.ops

    def _only_consumer(self, tensor: Tensor) -> Op | None:
        if tensor.consumers != 1 or tensor is self.ops[-1].y:
            return None
        return next((s for s in self.ops if s.x is tensor and s.y is not tensor), None)

    def _remove(self, op: Op, before: Op) -> None:
        """Take out an operation whose work `before` does."""
        before.y = op.y
        self.ops.remove(op)

    def _fold(self) -> None:
        """Batch normalization into the weights of the convolution before it."""
        for op in list(self.ops):
            if isinstance(op, PointwiseOp) and op.norm is not None:
                before = next((s for s in self.ops if s.y is op.x), None)
                if (
                    isinstance(before, ConvolutionOp | DepthwiseOp)
                    and not getattr(before, "pool", False)
                    and not before.folded
                    and op.x.consumers == 1
                ):
                    before.folded, before.folded_norm = op.name, op.norm
                    op.norm = None
                    if op.addend is None and op.function == "identity":
                        self._remove(op, before)

    def _take_in_relu(self) -> None:
        """ReLU, and pooling behind it, into the convolution or the linear layer before."""
        for op in list(self.ops):
            if not isinstance(op, PointwiseOp) or op.function != "relu":
                continue
            if op.norm is not None or op.addend is not None or op.x.consumers != 1:
                continue
            before = next(s for s in self.ops if s.y is op.x)
            if not isinstance(before, ConvolutionOp | LinearOp):
                continue
            after = self._only_consumer(op.y)
            pool = None
            if isinstance(after, PoolingOp) and isinstance(before, ConvolutionOp):
                layer = after.layer
                if (
                    before.can_pool
                    and not before.pool
                    and isinstance(layer, MaxPool2d)
                    and (layer.kernel, layer.steps, layer.before) == ((2, 2), (2, 2), (0, 0))
                ):
                    pool, after = after, self._only_consumer(after.y)
            undone = isinstance(after, LinearOp) or (
                isinstance(after, ConvolutionOp) and after.can_gate
            )
            if not undone and self.training:
                continue
            self._remove(op, before)
            before.relu = True
            if pool is not None and isinstance(before, ConvolutionOp):
                self._remove(pool, before)
                before.pool = True
            before.y.gated = undone


def _size(tensor: Tensor) -> tuple[int, int, int]:
    return tensor.height, tensor.width, tensor.channels
