"""A spec's attributes are put into a kernel as numbers, before Numba looks at it.

Kernels are written `s.x.row * s.stride_h`. Left to Numba, each step of such a chain is typed, made
into code and removed again by LLVM. Folded here, it is a number from the start, and what is only
for specs of another kind is never compiled.
"""

from typing import Any

from numba.core import ir
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import build_definitions

from neocog.kernels.spec_type import SpecType

__all__ = ["FoldConstants"]


@register_pass(mutates_CFG=False, analysis_only=False)
class FoldConstants(FunctionPass):
    """Replaces whole and other numbers of static arguments by constants."""

    _name = "fold_statics"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Fold, and drop the steps of chains that nothing uses any more."""
        definitions = build_definitions(state.func_ir.blocks)
        known: dict[str, SpecType | None] = {}

        def static(variable: ir.Var) -> SpecType | None:
            """What a variable stands for, if that is static."""
            name = variable.name
            if name not in known:
                known[name] = None
                found = definitions[name]
                if len(found) == 1:
                    known[name] = _value(found[0])
            return known[name]

        def _value(given: Any) -> SpecType | None:
            found = None
            if isinstance(given, ir.Arg):
                found = state.args[given.index]
            elif isinstance(given, ir.Var):
                found = static(given)
            elif isinstance(given, ir.Expr) and given.op == "getattr":
                of = static(given.value)
                found = of and of.attribute(given.attr)
            return found if isinstance(found, SpecType) else None

        blocks = state.func_ir.blocks.values()
        for block in blocks:
            for statement in block.find_insts(ir.Assign):
                given = statement.value
                if isinstance(given, ir.Expr) and given.op == "getattr":
                    of = static(given.value)
                    constant = of and of.attribute(given.attr)
                    if of is not None and not isinstance(constant, SpecType):
                        statement.value = ir.Const(constant, statement.loc)
        self._drop_unused(blocks)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True

    @staticmethod
    def _drop_unused(blocks: Any) -> None:
        """Take out attributes that are read into a temporary variable and then not used."""
        while True:
            used = {
                variable.name
                for block in blocks
                for statement in block.body
                for variable in _read(statement)
            }
            dropped = False
            for block in blocks:
                kept = [s for s in block.body if not _is_read_in_vain(s, used)]
                dropped |= len(kept) < len(block.body)
                block.body = kept
            if not dropped:
                return


def _read(statement: Any) -> list[Any]:
    if isinstance(statement, ir.Assign):
        given = statement.value
        if isinstance(given, ir.Var):
            return [given]
        return list(given.list_vars()) if isinstance(given, ir.Inst) else []
    return list(statement.list_vars())


def _is_read_in_vain(statement: Any, used: set[str]) -> bool:
    return (
        isinstance(statement, ir.Assign)
        and statement.target.is_temp
        and statement.target.name not in used
        and isinstance(statement.value, ir.Expr)
        and statement.value.op == "getattr"
    )
