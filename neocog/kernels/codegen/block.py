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

Values are pointers to float32 or int32, integers, vectors, tuples of vectors or integers, or a
`runtime_sizes`.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neocog.kernels.codegen.emitter import Emitter

__all__ = ["accumulators", "block", "nothing"]


def accumulators(spec: Any, *arguments: Any) -> Any:
    """For `block`: the result has the type of the first argument that is a tuple of vectors."""
    return next(a for a in arguments if isinstance(a, types.UniTuple))


def nothing(spec: Any, *arguments: Any) -> Any:
    """For `block`: there is no result."""
    return types.void


def block(returns: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an emitting function callable from kernels as ``function(spec, *values)``.

    Args:
        returns: the Numba result type as a function of (spec, *types of the values).
    """

    def decorate(emit: Callable[..., Any]) -> Any:
        # Numba needs an intrinsic's parameters by name, hence the generated signature.
        count = emit.__code__.co_argcount - 2
        names = [f"value{i}" for i in range(count)]

        def unpack(context: Any, builder: Any, kind: Any, value: Any) -> Any:
            if isinstance(kind, types.BaseTuple):
                return [builder.extract_value(value, i) for i in range(kind.count)]
            if hasattr(kind, "unpacked"):
                return kind.unpacked(context, builder, value)
            return value

        def typed(typing_context: Any, spec: Any, *values: Any) -> Any:
            result = returns(spec.value, *values)
            signature = result(spec, *values)

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                pairs = zip(signature.args[1:], arguments[1:], strict=True)
                values = (unpack(context, builder, kind, value) for kind, value in pairs)
                out = emit(Emitter(builder), spec.value, *values)
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
