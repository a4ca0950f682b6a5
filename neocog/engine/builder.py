"""Builds a plan: operations put their instructions here, one after another.

Instructions on images collect in a group; `cut` ends the group where something needs the whole
batch. A tensor's gradient is the sum of what its consumers pass back. The backward pass visits them
from the last to the first: the first one visited writes the gradient, the others add to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.strips import Emitted, Rows, parts_of
from neocog.engine.tensor import Parameter, Tensor
from neocog.kernels.elementwise.add import ElementwiseAdd, add_maps, copy_map
from neocog.kernels.layout import FeatureMap

__all__ = ["FLOAT", "Builder"]

FLOAT = 4


class Builder:
    """A plan under construction.

    Attributes:
        plan: what has been built so far.
        training: whether the plan is for training.
        batch: the most images in a step; 0 if the plan is not for training.
        shard: images in a shard. Each shard has its own sums.
        shards: the most shards in a batch.
        shared: whether workers split linear layers by their inputs.
        single_image: whether the plan is for one image, whose parts the workers split.
        workers: how many these are; they change no result.
        keep_activations: whether every map and gradient keeps its memory until the step ends.
        options: how the network is trained; None if it is not for training.
    """

    def __init__(
        self,
        batch: int = 0,
        most_shards: int = 1,
        *,
        shared: bool = False,
        single_image: bool = False,
        workers: int = 1,
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
        self.workers = workers
        self.keep_activations = keep_activations
        self.plan.shard = self.shard
        self._images: list[Emitted] = []
        self._following: list[Group] = []
        self._loss_unchecked = False
        self._gradients: dict[str, str] = {}
        self._deferred: dict[str, Callable[[], str]] = {}
        self._learning: list[tuple[list[Parameter], Group]] = []
        self._preparing: list[Group] = []
        self._refreshing: list[Group] = []

    # Instructions

    def emit(self, kernel: Any, spec: Any, layer: str, /, **operands: str | None) -> None:
        """Add an instruction to the current group of images."""
        self._append(Instruction.of(kernel, spec, layer, **operands), operands)

    def emit_parts(
        self, kernel: Any, spec: Any, layer: str, /, *, parts: int, **operands: str | None
    ) -> None:
        """Add an instruction whose items are parts of the only image."""
        instruction = Instruction.of(kernel, spec, layer, **operands)
        self.over(Group([instruction], parts, parts, barrier=True))

    def emit_rows(self, kernel: Any, rows: Rows, layer: str, /, **operands: str | None) -> Emitted:
        """Add an instruction that can compute some rows alone.

        Workers share the strips of a single image, and run over those of the large images of a
        batch one by one. After the next `cut`, the result knows how many there are.
        """
        whole = Instruction.of(kernel, rows.spec_of(0, rows.height), layer, **operands)
        return self._append(whole, operands, rows)

    def _append(
        self, instruction: Instruction, operands: Mapping[str, str | None], rows: Rows | None = None
    ) -> Emitted:
        named = {name: buffer for name, buffer in operands.items() if buffer is not None}
        self._images.append(Emitted(instruction, named, rows))
        return self._images[-1]

    def _over(self, one: Emitted, strips: Sequence[tuple[int, int]]) -> Instruction:
        """An instruction on strips of images; on whole ones if there are none."""
        whole, rows = one.instruction, one.rows
        if rows is None:
            return whole
        one.strips = max(1, len(strips))
        for name, floats in rows.each.items():
            self.per_image(one.named[name], one.strips * floats)
        if not strips:
            return whole
        of: dict[str, str | None] = dict(one.named)
        apart = {name: rows.bytes_of(name, strips[0][1]) for name in rows.floats}
        apart |= {name: floats * FLOAT for name, floats in rows.each.items()}
        for name in apart.keys() & one.named.keys():
            of[name] = self.plan.part(one.named[name], 0, apart[name])
        specs = [rows.spec_of(*strip) for strip in strips]
        return Instruction.of(whole.kernel, specs[0], whole.layer, specs, **of)

    def cut(self, *, barrier: bool = True) -> None:
        """End the current group of image instructions, if it has any."""
        if self._images:
            emitted, self._images = self._images, []
            parts = parts_of(emitted, self.workers if self.single_image else 0)
            for n, part in enumerate(parts, 1):
                ends = barrier if n == len(parts) else self.single_image
                instructions = [self._over(one, part.strips) for one in part.members]
                self._add(instructions, len(part.strips), barrier=ends)
            self.plan.groups += self._following
            self._following = []

    def _add(self, instructions: Sequence[Instruction], strips: int, *, barrier: bool) -> None:
        """Add a group over images."""
        groups, items = self.plan.groups, (strips or 1) if self.single_image else 0
        joined = bool(groups) and items == groups[-1].items == 0 and not groups[-1].barrier
        check = self._loss_unchecked and barrier
        groups.append(
            Group(
                instructions,
                items,
                barrier=barrier,
                check_loss=check,
                strips=strips,
                joined=joined,
            )
        )
        self._loss_unchecked = self._loss_unchecked and not check

    def after_cut(self, group: Group) -> None:
        """Add a group over other items right after the next cut."""
        self._following.append(group)

    def cut_before_reuse(self) -> None:
        """Cut if groups wait for it, as what they read from is about to be written again."""
        if self._following:
            self.cut()

    def over(self, group: Group) -> None:
        """Cut, then add a group over items that are not images."""
        self.cut()
        self.plan.groups.append(group)

    def check_loss(self) -> None:
        """Have the losses checked at the next barrier, before any update."""
        self._loss_unchecked = True

    # Buffers

    def map(self, name: str, size: FeatureMap, *, transient: bool = False) -> str:
        """A buffer with one map per image; a `transient` one need not last for the whole step."""
        if self.keep_activations:
            return self.plan.buffer(name, size.size * FLOAT, Scope.BATCH)
        return self.plan.map(name, size.size * FLOAT, size if transient else None)

    def per_image(self, name: str, floats: int) -> str:
        """A buffer of `floats` floats per image."""
        return self.plan.map(name, floats * FLOAT)

    def floats(self, name: str, count: int, scope: Scope = Scope.SHARED) -> str:
        """A buffer of `count` floats that is not per image."""
        return self.plan.buffer(name, count * FLOAT, scope)

    def scratch(self, name: str, count: int, scope: Scope = Scope.WORKER) -> str:
        """A buffer that operations use one after another, of the largest size that any asks for."""
        known = self.plan.buffers.get(name)
        return self.floats(name, max(count, known.size // FLOAT if known else 0), scope)

    # Gradients

    def gradient(self, tensor: Tensor) -> str:
        """The buffer that holds a tensor's complete gradient, for the producer's backward pass."""
        if tensor.name in self._deferred:
            self._gradients[tensor.name] = self._deferred.pop(tensor.name)()
        return self._gradients[tensor.name]

    def gradients(self) -> dict[str, str]:
        """The buffers of the tensors' complete gradients, by the tensor's name."""
        return dict(self._gradients)

    def defer_gradient(self, tensor: Tensor, compute: Callable[[], str]) -> None:
        """Let `compute` add the instructions of a tensor's gradient when it is first asked for.

        They are then in the same group as what uses the gradient. The tensor has one consumer.
        """
        self._deferred[tensor.name] = compute

    def write_gradient(self, tensor: Tensor, *, can_add: bool = False) -> tuple[str, bool]:
        """Where a consumer writes its part of a tensor's gradient.

        Returns:
            The buffer, and whether the consumer must add to what is in it. That is only asked of a
            consumer with `can_add`; any other calls `add_gradient` after it has written.
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
        """Add to the gradient what a consumer wrote elsewhere, if it did not write in place."""
        whole = self._gradients[tensor.name]
        if written != whole:
            size = tensor.gradient_map
            rows = Rows.of_maps(ElementwiseAdd(size, size), ("x", "y"))
            self.emit_rows(add_maps, rows, tensor.name, x=written, y=whole)

    def give_gradient(self, tensor: Tensor, name: str, size: FeatureMap, *, keep: bool) -> None:
        """Add the contents of a buffer to a tensor's gradient.

        Without `keep` the buffer may itself become the tensor's gradient, and others add to it.
        """
        if tensor.name not in self._gradients and not keep and size == tensor.gradient_map:
            self._gradients[tensor.name] = name
            return
        known = tensor.name in self._gradients
        to, _ = self.write_gradient(tensor, can_add=True)
        kernel = add_maps if known else copy_map
        rows = Rows.of_maps(ElementwiseAdd(size, tensor.gradient_map), ("x", "y"))
        self.emit_rows(kernel, rows, tensor.name, x=name, y=to)

    # Parameters

    def parameter(self, parameter: Parameter) -> str:
        """Allocate a parameter, and in training its gradient; returns the parameter's name."""
        self.floats(parameter.name, parameter.size)
        if self.training:
            self.floats(f"{parameter.name}.gradient", parameter.size)
        return parameter.name

    def before_learning(self, instruction: Instruction, items: int, chunk: int = 1) -> None:
        """Add an instruction over its own items, after all images and before any update."""
        self._preparing.append(Group([instruction], items, chunk))

    def learn(
        self,
        parameters: Sequence[Parameter],
        instructions: Sequence[Instruction],
        items: int,
        chunk: int = 1,
    ) -> None:
        """Add instructions that compute parameters' gradients, item by item, after all images.

        An item is the same fraction of each of these parameters, and is updated on its own.
        """
        self._learning.append((list(parameters), Group(list(instructions), items, chunk)))

    def refresh(self, instruction: Instruction, items: int) -> None:
        """Add an instruction after all updates that computes a parameter's second layout."""
        self._refreshing.append(Group([instruction], items, refreshes=True))

    def refresh_once(self) -> None:
        """Compute the second layouts once, where no step changes the parameters."""
        self.plan.groups += [replace(group, every=0) for group in self._refreshing]

    def learn_now(self) -> None:
        """Add the groups that compute gradients and update parameters, with barriers after them."""
        assert self.options is not None  # noqa: S101
        self.cut()
        update_plan = self.options.update_plan
        refreshing = [replace(group, every=update_plan.accumulate) for group in self._refreshing]
        updates = update_plan.phases(self.plan, self._learning)
        phases = [groups for groups in (self._preparing, *updates, refreshing) if groups]
        if not any(group.every == 1 for groups in phases for group in groups):
            # A barrier, or one worker writes the next step's losses while another adds up these.
            phases.append([Group([], 1)])
        for groups in phases:
            self.plan.groups += [*groups[:-1], replace(groups[-1], barrier=True)]
        self._preparing, self._learning, self._refreshing = [], [], []
