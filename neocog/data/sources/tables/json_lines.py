"""Tables as JSON lines: one object per line, whose keys are the columns."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neocog.data.sources.tables.text_lines import TextMember, text_lines
from neocog.errors import DataError, printable

__all__ = ["JsonLinesTable"]

_CONSTANTS = {True: "true", False: "false", None: ""}


class JsonLinesTable:
    """A table of JSON lines, see `Table`; its columns are the keys of the first object.

    Numbers are read as the text in the file.

    Args:
        path: of the file.
        lists: whether a value may be a list of texts, which becomes one with semicolons between.

    Raises:
        DataError: it cannot be read, or its first line is no object.
    """

    unit = "line"
    named = True

    def __init__(self, path: Path | TextMember, *, lists: bool = False) -> None:
        self.name = printable(path.name)
        self._path, self._lists = path, lists
        first = next(self._objects(), None)
        if first is None:
            raise DataError(f"{self.name} is empty.")
        self.columns = list(first[1])
        self.first = [value if isinstance(value, str) else "" for value in first[1].values()]

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """As `Table.rows`."""
        keys = [self.columns[place] for place in columns]
        for line, found in self._objects():
            texts = []
            for key in keys:
                if key not in found:
                    raise DataError(
                        f"{self.name}, line {line:,}: it has no '{printable(key)}', which the "
                        "first line has. Add it, or remove the line."
                    )
                value = found[key]
                if self._lists and isinstance(value, list) and all(map(_is_text, value)):
                    value = ";".join(value)
                if isinstance(value, list | dict):
                    kind = "a list" if isinstance(value, list) else "an object"
                    raise DataError(
                        f"{self.name}, line {line:,}: '{printable(key)}' is {kind}, where one text "
                        "or number is needed. Name another column, or a class for each picture."
                    )
                texts.append(value if isinstance(value, str) else _CONSTANTS[value])
            yield line, texts

    def classes(self, column: int) -> tuple[str, ...] | None:
        """None: texts are names of classes themselves."""
        return None

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(text_lines(self._path), 1):
            if not text.strip():
                continue
            try:
                found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
            except (ValueError, RecursionError) as error:
                reason = str(error) if isinstance(error, ValueError) else "it is nested too deep"
                raise DataError(
                    f"{self.name}, line {line:,}: it is no JSON: {printable(reason, 200)}."
                ) from error
            if not isinstance(found, dict):
                raise DataError(
                    f"{self.name}, line {line:,}: it must be an object such as "
                    '{"file_name": "a.png", "label": "cat"}.'
                )
            yield line, found


def _is_text(value: object) -> bool:
    return isinstance(value, str)
