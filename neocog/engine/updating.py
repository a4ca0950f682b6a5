"""What moves the parameters: which kernel updates each, and what it keeps.

`Updating` knows the optimiser; `Builder.learn_now` asks it for each parameter's instruction.
"""

from dataclasses import dataclass
from typing import Any

from neocog.engine.plan import Instruction, Plan, Scope
from neocog.engine.tensor import Parameter
from neocog.kernels.update import Update, adam_step, sgd_step

__all__ = ["OPTIMISER_STATE", "Updating"]

_FLOAT = 4

#: Per kind of optimiser: its kernel, the arrays it keeps for a parameter, whether it counts steps.
OPTIMISER_STATE: dict[str, tuple[Any, tuple[str, ...], bool]] = {
    "sgd": (sgd_step, ("velocity",), False),
    "adam": (adam_step, ("mean", "square"), True),
}


@dataclass(frozen=True)
class Updating:
    """The kind of optimiser."""

    kind: str

    def instruction(self, plan: Plan, parameter: Parameter, item: int) -> Instruction:
        """The optimiser's step for a parameter whose items are so many floats."""
        kernel, state, counts = OPTIMISER_STATE[self.kind]
        name = parameter.name
        size = parameter.size * _FLOAT
        plan.buffer("settings", 4 * 8, Scope.SHARED)
        kept = [plan.buffer(f"{name}.{s}", size, Scope.SHARED) for s in state]
        operands = (name, f"{name}.gradient", "settings", *kept, *(["step"] if counts else []))
        return Instruction(kernel, Update(item), operands, "update")
