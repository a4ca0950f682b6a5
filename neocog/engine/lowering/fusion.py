"""What operations take over from each other, once all are there."""

from typing import TypeGuard

from neocog.engine.lowering.layer_rules import is_two_by_two
from neocog.engine.ops import (
    ConvolutionOp,
    DepthwiseOp,
    LinearOp,
    Op,
    PointwiseOp,
    PoolingOp,
)
from neocog.engine.tensor import Tensor
from neocog.kernels.convolution.depthwise_tiling import FUSED
from neocog.kernels.elementwise.limits import LIMITS

__all__ = ["fold_normalization", "take_in_pointwise", "take_in_relu"]


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


def take_in_pointwise(ops: list[Op]) -> None:
    """Sums and functions into the convolution before them, for inference.

    It computes them in place of the pointwise operation, when whatever it adds is there.
    """
    for op in list(ops):
        if not isinstance(op, PointwiseOp) or op.norm is not None:
            continue
        for x in op.inputs:
            before = _maker(ops, x)
            if before is None or x.consumers > 1 or not _can_compute(before, op):
                continue
            before.function = op.function
            before.inputs += tuple(other for other in op.inputs if other is not x)
            ops.remove(before)
            ops[ops.index(op)] = before
            before.y = op.y
            break


def _can_compute(before: Op, op: PointwiseOp) -> TypeGuard[ConvolutionOp | DepthwiseOp]:
    """Whether a convolution can compute the sum and the function of its result."""
    if isinstance(before, DepthwiseOp):
        return before.function == "identity" and op.addend is None and op.function in FUSED
    return (
        isinstance(before, ConvolutionOp)
        and before.function == "identity"
        and op.function in LIMITS
        and (op.addend is None or before.can_add)
    )


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
        if isinstance(before, LinearOp):
            before.relu = True
        else:
            before.function = "relu"
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
