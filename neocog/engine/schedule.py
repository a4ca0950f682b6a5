"""From stages to a plan: which kernels a training step or a prediction runs, in which order.

A training step is a row of groups over the images of the batch, cut where something needs all of
them: forward, loss, backward. Behind them come the parameters, by slices: gradients from the sums
of the shards or from the whole batch, updates, and second layouts that kernels keep.
"""

from collections.abc import Sequence

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.method import Method
from neocog.engine.plan import Plan
from neocog.engine.stages import ConvolutionStage, LinearStage, LoadStage, PoolingStage, Stage
from neocog.engine.stages.loss import cross_entropy, probabilities

__all__ = ["inference_plan", "training_plan"]

# Where all maps of a batch take at most this, they stay in the cores' second-level caches from one
# group to the next, and linear layers can be shared by inputs.
_SHARED_BYTES = 384 * 1024

# Sums of weight gradients, each of its own shard; no more threads than this can share a batch.
_MOST_SHARDS = 16


def _is_shared(stages: Sequence[Stage], batch: int) -> bool:
    plain = (LoadStage, ConvolutionStage, LinearStage, PoolingStage)
    # Of one image in training, roughly: outputs, winners and gradients.
    floats = stages[0].y.map.size + sum(3 * stage.y.map.size for stage in stages[1:])
    small = batch * floats * FLOAT <= _SHARED_BYTES
    return small and all(isinstance(stage, plain) for stage in stages)


def training_plan(
    stages: Sequence[Stage], batch: int, method: Method, *, keeps: bool = False
) -> Plan:
    """A program that takes a training step a batch of up to `batch` images.

    With `keeps` every map and gradient stays to the end of the step, and `gradients` of the plan
    says where those are.
    """
    shared = method.updating.immediate and _is_shared(stages, batch)
    b = Builder(batch, _MOST_SHARDS, shared=shared, keeps=keeps, method=method)
    for stage in stages:
        stage.forward(b)
    cross_entropy(b, stages[-1].y)
    if b.shared:
        b.cut()
    for stage in reversed(stages):
        if stage.y.learns:
            stage.backward(b)
    b.cut()
    b.learn_now()
    b.plan.gradients = b.gradients()
    b.plan.settle()
    return b.plan


def inference_plan(stages: Sequence[Stage], *, alone: bool = False) -> Plan:
    """A program that gives each image's scores and probabilities.

    With `alone` it takes one image, whose convolutions the workers share.
    """
    b = Builder(alone=alone)
    for stage in stages:
        stage.forward(b)
    probabilities(b, stages[-1].y)
    b.cut(barrier=False)
    b.refresh_once()
    b.plan.settle()
    return b.plan
