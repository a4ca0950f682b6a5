"""Parts of a kernel that are compiled only for the specs that ask for them.

An `if` on a spec's constant costs nothing at run time, but Numba compiles both branches. A part
that takes a second to compile is chosen by the spec's type instead:

    coloring = optional(lambda spec: spec.colored, change_colors, leave_colors)

    coloring(spec)(spec, x)                    # in a kernel: calls one of the two functions
"""

from collections.abc import Callable
from typing import Any

from numba import typeof
from numba.extending import intrinsic

__all__ = ["optional"]


def optional(asked: Callable[[Any], bool], function: Any, otherwise: Any) -> Any:
    """A choice between two `inlined` functions, for calls in a kernel with its spec.

    Args:
        asked: whether a spec uses `function`.
        function: compiled if it does.
        otherwise: compiled if it does not; has the same arguments and result.
    """

    @intrinsic
    def choose(typing_context, spec):
        kind = typeof(function if asked(spec.constants_view()) else otherwise)

        def generate(context, builder, signature, arguments):
            return context.get_dummy_value()

        return kind(spec), generate

    return choose
