"""Reads a table's column of labels: names of classes, or their numbers."""

from collections.abc import Collection
from math import isfinite

from neocog.class_names import class_names
from neocog.errors import ArchitectureError, DataError, printable

__all__ = ["LabelReader", "order_of_classes"]

# More fractional numbers than this, or more texts that are nearly all distinct, are no classes.
_MOST_MEASURES = 100
_MOST_SINGLES = 100


class LabelReader:
    """Converts the texts in a column to names of classes.

    Args:
        classes: names by number; None if the texts are names themselves.
    """

    def __init__(self, classes: tuple[str, ...] | None = None) -> None:
        self._classes = classes
        self._names: dict[str, str | None] = {}

    def name(self, text: str) -> str | None:
        """The class of a text; None if it means that there is no label.

        Raises:
            DataError: it cannot be the name of a class; the message continues "the label".
        """
        if text not in self._names:
            self._names[text] = self._checked(text)
        return self._names[text]

    def _checked(self, text: str) -> str | None:
        if not text or (self._classes is not None and text == "-1"):  # as in Hugging Face's data
            return None
        if self._classes is not None:
            number = int(text) if text.isdecimal() and len(text) < 10 else -1
            if not 0 <= number < len(self._classes):
                raise DataError(
                    f"'{printable(text, 40)}' is not the number of a class, "
                    f"0 to {len(self._classes) - 1}"
                )
            return self._classes[number]
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"'{printable(text, 40)}' is not UTF-8: save the table as UTF-8"
            ) from error
        try:
            return class_names([text])[0]
        except ArchitectureError as error:
            raise DataError(
                f"'{printable(text, 40)}' cannot be the name of a class: it is too long, or has "
                "a line break or another character that is not shown"
            ) from error


def order_of_classes(names: Collection[str], pictures: int, column: str) -> list[str] | None:
    """The classes in order of their values, if all are numbers; None for the usual order.

    Args:
        names: distinct names of the classes.
        pictures: number of pictures.
        column: the column, as the beginning of a sentence: "labels.csv: the column 'x'".

    Raises:
        DataError: there are so many that they cannot be classes.
    """
    values = _values(names)
    measures = values is not None and not all(one.lstrip("-").isdecimal() for one in names)
    most = _MOST_MEASURES if measures else max(_MOST_SINGLES, pictures // 2)
    if len(names) > most:
        kind = "numbers, as if it were measured" if measures else "labels"
        raise DataError(
            f"{column} has for {pictures:,} pictures {len(names):,} different {kind}, and each "
            'would be a class. Name a column of classes: --label-column NAME (label_column="NAME").'
        )
    return sorted(names, key=values.__getitem__) if measures and values else None


def _values(names: Collection[str]) -> dict[str, float] | None:
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return None
    return values if all(map(isfinite, values.values())) else None
