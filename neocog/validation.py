"""Checks of arguments, one for each kind of value, which return the value to use.

Anything that is a number is accepted: Python's own, NumPy scalars, and arrays and tensors without
axes. The result is Python's own, so that two descriptions of the same thing are equal and have the
same hash, the same JSON and the same compiled kernels. True is not a number.

A float32 becomes its shortest decimal: ``np.float32(0.1)`` is 0.1, where
``float(np.float32(0.1))`` would be 0.10000000149. Both are the same float32.

All messages have the same form: ``batch_size (=0) must be a whole number from 1 to 1000000.``
"""

from collections.abc import Callable
from math import inf, isfinite
from numbers import Real
from operator import index
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from neocog.errors import NeocogError, printable

__all__ = [
    "as_real",
    "as_row",
    "as_whole",
    "choice",
    "file_path",
    "flag",
    "instance",
    "real",
    "refuse",
    "row",
    "settle",
    "shown",
    "whole",
]

T = TypeVar("T")
Error = type[NeocogError]

_LONGEST = 60
# Limits of a file's name and of its path, in bytes, on all usual file systems.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096


def shown(value: object) -> str:
    """The value for a message: its `repr`, shortened; never raises."""
    try:
        text = printable(repr(value), 10 * _LONGEST)
    except Exception:  # such as for an integer of more than 4300 digits
        return f"an object of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"


def refuse(name: str, value: object, wanted: str, error: Error = NeocogError) -> NeocogError:
    """The error to raise for a bad value."""
    return error(f"{name} (={shown(value)}) must be {wanted}.")


# Conversions; None for a value of another kind


def _plain(value: Any) -> Any:
    """A NumPy scalar, or an array or tensor without axes, as a Python number."""
    shape = getattr(value, "shape", None)
    if not (isinstance(shape, tuple) and shape == () and hasattr(value, "item")):
        return value
    dtype = getattr(value, "dtype", None)
    if not hasattr(dtype, "kind"):  # a tensor, whose repr is not that of its number
        try:
            value = _array(value)
        except Exception:  # such as for types that NumPy does not have
            return value.item()
        dtype = value.dtype
    if getattr(dtype, "kind", "") == "f" and getattr(dtype, "itemsize", 8) < 8:
        return float(str(value))
    return value.item()


def _array(value: Any) -> Any:
    from numpy import asarray  # imported on use, as the command line starts without NumPy

    return asarray(value.detach() if hasattr(value, "detach") else value)


def as_whole(value: object) -> int | None:
    """An integer, also of another type than `int`, such as ``np.int64(3)``."""
    if type(value) is int:
        return value
    value = _plain(value)
    if isinstance(value, bool):
        return None
    try:
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def as_real(value: object) -> float | None:
    """A finite number, integer or not."""
    if type(value) is float:
        return value if isfinite(value) else None
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if isfinite(number) else None


def as_row(value: Any) -> tuple[Any, ...] | None:
    """The items of a tuple, a list or an array with one axis."""
    if isinstance(value, tuple | list | range):
        return tuple(value)
    shape = getattr(value, "shape", None)
    return tuple(value) if isinstance(shape, tuple) and len(shape) == 1 else None


# Checks, which raise an error


def whole(
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    *,
    wanted: str = "",
    error: Error = NeocogError,
) -> int:
    """An integer within bounds."""
    number = as_whole(value)
    if number is None or number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise refuse(name, value, wanted or f"a whole number {bounds}", error)
    return number


def real(
    name: str,
    value: object,
    least: float = -inf,
    most: float = inf,
    *,
    above: float = -inf,
    below: float = inf,
    wanted: str = "",
    error: Error = NeocogError,
) -> float:
    """A finite number: from `least` to `most`, more than `above` and less than `below`."""
    number = as_real(value)
    if number is None or not (least <= number <= most and above < number < below):
        raise refuse(name, value, wanted or f"a number from {least:g} to {most:g}", error)
    return number


def flag(name: str, value: object, *, error: Error = NeocogError) -> bool:
    """True or False, also NumPy's."""
    if value is True or value is False:
        return value
    value = _plain(value)
    if not isinstance(value, bool):
        raise refuse(name, value, "true or false", error)
    return value


def choice(
    name: str,
    value: object,
    known: tuple[str, ...],
    *,
    wanted: str = "",
    error: Error = NeocogError,
) -> str:
    """One of several texts."""
    # Only texts are compared, as comparing with an array gives an array.
    if not isinstance(value, str) or value not in known:
        choices = [repr(one) for one in known]
        raise refuse(
            name, value, wanted or " or ".join([", ".join(choices[:-1]), choices[-1]]), error
        )
    return str(value)


def row(
    name: str,
    value: object,
    count: int,
    *,
    wanted: str,
    error: Error = NeocogError,
    **bounds: Any,
) -> tuple[float, ...]:
    """A tuple of numbers of a given length, each within the bounds of `real`."""
    values = as_row(value)
    if values is None or len(values) != count:
        raise refuse(name, value, wanted, error)
    try:
        return tuple(real(name, one, **bounds, error=error) for one in values)
    except error:
        raise refuse(name, value, wanted, error) from None


def file_path(name: str, value: object, *, error: Error = NeocogError) -> Path:
    """The path of a file or folder, not longer than file systems allow."""
    if isinstance(value, PathLike):
        value = fspath(value)
    if not isinstance(value, str) or "\0" in value:
        raise refuse(name, value, "the path of a file", error)
    parts = [len(part.encode(errors="surrogatepass")) for part in Path(value).parts]
    if max(parts, default=0) > _LONGEST_NAME or sum(parts) + len(parts) > _LONGEST_PATH:
        raise refuse(name, value, "the path of a file; this is too long for one", error)
    return Path(value)


def instance(
    name: str, value: object, kind: type[T], wanted: str, *, error: Error = NeocogError
) -> T:
    """An instance of a class; `wanted` describes it and says how to get one."""
    if not isinstance(value, kind):
        raise refuse(name, value, wanted, error)
    return value


def settle(
    owner: object, check: Callable[..., Any], *settings: str, called: str = "", **how: Any
) -> None:
    """Check fields of a frozen dataclass in its ``__post_init__``, and store the checked values.

    Args:
        owner: the instance.
        check: one of the checks above.
        *settings: names of the fields.
        called: what messages call the owner; by default its class.
        **how: further arguments of the check.
    """
    for setting in settings:
        label = f"{called or type(owner).__name__}: {setting}"
        given = getattr(owner, setting)
        value = check(label, given, **how)
        if value is not given:
            object.__setattr__(owner, setting, value)
