"""Blocks of unrolled vector code.

In a convolution, LLVM's own vectorizer reaches a fifth of
the processor's peak; code that plans its registers reaches four fifths. So the inner part of every
kernel is a *block*: a Python function that emits straight-line vector code through an `Emitter`
while Numba compiles. Its loops are unrolled, with the spec's constants as bounds. The loops around
a block are ordinary Numba code.

    @block(accumulators)
    def add_row(emit, spec, acc, x):            # emit: Emitter, the rest after spec: values
        return [emit.add(a, emit.load(x, i * LANES)) for i, a in enumerate(acc)]

    acc = add_row(spec, acc, x)                 # in a kernel

Values are pointers, integers (as `Number`), truth values (as `Flag`), vectors, tuples of these, or
another spec. Attributes of a spec that are not constants are numbers, too (`compiler.spec`).
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.emitter import Emitter
from neocog.kernels.codegen.numbers import Flag, Number
from neocog.kernels.codegen.vector_types import I64

__all__ = ["accumulators", "block", "nothing"]


def accumulators(spec: Any, *arguments: Any) -> Any:
    """For `block`: the result has the type of the first argument that is a tuple of vectors."""
    return next(a for a in arguments if isinstance(a, types.UniTuple))


def nothing(spec: Any, *arguments: Any) -> Any:
    """For `block`: there is no result."""
    return types.void


def _unpacked(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """A kernel's value as blocks see it."""
    if isinstance(kind, types.BaseTuple):
        parts = enumerate(kind)
        return [
            _unpacked(context, builder, part, builder.extract_value(value, n)) for n, part in parts
        ]
    if hasattr(kind, "unpacked"):
        return kind.unpacked(context, builder, value)
    if isinstance(kind, types.Integer):
        return Number(builder, builder.sext(value, I64) if value.type != I64 else value)
    return Flag(builder, value) if isinstance(kind, types.Boolean) else value


def block(returns: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an emitting function callable from kernels as ``function(spec, *values)``.

    Args:
        returns: the Numba result type as a function of (spec, *types of the values).
    """

    def decorate(emit: Callable[..., Any]) -> Any:
        # Numba needs an intrinsic's parameters by name, hence the generated signature.
        count = emit.__code__.co_argcount - 2
        names = [f"value{i}" for i in range(count)]

        def typed(typing_context: Any, spec: Any, *values: Any) -> Any:
            result = returns(spec.constants_view(), *values)
            signature = result(spec, *values)

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                pairs = zip(signature.args, arguments, strict=True)
                values = (_unpacked(context, builder, kind, value) for kind, value in pairs)
                out = emit(Emitter(builder), *values)
                if isinstance(signature.return_type, types.UniTuple):
                    return cgutils.pack_array(builder, out)
                return context.get_dummy_value() if out is None else out

            return signature, generate

        space: dict[str, Any] = {"typed": typed}
        listed = ", ".join(["typing_context", "spec", *names])
        exec(f"def {emit.__name__}({listed}):\n    return typed({listed})\n", space)  # noqa: S102
        function = space[emit.__name__]
        function.__doc__ = emit.__doc__
        function.__module__ = emit.__module__
        return intrinsic(function)

    return decorate
