"""What operations take over from each other, once all are there."""

from neocog.engine.lowering.layer_rules import is_two_by_two
from neocog.engine.ops import (
    ConvolutionOp,
    DepthwiseOp,
    LinearOp,
    Op,
    PointwiseOp,
    PoolingOp,
)
from neocog.engine.ops.depthwise import FUSED
from neocog.engine.tensor import Tensor

__all__ = ["fold_normalization", "take_in_function", "take_in_relu"]


def fold_normalization(ops: list[Op]) -> None:
    """Batch normalization into the weights of the convolution before it, for inference."""
    for op in list(ops):
        if isinstance(op, PointwiseOp) and op.norm is not None:
            before = _maker(ops, op.x)
            if (
                isinstance(before, ConvolutionOp | DepthwiseOp)
                and not getattr(before, "pool", False)
                and not before.folded
                and op.x.consumers == 1
            ):
                before.folded, before.folded_norm = op.name, op.norm
                op.norm = None
                if op.addend is None and op.function == "identity":
                    _remove(ops, op, before)


def take_in_function(ops: list[Op]) -> None:
    """Functions into the depthwise convolution before them, for inference."""
    for op in list(ops):
        if not isinstance(op, PointwiseOp) or op.norm is not None or op.addend is not None:
            continue
        before = _maker(ops, op.x)
        if not isinstance(before, DepthwiseOp) or before.function != "identity":
            continue
        if op.function in FUSED and op.x.consumers == 1:
            before.function = op.function
            _remove(ops, op, before)


def take_in_relu(ops: list[Op], *, training: bool) -> None:
    """ReLU, and pooling behind it, into the convolution or the linear layer before."""
    for op in list(ops):
        if not isinstance(op, PointwiseOp) or op.function != "relu":
            continue
        if op.norm is not None or op.addend is not None or op.x.consumers != 1:
            continue
        before = _maker(ops, op.x)
        if not isinstance(before, ConvolutionOp | LinearOp):
            continue
        after = _only_reader(ops, op.y)
        pool = None
        if (
            isinstance(after, PoolingOp)
            and isinstance(before, ConvolutionOp)
            and before.can_pool
            and is_two_by_two(after.layer)
        ):
            pool, after = after, _only_reader(ops, after.y)
        undone = isinstance(after, LinearOp) or (
            isinstance(after, ConvolutionOp) and after.can_gate
        )
        if not undone and training:
            continue
        _remove(ops, op, before)
        before.relu = True
        if pool is not None and isinstance(before, ConvolutionOp):
            _remove(ops, pool, before)
            before.pool = True
        before.y.gated = undone


def _maker(ops: list[Op], tensor: Tensor) -> Op | None:
    return next((op for op in ops if op.y is tensor), None)


def _only_reader(ops: list[Op], tensor: Tensor) -> Op | None:
    if tensor.consumers != 1 or tensor is ops[-1].y:
        return None
    return next((op for op in ops if tensor in op.inputs), None)


def _remove(ops: list[Op], op: Op, before: Op) -> None:
    """Take out an operation whose work `before` does."""
    before.y = op.y
    ops.remove(op)
