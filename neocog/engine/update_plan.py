"""What moves the parameters: which kernels update each, what they keep, and in which order.

Where nothing else is asked for, a parameter's slice is updated right after its gradient, while that
is in the cache. Clipping needs the norm of all gradients first, and a step over several batches
their sum; Muon's products need barriers between them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.engine.tensor import Parameter
from neocog.errors import NeocogError
from neocog.kernels.averaging import Averaging, average_step, lookahead_step
from neocog.kernels.clipping import (
    Accumulation,
    Clipping,
    Squares,
    accumulate_gradient,
    clip_factor,
    square_sums,
)
from neocog.kernels.muon import muon_buffers, muon_plan, packed_matrix
from neocog.kernels.update import (
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
_AVERAGES = {"average": average_step, "lookahead": lookahead_step}


class Rule(Protocol):
    """By what one parameter moves; `neocog.settings.optimizers.Rule`."""

    @property
    def kind(self) -> str:
        """``sgd``, ``adam``, ``rmsprop``, ``adagrad``, ``muon`` or ``frozen``."""

    @property
    def settings(self) -> tuple[float, ...]:
        """Eight numbers, as the kernel takes them."""

    @property
    def flags(self) -> Mapping[str, bool]:
        """What the kernel's spec has."""

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """The arrays that are kept, each with the number that fills it at the beginning."""

    @property
    def iteration(self) -> Mapping[str, Any]:
        """Of Muon, the further arguments of `muon_plan`."""


# Parameters that learn by the same items, with what gives their gradients.
Learning = tuple[list[Parameter], Group]


@dataclass(frozen=True)
class UpdatePlan:
    """How parameters move.

    Attributes:
        rule_for: the rule of a parameter by its name and PyTorch's shape.
        clipped: whether gradients are clipped by the norm of them all.
        accumulate: batches to a step.
        averaging: "", "average" or "lookahead".
    """

    rule_for: Callable[[str, tuple[int, ...]], Rule]
    clipped: bool = False
    accumulate: int = 1
    averaging: str = ""

    @property
    def immediate(self) -> bool:
        """Whether a parameter can be updated as soon as its gradient is there."""
        return not self.clipped and self.accumulate == 1

    def rule(self, parameter: Parameter) -> Rule:
        """The rule of a parameter."""
        return self.rule_for(parameter.name, parameter.shape)

    def phases(self, plan: Plan, learning: Sequence[Learning]) -> list[list[Group]]:
        """Groups that need no barrier between them, phase by phase."""
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
        """The steps of parameters that move element by element."""
        found = []
        for parameter in parameters:
            rule, item = self.rule(parameter), parameter.size // group.items
            plan.buffer(f"{parameter.name}.settings", 8 * _DOUBLE, Scope.SHARED)
            kept = [
                plan.buffer(f"{parameter.name}.{word}", parameter.size * _FLOAT, Scope.SHARED)
                for word, _ in rule.state
            ]
            if rule.kind == "muon":
                continue
            first, second, *_ = [*kept, None, None]
            clip = "clip" if self.clipped else None
            settings = f"{parameter.name}.settings"
            of = (parameter.name, self._gradient(parameter), settings, "rates", "step")
            spec = Update(item, clipped=self.clipped, **{"momentum": False, **rule.flags})
            operands = (*of, first, second, clip)
            found.append(Instruction(_KERNELS[rule.kind], spec, operands, "update"))
            found += self._average(plan, parameter, item)
        return found

    def _average(self, plan: Plan, parameter: Parameter, item: int) -> list[Instruction]:
        if not self.averaging:
            return []
        average = f"{parameter.name}.average"
        plan.buffer(average, parameter.size * _FLOAT, Scope.SHARED)
        operands = (parameter.name, average, "rates", "step")
        return [Instruction(_AVERAGES[self.averaging], Averaging(item), operands, "update")]

    def _muon_phases(self, plan: Plan, moving: Sequence[Learning]) -> list[list[Group]]:
        """Muon's phases, those of all its weights side by side."""
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
            operands = tuple(role and roles.get(role, role) for role in phase.operands)
            instruction = Instruction(phase.kernel, phase.spec, operands, "update")
            chunk = max(1, phase.items)  # all of a worker's items at once
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
        found = []
        for parameter in parameters:
            spec = Accumulation(parameter.size // group.items, self.accumulate)
            total = plan.buffer(self._gradient(parameter), parameter.size * _FLOAT, Scope.SHARED)
            operands = (f"{parameter.name}.gradient", total, "step")
            found.append(Instruction(accumulate_gradient, spec, operands, "update"))
        return found

    def _norm(self, plan: Plan, moving: Sequence[Learning]) -> list[list[Group]]:
        """Every item's sum of squares, then the factor that clips."""
        counts = [(p, group.items) for ps, group in moving for p in ps]
        total = sum(items for _, items in counts)
        plan.buffer("squares", total * _DOUBLE, Scope.SHARED)
        for name in ("limit", "clip"):
            plan.buffer(name, _DOUBLE, Scope.SHARED)
        groups, at = [], 0
        for parameter, items in counts:
            part = plan.part("squares", at * _DOUBLE)
            spec = Squares(parameter.size // items)
            operands = (self._gradient(parameter), part)
            instruction = Instruction(square_sums, spec, operands, "update")
            groups.append(Group([instruction], items, every=self.accumulate))
            at += items
        of_all = ("squares", "limit", "clip")
        factor = Instruction(clip_factor, Clipping(total), of_all, "update")
        return [groups, [Group([factor], 1, every=self.accumulate)]]
