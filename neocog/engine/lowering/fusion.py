"""What operations take over from each other, once all are there."""

from neocog.engine.lowering.layer_rules import is_two_by_two
from neocog.engine.stages import (
    ConvolutionStage,
    DepthwiseStage,
    LinearStage,
    PointwiseStage,
    PoolingStage,
    Stage,
)
from neocog.engine.tensor import Tensor

__all__ = ["fold_normalization", "take_in_relu"]


def fold_normalization(ops: list[Stage]) -> None:
    """Batch normalization into the weights of the convolution before it, for inference."""
    for op in list(ops):
        if isinstance(op, PointwiseStage) and op.norm is not None:
            before = _maker(ops, op.x)
            if (
                isinstance(before, ConvolutionStage | DepthwiseStage)
                and not getattr(before, "pool", False)
                and not before.folded
                and op.x.consumers == 1
            ):
                before.folded, before.folded_norm = op.name, op.norm
                op.norm = None
                if op.addend is None and op.function == "identity":
                    _remove(ops, op, before)


def take_in_relu(ops: list[Stage], *, training: bool) -> None:
    """ReLU, and pooling behind it, into the convolution or the linear layer before."""
    for op in list(ops):
        if not isinstance(op, PointwiseStage) or op.function != "relu":
            continue
        if op.norm is not None or op.addend is not None or op.x.consumers != 1:
            continue
        before = _maker(ops, op.x)
        if not isinstance(before, ConvolutionStage | LinearStage):
            continue
        after = _only_reader(ops, op.y)
        pool = None
        if (
            isinstance(after, PoolingStage)
            and isinstance(before, ConvolutionStage)
            and before.can_pool
            and is_two_by_two(after.layer)
        ):
            pool, after = after, _only_reader(ops, after.y)
        undone = isinstance(after, LinearStage) or (
            isinstance(after, ConvolutionStage) and after.can_gate
        )
        if not undone and training:
            continue
        _remove(ops, op, before)
        before.relu = True
        if pool is not None and isinstance(before, ConvolutionStage):
            _remove(ops, pool, before)
            before.pool = True
        before.y.shut = undone


def _maker(ops: list[Stage], tensor: Tensor) -> Stage | None:
    return next((op for op in ops if op.y is tensor), None)


def _only_reader(ops: list[Stage], tensor: Tensor) -> Stage | None:
    if tensor.consumers != 1 or tensor is ops[-1].y:
        return None
    return next((op for op in ops if tensor in op.inputs), None)


def _remove(ops: list[Stage], op: Stage, before: Stage) -> None:
    """Take out an operation whose work `before` does."""
    before.y = op.y
    ops.remove(op)
