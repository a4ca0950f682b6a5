"""From operations to a plan: which kernels a training step or a prediction runs, in which order.

A training step is a row of groups over the images of the batch, cut where something needs all of
them: forward, loss, backward. Behind them come the parameters, by slices: gradients from the sums
of the shards or from the whole batch, updates, and second layouts that kernels keep.
"""

from collections.abc import Sequence

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops import ConvolutionOp, LinearOp, LoadOp, Op, PoolingOp
from neocog.engine.ops.loss import cross_entropy, probabilities
from neocog.engine.plan import Plan
from neocog.engine.program_options import ProgramOptions

__all__ = ["inference_plan", "training_plan"]

# Where all maps of a batch take at most this, they stay in the cores' second-level caches from one
# group to the next, and linear layers can be shared by inputs.
_SHARED_BYTES = 384 * 1024

# Sums of weight gradients, each of its own shard; no more threads than this can share a batch.
_MOST_SHARDS = 16


def _is_shared(ops: Sequence[Op], batch: int) -> bool:
    plain = (LoadOp, ConvolutionOp, LinearOp, PoolingOp)
    # Of one image in training, roughly: outputs, winners and gradients.
    floats = ops[0].y.map.size + sum(3 * op.y.map.size for op in ops[1:])
    small = batch * floats * FLOAT <= _SHARED_BYTES
    return small and all(isinstance(op, plain) for op in ops)


def training_plan(
    ops: Sequence[Op], batch: int, options: ProgramOptions, *, keep_activations: bool = False
) -> Plan:
    """A program that takes a training step a batch of up to `batch` images.

    With `keep_activations` every map and gradient stays to the end of the step, and the plan's
    `gradients` says where the gradients are.
    """
    shared = options.update_plan.immediate and _is_shared(ops, batch)
    b = Builder(
        batch, _MOST_SHARDS, shared=shared, keep_activations=keep_activations, options=options
    )
    for op in ops:
        op.forward(b)
    cross_entropy(b, ops[-1].y)
    if b.shared:
        b.cut()
    for op in reversed(ops):
        if op.y.learns:
            op.backward(b)
    b.cut()
    b.learn_now()
    b.plan.gradients = b.gradients()
    b.plan.settle()
    return b.plan


def inference_plan(ops: Sequence[Op], *, single_image: bool = False) -> Plan:
    """A program that gives each image's scores and probabilities.

    With `single_image` it takes one image, whose convolutions the workers share.
    """
    b = Builder(single_image=single_image)
    for op in ops:
        op.forward(b)
    probabilities(b, ops[-1].y)
    b.cut(barrier=False)
    b.refresh_once()
    b.plan.settle()
    return b.plan
