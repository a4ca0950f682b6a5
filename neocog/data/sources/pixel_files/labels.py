"""Labels of arrays, in the forms in which people keep them, as the numbers of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_array
from neocog.class_names import class_names
from neocog.data.sources.base import in_order
from neocog.errors import ArchitectureError, DataError, did_you_mean, printable
from neocog.validation import shown

__all__ = ["as_label_column", "number_labels"]

_MOST_LABEL = 2**62


def as_label_column(labels: Any, count: int, what: str = "labels") -> NDArray[Any]:
    """One label for each image: int64 [n], or texts [n] of Python's kind.

    Args:
        labels: numbers or texts, [n] or [n, 1], or a column for each class that is 1 for the
            image's own and else 0; an array, a tensor or a list.
        count: images.
        what: how they are called in a message.

    Raises:
        DataError: other numbers, another shape, or something else.
    """
    found = _column(labels, what)
    if len(found) != count:
        raise DataError(f"{what} must be {count:,}, one for each image; there are {len(found):,}.")
    if found.dtype.kind in "OU":
        return found
    if found.dtype.kind == "f" and np.isfinite(found).all() and (found == np.rint(found)).all():
        found = found.astype(np.int64) if abs(found).max(initial=0) < _MOST_LABEL else found
    if found.dtype.kind not in "iu" or (len(found) and int(found.max()) >= _MOST_LABEL):
        raise DataError(
            f"{what} must be whole numbers or names of classes, not {found.dtype} "
            f"{list(found.shape)}."
        )
    return found.astype(np.int64, copy=False)


def number_labels(
    labels: Mapping[str, NDArray[Any]], classes: Sequence[str] | None = None, what: str = "labels"
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """The classes of several parts, and their labels as numbers of these.

    Args:
        labels: of each part, as `as_label_column` gives them.
        classes: for labels that are numbers, the names of class 0, 1, …; for names, all of them in
            their order. Without it, classes are the labels that there are, by value or by name.
        what: how the labels are called in a message.

    Raises:
        DataError: numbers in one part and names in another, or a label that is no class.
    """
    kinds = {column.dtype.kind in "OU" for column in labels.values()}
    if len(kinds) > 1:
        raise DataError(f"{what} must be names of classes in all parts, or numbers in all.")
    try:
        given = None if classes is None else class_names(classes)
        if kinds == {True}:
            there = {one for column in labels.values() for one in column.tolist()}
            known = class_names(in_order(there)) if given is None else given
            return known, _by_name(labels, known, what)
        there_numbers = np.unique(np.concatenate(list(labels.values())))
        if given is None:
            known = class_names(there_numbers.tolist())
            return known, {
                part: np.searchsorted(there_numbers, column) for part, column in labels.items()
            }
    except ArchitectureError as error:
        raise DataError(str(error)) from None
    wrong = [one for one in there_numbers.tolist() if not 0 <= one < len(given)]
    if wrong:
        raise DataError(
            f"{what} has {wrong[0]}, but there are {len(given)} classes, whose numbers are 0 to "
            f"{len(given) - 1}."
        )
    return given, dict(labels)


def _by_name(
    labels: Mapping[str, NDArray[Any]], known: tuple[str, ...], what: str
) -> dict[str, NDArray[np.int64]]:
    numbers = {one: number for number, one in enumerate(known)}
    found = {}
    for part, column in labels.items():
        names = column.tolist()
        odd = next((one for one in names if one not in numbers), None)
        if odd is not None:
            raise DataError(
                f"{what} has {printable(odd, 100)!r}, which is none of the classes."
                f"{did_you_mean(odd, known)}"
            )
        found[part] = np.array([numbers[one] for one in names], np.int64)
    return found


def _column(labels: Any, what: str) -> NDArray[Any]:
    """One axis, of numbers as they are or of Python's texts."""
    if isinstance(labels, list | tuple | range):
        texts = sum(isinstance(one, str) for one in labels)
        if texts and texts < len(labels):
            raise _wrong(labels, what)
        if texts:
            return np.array([str(one) for one in labels], object)
        try:
            found: NDArray[Any] = np.array(labels)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise _wrong(labels, what) from None
    else:
        found = as_array(labels, what)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    elif found.ndim == 2 and found.dtype.kind in "biuf":
        return _of_columns(found, what)
    if found.ndim != 1:
        raise _wrong(found, what)
    if found.dtype.kind == "U":
        found = found.astype(object)
    if found.dtype.kind == "O" and not all(type(one) is str for one in found.tolist()):
        raise _wrong(labels, what)
    return found.astype(np.int64) if not len(found) else found


def _of_columns(found: NDArray[Any], what: str) -> NDArray[np.int64]:
    ones = found == 1
    if not ((ones | (found == 0)).all() and (ones.sum(axis=1) == 1).all()):
        raise DataError(
            f"{what} must be one for each image, or a column for each class with one 1 in each "
            f"row; {list(found.shape)} has other numbers, or several classes for an image."
        )
    numbers: NDArray[np.int64] = ones.argmax(axis=1).astype(np.int64)
    return numbers


def _wrong(found: Any, what: str) -> DataError:
    is_array = isinstance(found, np.ndarray)
    text = f"{found.dtype} {list(found.shape)}" if is_array else shown(found)
    return DataError(f"{what} must be a number or a name of a class for each image, not {text}.")
