"""Parts of a kernel that are compiled only for the specs that ask for them.

An `if` on a spec's constant costs nothing when the kernel runs, but Numba compiles both sides. A
part that takes a second to compile is chosen by the spec's type instead:

    coloring = optional(lambda s: s.colored, change_colors, leave_colors)

    coloring(s)(s, x)                          # in a kernel: one of the two functions is called
"""

from collections.abc import Callable
from typing import Any

from numba import typeof
from numba.extending import intrinsic

__all__ = ["optional"]


def optional(asked: Callable[[Any], bool], function: Any, otherwise: Any) -> Any:
    """A choice between two functions marked `inlined`, to be called with the spec in a kernel.

    Args:
        asked: whether a spec wants `function`.
        function: what is compiled if it does.
        otherwise: what is compiled if it does not; takes and gives the same.
    """

    @intrinsic
    def choose(typing_context, spec):
        kind = typeof(function if asked(spec.value) else otherwise)

        def generate(context, builder, signature, arguments):
            return context.get_dummy_value()

        return kind(spec), generate

    return choose
