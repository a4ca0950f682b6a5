"""Options of loading data: which pictures, the split, and the shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, Unpack

from neocog.class_names import class_names
from neocog.data.progress import Progress, counting
from neocog.data.sources.base import LABELS, ONE, Request
from neocog.errors import ArchitectureError, DataError
from neocog.limits import MOST_THREADS
from neocog.preprocessing import Resize
from neocog.validation import as_row, choice, instance, real, refuse, whole

__all__ = ["ON_BAD", "VALIDATION", "LoadOptions", "Options", "ReadOptions"]

#: Fraction of each class that is held out if the source has no split.
VALIDATION = 0.2
#: What to do about pictures that cannot be read.
ON_BAD = ("error", "skip")

_LONGEST_SIDE = 8192
_MOST_SEED = 2**64 - 1
# Options that select pictures or determine their classes.
_CHOOSING = ("classes", "validation", "split_seed", "file_column", "label_column", "labels")


class ReadOptions(TypedDict, total=False):
    """Keyword arguments for pictures from any source; see `neocog.load_data`."""

    size: int | tuple[int, int] | None
    channels: int | None
    resize: Resize | None
    split_seed: int
    on_bad: str
    threads: int | None
    progress: Progress | None


class Options(ReadOptions, total=False):
    """All keyword arguments of `LoadOptions`."""

    classes: Sequence[str] | None
    validation: float
    file_column: str | None
    label_column: str | None
    labels: str


@dataclass(frozen=True)
class LoadOptions:
    """Options of `neocog.load_data`, checked here and nowhere else.

    Attributes:
        size: (height, width) of the images, or one number for a square; None chooses by the
            pictures' sizes.
        channels: 1 or 3; None chooses by the pictures.
        resize: how pictures of other sizes are fitted; None chooses by the pictures.
        classes: names of the classes to use, in the order of their numbers; None uses all, sorted
            by name.
        validation: fraction of each class to hold out if the source has no split.
        split_seed: seed of that split.
        on_bad: one of `ON_BAD`.
        file_column: column of a table that has the file names; None finds it.
        label_column: column of a table that has the labels; None finds it.
        labels: what a label is, one of `neocog.data.sources.base.LABELS`.
        threads: number of threads that decode; None uses as many as this process may use.
        progress: called during long tasks.

    Raises:
        DataError: a bad value.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    resize: Resize | None = None
    classes: tuple[str, ...] | None = None
    validation: float = VALIDATION
    split_seed: int = 0
    on_bad: str = "error"
    file_column: str | None = None
    label_column: str | None = None
    labels: str = ONE
    threads: int | None = None
    progress: Progress | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            if given is not None or one.default is not None:
                object.__setattr__(self, one.name, _CHECKS[one.name](one.name, given))

    @classmethod
    def of(cls, **options: Unpack[Options]) -> "LoadOptions":
        """Options in the form in which users give them, such as one number for a size."""
        return cls(**options)  # type: ignore[arg-type]

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that select pictures and differ from the defaults, as plain data."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in _CHOOSING and value != one.default:
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def request(self) -> Request:
        """The request for a source."""
        return Request(
            self.classes,
            self.file_column,
            self.label_column,
            self.labels,
            progress=counting(self.progress, "downloading"),
        )


def _size(name: str, value: object) -> tuple[int, int]:
    wanted = f"a side from 1 to {_LONGEST_SIDE}, or a pair of them: height and width"
    sides = as_row(value)
    if sides is None:
        sides = (value, value)
    try:
        height, width = (whole(name, side, 1, _LONGEST_SIDE) for side in sides)
    except Exception:  # also for a wrong number of sides
        raise refuse(name, value, wanted, DataError) from None
    return height, width


def _channels(name: str, value: object) -> int:
    found = whole(name, value, 1, 3, wanted="1 (gray) or 3 (colors)", error=DataError)
    if found == 2:
        raise refuse(name, value, "1 (gray) or 3 (colors)", DataError)
    return found


def _classes(name: str, value: object) -> tuple[str, ...]:
    try:
        found = class_names(value)
    except ArchitectureError as error:
        raise DataError(str(error)) from None
    if not found:
        raise refuse(name, value, "a list of names; leave it out for all classes", DataError)
    if len(set(found)) < len(found):
        raise refuse(name, value, "names that differ", DataError)
    return found


def _column(name: str, value: object) -> str:
    return instance(name, value, str, "the name of a column", error=DataError)


def _progress(name: str, value: object) -> Any:
    if not callable(value):
        raise refuse(name, value, "a function of what, done and total", DataError)
    return value


_CHECKS: dict[str, Any] = {
    "size": _size,
    "channels": _channels,
    "resize": lambda name, value: instance(name, value, Resize, "a neocog.Resize", error=DataError),
    "classes": _classes,
    "validation": lambda name, value: real(
        name, value, 0, below=1, wanted="a number from 0 to below 1", error=DataError
    ),
    "split_seed": lambda name, value: whole(
        name, value, 0, _MOST_SEED, wanted="a whole number from 0 to 2**64 - 1", error=DataError
    ),
    "on_bad": lambda name, value: choice(name, value, ON_BAD, error=DataError),
    "file_column": _column,
    "label_column": _column,
    "labels": lambda name, value: choice(name, value, LABELS, error=DataError),
    "threads": lambda name, value: whole(name, value, 1, MOST_THREADS, error=DataError),
    "progress": _progress,
}
