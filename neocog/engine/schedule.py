"""From stages to a plan: which kernels a training step or a prediction runs, in which order.

A training step has two phases. First the images, by shards: load, forward, loss, backward. Then,
behind a barrier, the parameters, by slices: sum what the shards left or compute the gradient from
the whole batch, update, and refresh what the kernels keep in a second layout.

Small batches cut the first phase at every linear layer, and share that layer by its inputs. All of
its weight would otherwise pass from the core that updated it to every other, each step: for the
note's network at batch 4 more traffic than its images.
"""

from dataclasses import replace
from typing import Any

from neocog.engine.lower import Stage
from neocog.engine.packing import convolution_weight, packed_size
from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.kernels.activation import Activation, relu_backward, relu_forward
from neocog.kernels.convolution import Convolution, conv2d_forward
from neocog.kernels.convolution_gradient import (
    WeightGradient,
    conv2d_backward_weight,
    conv2d_backward_weight_of_winners,
    conv2d_flip_weight,
    conv2d_reduce,
)
from neocog.kernels.image import Images, load_images
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.linear import (
    FullyConnected,
    linear_forward,
    linear_forward_parts,
    linear_sum_parts,
)
from neocog.kernels.linear_gradient import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_input_slices,
    linear_backward_weight,
)
from neocog.kernels.pooling import Pooling, copy_rows, max_pool2d_backward, max_pool2d_forward
from neocog.kernels.softmax import Softmax, softmax, softmax_cross_entropy
from neocog.kernels.update import Update, adam_step, sgd_step
from neocog.layers import Conv2d, Linear, MaxPool2d, ReLU

__all__ = ["OPTIMISER_STATE", "inference_plan", "training_plan"]

_FLOAT, _LONG = 4, 8

#: Per kind of optimiser: its kernel, the arrays it keeps for a parameter, whether it counts steps.
OPTIMISER_STATE: dict[str, tuple[Any, tuple[str, ...], bool]] = {
    "sgd": (sgd_step, ("velocity",), False),
    "adam": (adam_step, ("mean", "square"), True),
}

# Bytes that a worker's chunk of images may take, so that it stays in the second-level cache.
_CHUNK_BYTES = 256 * 1024
_MOST_CHUNK = 16

# Where all maps of a batch take at most this, they stay in the cores' second-level caches from one
# phase to the next, and linear layers can be shared by inputs.
_SHARED_BYTES = 384 * 1024

# Sums of weight gradients, each of its own shard; no more threads than this can share a batch.
_MOST_SHARDS = 16

# Bytes of a parameter that are computed, then updated, at a time.
_SLICE_BYTES = 8 * 1024


class _Schedule:
    """Builds a plan, stage by stage."""

    def __init__(self, stages: list[Stage], *, batch: int = 0) -> None:
        self.stages = stages
        self.training = batch > 0
        self.batch = batch
        self.shared = self.training and batch * _map_bytes(stages) <= _SHARED_BYTES
        self.plan = Plan()
        self.images: list[Instruction] = []

    # Buffers

    def _map(self, name: str, size: FeatureMap, *, batch_wide: bool = False) -> str:
        scope = Scope.BATCH if batch_wide or self.shared else Scope.CHUNK
        return self.plan.buffer(name, size.size * _FLOAT, scope)

    def _x(self, at: int) -> str:
        """The buffer of a stage's input."""
        return self.stages[at - 1].name + ".y" if at else "input"

    def _is_batch_wide(self, at: int) -> bool:
        """Whether what stage `at` gives is needed for the whole batch: linear weights' gradient."""
        follower = self.stages[at + 1] if at + 1 < len(self.stages) else None
        return self.training and follower is not None and isinstance(follower.layer, Linear)

    # Forward

    def load(self) -> None:
        """The bytes become the network's input."""
        x = self.stages[0].x
        first_is_linear = isinstance(self.stages[0].layer, Linear)
        self._map("input", x, batch_wide=self.training and first_is_linear)
        for name in ("scale", "shift"):
            self.plan.buffer(name, x.width * x.pixel * _FLOAT, Scope.SHARED)
        self.plan.buffer("images", x.height * x.width * x.channels, Scope.OUTSIDE)
        self.plan.buffer("step", 5 * _LONG, Scope.WORKER)
        if self.training:
            self.plan.buffer("order", _LONG, Scope.OUTSIDE)
            self.plan.buffer("labels", _LONG, Scope.OUTSIDE)
        operands = ("images", "order" if self.training else None, "step", "scale", "shift", "input")
        self.images.append(Instruction(load_images, Images(x, self.training), operands, "input"))

    def parameters(self) -> None:
        """Room for every parameter, as the kernels want it."""
        for stage in self.stages:
            for part in stage.layer.parameter_shapes():
                size = packed_size(stage, part) * _FLOAT
                self.plan.buffer(f"{stage.name}.{part}", size, Scope.SHARED)
                if self.training:
                    self.plan.buffer(f"{stage.name}.{part}.gradient", size, Scope.SHARED)

    def forward(self, at: int) -> None:
        """One stage forward."""
        stage, name = self.stages[at], self.stages[at].name
        layer = stage.layer
        x, y = self._x(at), f"{name}.y"
        self._map(y, stage.y, batch_wide=self._is_batch_wide(at))
        weight = f"{name}.weight"
        bias = f"{name}.bias" if "bias" in layer.parameter_shapes() else None
        winners = None
        operands: tuple[str | None, ...]
        if self.training and (stage.pool or isinstance(layer, MaxPool2d)):
            winners = self._map(f"{name}.winners", stage.y.bare)
        if isinstance(layer, Conv2d):
            kernel, operands = conv2d_forward, (x, weight, bias, y, winners)
            lowered: Any = Convolution(
                stage.x,
                stage.y,
                convolution_weight(layer),
                bias=bias is not None,
                relu=stage.relu,
                pool=stage.pool,
                winners=winners is not None,
            )
        elif isinstance(layer, Linear) and self.shared:
            parts = self._forward_parts(stage, x)
            kernel, operands = linear_sum_parts, (parts, bias, y)
            lowered = self._fully_connected(stage)
        elif isinstance(layer, Linear):
            kernel, operands = linear_forward, (x, weight, bias, y)
            lowered = self._fully_connected(stage)
        elif isinstance(layer, ReLU):
            kernel, operands = relu_forward, (x, y)
            lowered = Activation(stage.x, stage.y)
        else:
            kernel, operands = max_pool2d_forward, (x, y, winners)
            lowered = Pooling(stage.x, stage.y, stage.x, winners=winners is not None)
        self.images.append(Instruction(kernel, lowered, operands, name))

    def _forward_parts(self, stage: Stage, x: str) -> str:
        """A linear layer's products, each part of its inputs for all images; gives the buffer."""
        self.close()
        connected = replace(self._fully_connected(stage), bias=False, relu=False)
        size = connected.parts * self.batch * connected.z.size * _FLOAT
        parts = self.plan.buffer(f"{stage.name}.parts", size, Scope.SHARED)
        operands = (x, f"{stage.name}.weight", parts, "step")
        instruction = Instruction(linear_forward_parts, connected, operands, stage.name)
        self.plan.groups.append(Group([instruction], connected.parts, barrier=True))
        return parts

    def _fully_connected(self, stage: Stage, *, gated: bool = False) -> FullyConnected:
        bias = "bias" in stage.layer.parameter_shapes()
        batch = self.batch if self.shared else 0
        return FullyConnected(stage.x, stage.y.channels, bias, stage.relu, gated, batch)

    # Loss and backward

    def loss(self) -> None:
        """Cross-entropy, and δ = y − t as the gradient of the last stage's output."""
        last = self.stages[-1]
        self.plan.buffer("losses", 8, Scope.BATCH)
        linear = isinstance(last.layer, Linear)
        dz = self._map(f"{last.name}.dy", last.y, batch_wide=linear)
        operands = (f"{last.name}.y", dz, "losses", "order", "labels", "step")
        stage = Softmax(last.y.channels)
        self.images.append(Instruction(softmax_cross_entropy, stage, operands, "loss"))
        if self.shared:
            self.close(judge=True)
        self._place_gradient(len(self.stages) - 1)

    def _place_gradient(self, at: int) -> None:
        """Copy the gradient at stage `at` into the border its own input gradient wants."""
        stage = self.stages[at]
        if stage.dy != stage.dy.bare:
            to = self._map(f"{stage.name}.dy.bordered", stage.dy)
            copy = Pooling(stage.dy.bare, stage.dy.bare, stage.dy)
            operands = (f"{stage.name}.dy", to)
            self.images.append(Instruction(copy_rows, copy, operands, stage.name))

    def _dy(self, at: int) -> str:
        """The buffer in which stage `at` finds the gradient of its output."""
        stage = self.stages[at]
        bordered = f"{stage.name}.dy.bordered"
        return bordered if bordered in self.plan.buffers else f"{stage.name}.dy"

    def backward(self, at: int, shard: int, shards: int, optimiser: str) -> None:
        """One stage back: its weight's gradient for each shard, and its input's gradient."""
        stage = self.stages[at]
        if isinstance(stage.layer, Linear) and self.shared:
            self._backward_slices(at, optimiser)
            return
        if isinstance(stage.layer, Conv2d):
            self._weight_gradient(at, shard, shards)
        if stage.passes:
            self._input_gradient(at)

    def _backward_slices(self, at: int, optimiser: str) -> None:
        """A linear layer back and updated, each slice of its inputs for all images."""
        stage = self.stages[at]
        self.close()
        first, *others = self.learn(at, optimiser, 1)
        if stage.passes:
            before = self.stages[at - 1]
            dx = self._map(f"{before.name}.dy", before.dy.bare)
            connected = self._fully_connected(stage, gated=before.relu)
            operands = (self._dy(at), f"{stage.name}.weight", dx, self._x(at), "step")
            instruction = Instruction(linear_backward_input_slices, connected, operands, stage.name)
            first = replace(first, instructions=[instruction, *first.instructions])
        groups = [first, *others]
        self.plan.groups += [*groups[:-1], replace(groups[-1], barrier=True)]
        if stage.passes:
            self._place_gradient(at - 1)

    def _weight_gradient(self, at: int, shard: int, shards: int) -> None:
        stage, name = self.stages[at], self.stages[at].name
        gradient = self._gradient_stage(stage, shard)
        size = gradient.partial_size * _FLOAT
        weight = self.plan.buffer(f"{name}.weight.shards", size * shards, Scope.SHARED)
        size = padded(stage.y.channels) * _FLOAT
        bias = self.plan.buffer(f"{name}.bias.shards", size * shards, Scope.SHARED)
        kernel = conv2d_backward_weight_of_winners if stage.pool else conv2d_backward_weight
        winners = f"{name}.winners" if stage.pool else None
        operands = (self._x(at), self._dy(at), winners, weight, bias)
        self.images.append(Instruction(kernel, gradient, operands, name))

    def _gradient_stage(self, stage: Stage, shard: int) -> WeightGradient:
        layer = stage.layer
        assert isinstance(layer, Conv2d)  # noqa: S101
        w = convolution_weight(layer)
        return WeightGradient(stage.x, stage.dy, w, layer.bias, stage.pool, shard)

    def _input_gradient(self, at: int) -> None:
        stage, before = self.stages[at], self.stages[at - 1]
        layer, name, x, dy = stage.layer, stage.name, self._x(at), self._dy(at)
        # Convolution and pooling write into any border; the others want a copy after them.
        direct = isinstance(layer, Conv2d | MaxPool2d)
        target = before.dy if direct else before.dy.bare
        linear = isinstance(before.layer, Linear)
        dx = self._map(f"{before.name}.dy", target, batch_wide=linear)
        if isinstance(layer, Conv2d):
            if stage.pool:
                dense = self._map(f"{name}.dy.spread", stage.spread)
                pooled = Pooling(stage.x, stage.dy, stage.spread)
                operands: tuple[str | None, ...] = (dy, f"{name}.winners", dense)
                self.images.append(Instruction(max_pool2d_backward, pooled, operands, name))
                dy = dense
            turned = f"{name}.weight.turned"
            w = convolution_weight(layer).turned
            self.plan.buffer(turned, w.size * _FLOAT, Scope.SHARED)
            lowered = Convolution(
                stage.spread,
                target,
                w,
                bias=False,
                crop_h=stage.crop[0],
                crop_w=stage.crop[1],
                gated=before.relu,
                gate=stage.x if before.relu else FeatureMap(1, 1, 1),
            )
            operands = (dy, turned, None, dx, None, x)
            self.images.append(Instruction(conv2d_forward, lowered, operands, name))
        elif isinstance(layer, Linear):
            connected = self._fully_connected(stage, gated=before.relu)
            operands = (dy, f"{name}.weight", dx, x)
            self.images.append(Instruction(linear_backward_input, connected, operands, name))
        elif isinstance(layer, ReLU):
            operands = (f"{name}.y", dy, dx)
            activation = Activation(stage.x, stage.y)
            self.images.append(Instruction(relu_backward, activation, operands, name))
        else:
            pooled = Pooling(stage.x, stage.dy, target)
            operands = (dy, f"{name}.winners", dx)
            self.images.append(Instruction(max_pool2d_backward, pooled, operands, name))
        if not direct:
            self._place_gradient(at - 1)

    # Parameters

    def update(self, stage: Stage, part: str, item: int, optimiser: str) -> Instruction:
        """The optimiser's step for a parameter whose items are so many floats."""
        kernel, state, counts = OPTIMISER_STATE[optimiser]
        name = f"{stage.name}.{part}"
        size = packed_size(stage, part) * _FLOAT
        kept = [self.plan.buffer(f"{name}.{s}", size, Scope.SHARED) for s in state]
        operands = (name, f"{name}.gradient", "settings", *kept, *(["step"] if counts else []))
        return Instruction(kernel, Update(item), operands, "update")

    def learn(self, at: int, optimiser: str, shard: int) -> list[Group]:
        """One stage's gradient for the whole batch, and its update."""
        stage, name = self.stages[at], self.stages[at].name
        layer = stage.layer
        bias = "bias" in layer.parameter_shapes()
        if isinstance(layer, Conv2d):
            gradient = self._gradient_stage(stage, shard)
            shards = (f"{name}.weight.shards", f"{name}.bias.shards")
            bias_gradient = f"{name}.bias.gradient" if bias else None
            reduce = (*shards, f"{name}.weight.gradient", bias_gradient, "step")
            instructions = [Instruction(conv2d_reduce, gradient, reduce, name)]
            instructions.append(self.update(stage, "weight", gradient.w.block_size, optimiser))
            if bias:
                instructions.append(self.update(stage, "bias", gradient.w.block, optimiser))
            if stage.passes:
                copies = (f"{name}.weight", f"{name}.weight.turned")
                plain = replace(gradient, shard=1)
                instructions.append(Instruction(conv2d_flip_weight, plain, copies, name))
            return [Group(instructions, gradient.w.blocks)]
        connected = self._fully_connected(stage)
        x, dz = self._x(at), self._dy(at)
        gradient_of = Instruction(
            linear_backward_weight, connected, (x, dz, f"{name}.weight.gradient", "step"), name
        )
        chunk = max(1, _SLICE_BYTES // (connected.slice_size * _FLOAT))
        step = self.update(stage, "weight", connected.slice_size, optimiser)
        groups = [Group([gradient_of, step], connected.slices, chunk)]
        if bias:
            operands = (dz, f"{name}.bias.gradient", "step")
            of_bias = Instruction(linear_backward_bias, connected, operands, name)
            step = self.update(stage, "bias", connected.z.pixel, optimiser)
            groups.append(Group([of_bias, step], 1))
        return groups

    def close(self, *, barrier: bool = True, judge: bool = False) -> None:
        """End a group of instructions on images, if any have come since the last."""
        if self.images:
            self.plan.groups.append(Group(self.images, 0, barrier=barrier, judge=judge))
            self.images = []

    def fit_cache(self) -> None:
        """Take as many images at a time as fit the cache."""
        each = sum(b.size for b in self.plan.buffers.values() if b.scope is Scope.CHUNK)
        self.plan.chunk = max(2, min(_MOST_CHUNK, _CHUNK_BYTES // max(1, each)) // 2 * 2)


def _map_bytes(stages: list[Stage]) -> int:
    """Bytes of all maps of one image in training, roughly: outputs, winners and gradients."""
    return _FLOAT * (stages[0].x.size + sum(3 * stage.y.size for stage in stages))


def training_plan(stages: list[Stage], batch: int, optimiser: str) -> Plan:
    """A program that takes a training step a batch of up to `batch` images."""
    shard = -(-batch // min(batch, _MOST_SHARDS))
    shards = -(-batch // shard)
    schedule = _Schedule(stages, batch=batch)
    schedule.plan.shard = shard
    schedule.load()
    schedule.parameters()
    schedule.plan.buffer("settings", 4 * 8, Scope.SHARED)
    for at in range(len(stages)):
        schedule.forward(at)
    schedule.loss()
    for at in reversed(range(len(stages))):
        if stages[at].learns:
            schedule.backward(at, shard, shards, optimiser)
    schedule.close(judge=not schedule.shared)
    for at, stage in enumerate(stages):
        done = schedule.shared and isinstance(stage.layer, Linear)
        if stage.layer.parameter_shapes() and not done:
            schedule.plan.groups += schedule.learn(at, optimiser, shard)
    schedule.plan.groups[-1] = replace(schedule.plan.groups[-1], barrier=True)
    schedule.fit_cache()
    return schedule.plan


def inference_plan(stages: list[Stage]) -> Plan:
    """A program that gives each image's scores and probabilities."""
    schedule = _Schedule(stages)
    schedule.load()
    schedule.parameters()
    for at in range(len(stages)):
        schedule.forward(at)
    last = stages[-1]
    plan = schedule.plan
    plan.buffer("scores", last.y.channels * _FLOAT, Scope.OUTSIDE)
    plan.buffer("probabilities", last.y.channels * _FLOAT, Scope.OUTSIDE)
    operands = (f"{last.name}.y", "scores", "probabilities")
    schedule.images.append(Instruction(softmax, Softmax(last.y.channels), operands, "softmax"))
    schedule.close(barrier=False)
    schedule.fit_cache()
    return plan
