"""Functions that Python calls with arrays and integers, compiled and kept as kernels are.

    @python_function(values=int64[::1], count=int64)
    def count_up(given):                       # given.values is an array, given.count an integer
        ...

    count_up(values, 7)

Numba's own way from Python to machine code needs Numba's runtime, which takes a third of a second
to load. Here machine code gets a single table of words, with the addresses and shapes of arrays and
with integers (`operands`). `call` fills it once for many calls, because that takes a microsecond or
two. ctypes releases Python's lock during a call.

Such a function returns an integer, or nothing. It allocates no memory.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

from neocog.kernels.compiler.jit import Compilable, awaited_kernel

__all__ = ["Call", "PythonFunction", "python_function"]

# Numba's convention: the places of the result and of an error, then the arguments; returns 0 unless
# there was an error.
_Entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class PythonFunction(Compilable):
    """A function of one argument, the table of its operands, that Python calls with operands."""

    _entry: Any = None

    def __init__(self, function: Any, operands: Mapping[str, Any]) -> None:
        super().__init__(function, operands)
        # Found out once, because Numba takes some microseconds.
        self._kinds = [
            (name, as_dtype(kind.dtype), kind.ndim)
            if isinstance(kind, types.Array)
            else (name, as_dtype(kind), 0)
            for name, kind in operands.items()
        ]

    def signature(self, spec: None = None) -> tuple[Any, ...]:
        """The Numba type of its argument; it has no spec."""
        return (self.operands_type,)

    def compile(self) -> None:
        """Load or compile it."""
        if self._entry is None:
            self._entry = _Entry(awaited_kernel(self, None).address)

    def words(self, operands: Sequence[Any]) -> list[int]:
        """The table of operands, of which arrays must stay alive while it is used.

        Raises:
            TypeError: an operand is not of its type.
        """
        words = []
        for (name, dtype, axes), given in zip(self._kinds, operands, strict=True):
            if axes == 0:
                value = index(given)
                words.append(value - 2**64 if value >= 2**63 and dtype.kind == "u" else value)
                continue
            fits = isinstance(given, np.ndarray) and given.flags.c_contiguous
            if not fits or given.dtype != dtype or given.ndim != axes:
                wanted = f"a contiguous array of {axes} axes of {dtype}"
                raise TypeError(f"{name} of {self.__name__} must be {wanted}: {_shown(given)}")
            # given.ctypes.data takes twice as long.
            words += given.__array_interface__["data"][0], *given.shape
        return words

    def call(self, *operands: Any) -> "Call":
        """A call with these operands, to be made as often as one likes."""
        self.compile()
        return Call(self, self.words(operands), operands)

    def __call__(self, *operands: Any) -> int:
        """Call it; returns its result."""
        return self.call(*operands)()


class Call:
    """A call of a function; threads need one each.

    Args:
        function: what is called; it is compiled.
        words: the numbers of the table of operands.
        held: the arrays that it refers to.
    """

    def __init__(self, function: PythonFunction, words: Sequence[int], held: object) -> None:
        self._name, self._entry, self._held = function.__name__, function._entry, held
        self._places = function.operands_type.places
        self._words = (ctypes.c_int64 * (len(words) + 2))(*words)
        address = ctypes.addressof(self._words)
        after = address + 8 * len(words)
        self._arguments = after, after + 8, address

    def set(self, name: str, value: int) -> None:
        """Change an integer."""
        self._words[self._places[name]] = value

    def __call__(self) -> int:
        """Make the call; returns its result."""
        if self._entry(*self._arguments):
            raise SystemError(f"{self._name} has failed, which is a mistake in neocog.")
        return self._words[-2]


def python_function(**operands: Any) -> Callable[[Any], PythonFunction]:
    """Declare a function's operands: their names and types, in the order of its calls."""
    return lambda function: PythonFunction(function, operands)


def _shown(given: Any) -> str:
    if isinstance(given, np.ndarray):
        order = "" if given.flags.c_contiguous else ", not contiguous"
        return f"an array of {given.ndim} axes of {given.dtype}{order}"
    return type(given).__name__
