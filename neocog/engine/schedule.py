"""From operations to a plan: which kernels a training step or a prediction runs, in which order.

A training step is a sequence of groups over the images of the batch: forward, loss, backward. A
group ends where something needs the whole batch. Then come the parameters, slice by slice:
gradients from the shards' sums or from the whole batch, updates, and second layouts.
"""

from collections.abc import Sequence

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops import ConvolutionOp, LinearOp, LoadOp, Op, PoolingOp
from neocog.engine.ops.loss import add_loss, probabilities
from neocog.engine.plan import Plan
from neocog.engine.program_options import ProgramOptions

__all__ = ["inference_plan", "training_plan"]

# Bytes of all maps of a batch up to which they stay in the cores' second-level caches from one
# group to the next, so that workers can split linear layers by their inputs.
_SHARED_BYTES = 384 * 1024

# Shards of a batch, each with its own sums of weight gradients. As many threads can share a batch.
# More than the first number only where each has so many images that its sums cost little beside
# them.
_MANY_SHARDS, _MOST_SHARDS, _IMAGES_A_SHARD = 16, 64, 8


def _is_shared(ops: Sequence[Op], batch: int) -> bool:
    plain = (LoadOp, ConvolutionOp, LinearOp, PoolingOp)
    # A rough count for one image in training: outputs, winners and gradients.
    floats = ops[0].y.map.size + sum(3 * op.y.map.size for op in ops[1:])
    small = batch * floats * FLOAT <= _SHARED_BYTES
    return small and all(isinstance(op, plain) for op in ops)


def _shards(batch: int) -> int:
    """The most shards of a batch. They do not depend on the threads, and so neither do results."""
    return max(_MANY_SHARDS, min(batch // _IMAGES_A_SHARD, _MOST_SHARDS))


def training_plan(
    ops: Sequence[Op], batch: int, options: ProgramOptions, *, keep_activations: bool = False
) -> Plan:
    """The plan of a program that takes a training step per batch of up to `batch` images.

    With `keep_activations` every map and gradient stays to the end of the step, and the plan's
    `gradients` says where the gradients are.
    """
    shared = options.update_plan.immediate and _is_shared(ops, batch)
    builder = Builder(
        batch, _shards(batch), shared=shared, keep_activations=keep_activations, options=options
    )
    for op in ops:
        op.forward(builder)
    add_loss(builder, ops[-1].y)
    if builder.shared:
        builder.cut()
    for op in reversed(ops):
        if op.y.learns:
            op.backward(builder)
    builder.cut()
    builder.learn_now()
    builder.plan.gradients = builder.gradients()
    builder.plan.settle()
    return builder.plan


def inference_plan(ops: Sequence[Op], *, single_image: bool = False, workers: int = 1) -> Plan:
    """The plan of a program that computes each image's scores and probabilities.

    With `single_image` it takes one image, which so many workers share.
    """
    builder = Builder(single_image=single_image, workers=workers)
    for op in ops:
        op.forward(builder)
    probabilities(builder, ops[-1].y)
    builder.cut(barrier=False)
    builder.refresh_once()
    builder.plan.settle()
    return builder.plan
