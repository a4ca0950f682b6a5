"""Replaces a spec's attributes by constants before Numba infers types.

Kernels are written with `spec.x.row * spec.stride_h`. Numba would infer a type and emit code for
each step of such a chain, which LLVM then removes. Folded here, it is a constant from the start,
and branches for other specs are never compiled.
"""

from typing import Any

from numba.core import ir
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import build_definitions

from neocog.kernels.compiler.spec import Size, SpecType

__all__ = ["FoldConstants"]


@register_pass(mutates_CFG=False, analysis_only=False)
class FoldConstants(FunctionPass):
    """Replaces numbers that are attributes of a spec by constants."""

    _name = "fold_statics"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Fold, and remove the attribute accesses that are then unused."""
        definitions = build_definitions(state.func_ir.blocks)
        known: dict[str, SpecType | None] = {}

        def spec_of(variable: ir.Var) -> SpecType | None:
            """The value of a variable, if it is known when compiling."""
            name = variable.name
            if name not in known:
                known[name] = None
                defined = definitions[name]
                if len(defined) == 1:
                    known[name] = _value(defined[0])
            return known[name]

        def _value(given: Any) -> SpecType | None:
            value = None
            if isinstance(given, ir.Arg):
                value = state.args[given.index]
            elif isinstance(given, ir.Var):
                value = spec_of(given)
            elif isinstance(given, ir.Expr) and given.op == "getattr":
                of = spec_of(given.value)
                value = of and of.attribute(given.attr)
            return value if isinstance(value, SpecType) else None

        blocks = state.func_ir.blocks.values()
        for block in blocks:
            for statement in block.find_insts(ir.Assign):
                given = statement.value
                if isinstance(given, ir.Expr) and given.op == "getattr":
                    of = spec_of(given.value)
                    found = of and of.attribute(given.attr)
                    if of is not None and not isinstance(found, SpecType | Size):
                        statement.value = ir.Const(found, statement.loc)
        self._drop_unused(blocks)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True

    @staticmethod
    def _drop_unused(blocks: Any) -> None:
        """Remove reads of attributes into temporary variables that nothing uses."""
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
