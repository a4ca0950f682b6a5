"""Plans the parameter updates: which kernels update each, which state they keep, in which order.

By default a slice of a parameter is updated right after its gradient was computed, while that is in
the cache. Clipping first needs the norm of all gradients, accumulation the sum over several
batches, and Muon's matrix products need barriers between them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.engine.tensor import Parameter
from neocog.errors import NeocogError
from neocog.kernels.optimizer.averaging import Averaging, average_step, lookahead_step
from neocog.kernels.optimizer.clipping import (
    Accumulation,
    Clipping,
    Squares,
    accumulate_gradient,
    clip_factor,
    square_sums,
)
from neocog.kernels.optimizer.muon import muon_buffers, muon_plan, packed_matrix
from neocog.kernels.optimizer.update import (
    RATES,
    Update,
    adagrad_update,
    adam_update,
    rmsprop_update,
    sgd_update,
)

__all__ = ["Rule", "UpdatePlan"]

_FLOAT, _DOUBLE = 4, 8

_KERNELS = {
    "sgd": sgd_update,
    "adam": adam_update,
    "rmsprop": rmsprop_update,
    "adagrad": adagrad_update,
}
#: The operands that are arrays of the state, in their order.
_STATE = {"sgd": ("v",), "adam": ("m", "v"), "rmsprop": ("v", "b"), "adagrad": ("v",)}
_AVERAGES = {"average": average_step, "lookahead": lookahead_step}


class Rule(Protocol):
    """How one parameter is updated; `neocog.settings.optimizers.Rule`."""

    @property
    def kind(self) -> str:
        """``sgd``, ``adam``, ``rmsprop``, ``adagrad``, ``muon`` or ``frozen``."""

    @property
    def settings(self) -> tuple[float, ...]:
        """Eight numbers, in the order of the kernel's settings."""

    @property
    def flags(self) -> Mapping[str, bool]:
        """Boolean fields of the kernel's spec."""

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """The arrays of the optimizer's state, each with its initial value."""

    @property
    def iteration(self) -> Mapping[str, Any]:
        """For Muon, the further arguments of `muon_plan`."""


# Parameters that are split into the same items, and the group that computes their gradients.
Learning = tuple[list[Parameter], Group]


@dataclass(frozen=True)
class UpdatePlan:
    """How parameters are updated.

    Attributes:
        rule_for: the rule of a parameter by its name and PyTorch's shape.
        clipped: whether gradients are clipped by their global norm.
        accumulate: batches per step.
        averaging: "", "average" or "lookahead".
    """

    rule_for: Callable[[str, tuple[int, ...]], Rule]
    clipped: bool = False
    accumulate: int = 1
    averaging: str = ""

    @property
    def immediate(self) -> bool:
        """Whether a parameter can be updated as soon as its gradient is known."""
        return not self.clipped and self.accumulate == 1

    def rule(self, parameter: Parameter) -> Rule:
        """The rule of a parameter."""
        return self.rule_for(parameter.name, parameter.shape)

    def phases(self, plan: Plan, learning: Sequence[Learning]) -> list[list[Group]]:
        """The groups of each phase; only between phases are barriers needed."""
        moving = [
            ([p for p in parameters if self.rule(p).kind != "frozen"], group)
            for parameters, group in learning
        ]
        moving = [(parameters, group) for parameters, group in moving if parameters]
        plan.buffer("rates", RATES * _DOUBLE, Scope.WHOLE)
        if self.immediate:
            first = [self._grown(group, self._updates(plan, ps, group)) for ps, group in moving]
            return [first, *self._muon_phases(plan, moving)]
        gradients = [self._grown(group, self._sums(plan, ps, group)) for ps, group in moving]
        updates = [
            Group(instructions, group.items, group.chunk, every=self.accumulate)
            for ps, group in moving
            if (instructions := self._updates(plan, ps, group))
        ]
        norm = self._norm(plan, moving) if self.clipped else []
        return [gradients, *norm, updates, *self._muon_phases(plan, moving)]

    @staticmethod
    def _grown(group: Group, more: list[Instruction]) -> Group:
        return replace(group, instructions=[*group.instructions, *more])

    def _gradient(self, parameter: Parameter) -> str:
        return f"{parameter.name}.{'total' if self.accumulate > 1 else 'gradient'}"

    # Updates

    def _updates(self, plan: Plan, parameters: list[Parameter], group: Group) -> list[Instruction]:
        """The updates of parameters whose rule works element by element."""
        instructions = []
        for parameter in parameters:
            rule, item = self.rule(parameter), parameter.size // group.items
            plan.buffer(f"{parameter.name}.settings", 8 * _DOUBLE, Scope.SHARED)
            kept = [
                plan.buffer(f"{parameter.name}.{word}", parameter.size * _FLOAT, Scope.SHARED)
                for word, _ in rule.state
            ]
            if rule.kind == "muon":
                continue
            spec = Update(item, clipped=self.clipped, **{"momentum": False, **rule.flags})
            instruction = Instruction.of(
                _KERNELS[rule.kind],
                spec,
                "update",
                w=parameter.name,
                g=self._gradient(parameter),
                settings=f"{parameter.name}.settings",
                rates="rates",
                step="step",
                clip="clip" if self.clipped else None,
                **dict(zip(_STATE[rule.kind], kept, strict=False)),
            )
            instructions.append(instruction)
            instructions += self._average(plan, parameter, item)
        return instructions

    def _average(self, plan: Plan, parameter: Parameter, item: int) -> list[Instruction]:
        if not self.averaging:
            return []
        average = f"{parameter.name}.average"
        plan.buffer(average, parameter.size * _FLOAT, Scope.SHARED)
        of = {"w": parameter.name, "a": average, "rates": "rates", "step": "step"}
        kernel = _AVERAGES[self.averaging]
        return [Instruction.of(kernel, Averaging(item), "update", **of)]

    def _muon_phases(self, plan: Plan, moving: Sequence[Learning]) -> list[list[Group]]:
        """Muon's phases; each has the groups of all its weights."""
        weights = [p for ps, _ in moving for p in ps if self.rule(p).kind == "muon"]
        plans = [self._muon(plan, parameter) for parameter in weights]
        longest = range(max((len(one) for one in plans), default=0))
        return [[group for one in plans for group in one[n : n + 1]] for n in longest]

    def _muon(self, plan: Plan, parameter: Parameter) -> list[Group]:
        rule, name = self.rule(parameter), parameter.name
        if parameter.matrix is None:
            raise NeocogError(
                f"Muon cannot move {name}, which is not one matrix but several groups. Give it "
                "another optimizer, or freeze it."
            )
        spec = packed_matrix(parameter.matrix, clipped=self.clipped, **rule.flags)
        roles = {role: f"{name}.{role}" for role in ("settings", "velocity")}
        for role, size in muon_buffers(spec).items():
            roles[role] = plan.buffer(f"{name}.{role}", size, Scope.SHARED)
        roles |= {"w": name, "g": self._gradient(parameter)}
        groups = []
        for phase in muon_plan(spec, **rule.iteration):
            operands = {name: roles.get(role, role) for name, role in phase.operands.items()}
            instruction = Instruction.of(phase.kernel, phase.spec, "update", **operands)
            chunk = max(1, phase.items)  # so that a worker takes all of its items at once
            groups.append(Group([instruction], phase.items, chunk, every=self.accumulate))
        if self.averaging:
            items = groups[-1].items
            averages = self._average(plan, parameter, parameter.size // items)
            groups.append(Group(averages, items, every=self.accumulate))
        return groups

    # Sums over batches, and norms

    def _sums(self, plan: Plan, parameters: list[Parameter], group: Group) -> list[Instruction]:
        if self.accumulate == 1:
            return []
        instructions = []
        for parameter in parameters:
            spec = Accumulation(parameter.size // group.items, self.accumulate)
            total = plan.buffer(self._gradient(parameter), parameter.size * _FLOAT, Scope.SHARED)
            of = {"g": f"{parameter.name}.gradient", "total": total, "step": "step"}
            instructions.append(Instruction.of(accumulate_gradient, spec, "update", **of))
        return instructions

    def _norm(self, plan: Plan, moving: Sequence[Learning]) -> list[list[Group]]:
        """The sums of squares of all items, then the clipping factor."""
        counts = [(p, group.items) for ps, group in moving for p in ps]
        total = sum(items for _, items in counts)
        plan.buffer("squares", total * _DOUBLE, Scope.SHARED)
        for name in ("limit", "clip"):
            plan.buffer(name, _DOUBLE, Scope.SHARED)
        groups, at = [], 0
        for parameter, items in counts:
            part = plan.part("squares", at * _DOUBLE)
            spec = Squares(parameter.size // items)
            instruction = Instruction.of(
                square_sums, spec, "update", g=self._gradient(parameter), sums=part
            )
            groups.append(Group([instruction], items, every=self.accumulate))
            at += items
        factor = Instruction.of(
            clip_factor, Clipping(total), "update", sums="squares", limit="limit", clip="clip"
        )
        return [groups, [Group([factor], 1, every=self.accumulate)]]
