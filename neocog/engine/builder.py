"""Builds a plan: operations put their instructions here, one after another.

Instructions on images collect in a group; `cut` ends it, where something needs the whole batch.
The gradient of a tensor comes from each of its consumers, on the way back from the last to the
first: the first to come writes it, the others add to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.tensor import Parameter, Tensor
from neocog.kernels.elementwise_add import ElementwiseAdd, add_maps, copy_map
from neocog.kernels.layout import FeatureMap

__all__ = ["FLOAT", "Builder"]

FLOAT = 4


class Builder:
    """A plan under construction.

    Attributes:
        plan: what has been built.
        training: whether it is for training.
        batch: most images a step; 0 if it is not for training.
        shard: images of one shard, whose sums are kept apart.
        shards: how many shards a batch has at most.
        shared: whether linear layers are shared among workers by their inputs.
        single_image: whether it is for one image, whose parts the workers share.
        keep_activations: whether every map and gradient stays as it is to the end of the step.
        options: how the network is trained; None if it is not for training.
    """

    def __init__(
        self,
        batch: int = 0,
        most_shards: int = 1,
        *,
        shared: bool = False,
        single_image: bool = False,
        keep_activations: bool = False,
        options: ProgramOptions | None = None,
    ) -> None:
        self.plan = Plan()
        self.options = options
        self.batch = batch
        self.training = batch > 0
        self.shard = -(-batch // min(batch, most_shards)) if batch else 1
        self.shards = -(-batch // self.shard)
        self.shared = shared
        self.single_image = single_image
        self.keep_activations = keep_activations
        self.plan.shard = self.shard
        self._images: list[Instruction] = []
        self._following: list[Group] = []
        self._loss_unchecked = False
        self._gradients: dict[str, str] = {}
        self._deferred: dict[str, Callable[[], str]] = {}
        self._learning: list[tuple[list[Parameter], Group]] = []
        self._preparing: list[Group] = []
        self._refreshing: list[Group] = []

    # Instructions

    def emit(self, kernel: Any, spec: Any, operands: tuple[str | None, ...], layer: str) -> None:
        """One more instruction on the images of the group."""
        self._images.append(Instruction(kernel, spec, operands, layer))

    def emit_parts(
        self, kernel: Any, spec: Any, operands: tuple[str | None, ...], layer: str, parts: int
    ) -> None:
        """An instruction on the one image there is, whose items are parts of it."""
        group = Group([Instruction(kernel, spec, operands, layer)], parts, parts, barrier=True)
        self.over(group)

    def cut(self, *, barrier: bool = True) -> None:
        """End the group of instructions on images, if any have come since the last."""
        if self._images:
            check_loss = self._loss_unchecked and barrier
            items = 1 if self.single_image else 0
            self.plan.groups.append(
                Group(self._images, items, barrier=barrier, check_loss=check_loss)
            )
            self._loss_unchecked = self._loss_unchecked and not check_loss
            self._images = []
            self.plan.groups += self._following
            self._following = []

    def after_cut(self, group: Group) -> None:
        """A group over other items that comes right behind the images' next cut."""
        self._following.append(group)

    def over(self, group: Group) -> None:
        """A group over other items than images; what came before is cut."""
        self.cut()
        self.plan.groups.append(group)

    def check_loss(self) -> None:
        """The losses are there: look at them behind the next barrier, before any update."""
        self._loss_unchecked = True

    # Buffers

    def map(self, name: str, size: FeatureMap, *, transient: bool = False) -> str:
        """A buffer for a map of each image; a transient one is not needed all through the step."""
        shares = transient and not self.keep_activations
        return self.plan.map(name, size.size * FLOAT, size if shares else None)

    def per_image(self, name: str, floats: int) -> str:
        """A buffer of so many floats for each image."""
        return self.plan.map(name, floats * FLOAT)

    def floats(self, name: str, count: int, scope: Scope = Scope.SHARED) -> str:
        """A buffer of floats that does not depend on images."""
        return self.plan.buffer(name, count * FLOAT, scope)

    def scratch(self, name: str, count: int, scope: Scope = Scope.WORKER) -> str:
        """Floats that operations use one after another; as many as the largest of them needs."""
        known = self.plan.buffers.get(name)
        return self.floats(name, max(count, known.size // FLOAT if known else 0), scope)

    # Gradients

    def gradient(self, tensor: Tensor) -> str:
        """The buffer with the whole gradient of a tensor, for its producer on the way back."""
        if tensor.name in self._deferred:
            self._gradients[tensor.name] = self._deferred.pop(tensor.name)()
        return self._gradients[tensor.name]

    def gradients(self) -> dict[str, str]:
        """The buffers that hold tensors' whole gradients, by the tensor's name."""
        return dict(self._gradients)

    def defer_gradient(self, tensor: Tensor, compute: Callable[[], str]) -> None:
        """The gradient comes from one consumer, whose instructions can wait until it is asked for.

        So it stands in the same group as what uses it.
        """
        self._deferred[tensor.name] = compute

    def write_gradient(self, tensor: Tensor, *, can_add: bool = False) -> tuple[str, bool]:
        """Where a consumer writes its part of a tensor's gradient.

        Gives the buffer, and whether to add to what is there, which only happens with `can_add`;
        otherwise call `add_gradient` after writing.
        """
        first = tensor.name not in self._gradients
        if first:
            self._gradients[tensor.name] = f"{tensor.name}.dy"
        elif not can_add:
            return self.map(f"{tensor.name}.dy.more", tensor.gradient_map, transient=True), False
        name = self._gradients[tensor.name]
        if first:
            self.map(name, tensor.gradient_map, transient=True)
        return name, not first

    def add_gradient(self, tensor: Tensor, written: str) -> None:
        """Add what a consumer wrote that cannot add, unless it wrote it in place."""
        whole = self._gradients[tensor.name]
        if written != whole:
            size = tensor.gradient_map
            self.emit(add_maps, ElementwiseAdd(size, size), (written, whole), tensor.name)

    def give_gradient(self, tensor: Tensor, name: str, size: FeatureMap, *, keep: bool) -> None:
        """A part of a tensor's gradient that stands in a buffer already.

        Without `keep` the buffer may become the tensor's own, and be added to.
        """
        if tensor.name not in self._gradients and not keep and size == tensor.gradient_map:
            self._gradients[tensor.name] = name
            return
        known = tensor.name in self._gradients
        to, _ = self.write_gradient(tensor, can_add=True)
        kernel = add_maps if known else copy_map
        self.emit(kernel, ElementwiseAdd(size, tensor.gradient_map), (name, to), tensor.name)

    # Parameters

    def parameter(self, parameter: Parameter) -> str:
        """Room for a parameter, and in training for its gradient; gives its name."""
        self.floats(parameter.name, parameter.size)
        if self.training:
            self.floats(f"{parameter.name}.gradient", parameter.size)
        return parameter.name

    def before_learning(self, instruction: Instruction, items: int, chunk: int = 1) -> None:
        """What runs behind the images and before any update, by items of its own."""
        self._preparing.append(Group([instruction], items, chunk))

    def learn(
        self,
        parameters: Sequence[Parameter],
        instructions: Sequence[Instruction],
        items: int,
        chunk: int = 1,
    ) -> None:
        """Instructions that give parameters' gradients, item by item, behind the images.

        Each parameter is updated by the same items, which are equal parts of it.
        """
        self._learning.append((list(parameters), Group(list(instructions), items, chunk)))

    def refresh(self, instruction: Instruction, items: int) -> None:
        """What runs behind all updates: a second layout of a parameter."""
        self._refreshing.append(Group([instruction], items, refreshes=True))

    def refresh_once(self) -> None:
        """Groups for second layouts of parameters that no step changes."""
        self.plan.groups += [replace(group, every=0) for group in self._refreshing]

    def learn_now(self) -> None:
        """The groups of all that is to be learned so far, and a barrier behind them."""
        assert self.options is not None  # noqa: S101
        self.cut()
        how = self.options.update_plan
        refreshing = [replace(group, every=how.accumulate) for group in self._refreshing]
        updates = how.phases(self.plan, self._learning)
        phases = [groups for groups in (self._preparing, *updates, refreshing) if groups]
        if not any(group.every == 1 for groups in phases for group in groups):
            # Or the next step's losses are written while another worker still adds up these.
            phases.append([Group([], 1)])
        for groups in phases:
            self.plan.groups += [*groups[:-1], replace(groups[-1], barrier=True)]
        self._preparing, self._learning, self._refreshing = [], [], []
