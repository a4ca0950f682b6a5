"""Writes predictions as lines for people, JSON, JSON lines or CSV, to stdout or a file.

With a threshold, the answer for a picture whose most probable class has less is "none of these":
its ``label`` is null, or empty in CSV, and ``guess`` has the most probable class.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from neocog.answers import Best, answered, is_none, threshold_fields, top_fields
from neocog.errors import NeocogError
from neocog.files import writing
from neocog.write_errors import why_not_written

__all__ = ["FORMATS", "Writer", "output_to", "writer_of"]


class Writer(Protocol):
    """Writes the results of one picture after another."""

    def begin(self) -> None:
        """Write what comes before the first picture."""

    def write(self, name: str, result: Any, error: str | None, /) -> None:
        """Write a picture's result, or None and why it could not be read."""

    def end(self) -> None:
        """Write what comes after the last picture."""


class _Lines:
    def __init__(self, out: TextIO, _top: int, threshold: float | None) -> None:
        self._out = out
        self._threshold = threshold

    def begin(self) -> None:
        """Nothing."""

    def write(self, name: str, best: Best | None, error: str | None) -> None:
        """Write a line; pictures that could not be read are reported on stderr."""
        if best is not None:
            shown = ", ".join(f"{label} {100 * p:.1f} %" for label, p in best)
            if is_none(best, self._threshold):
                shown = f"none of these (best guess: {shown})"
            self._out.write(f"{name}: {shown}\n")

    def end(self) -> None:
        """Nothing."""


class _JsonArray:
    def __init__(self, out: TextIO, _top: int, threshold: float | None) -> None:
        self._out = out
        self._threshold = threshold
        self._before = ""

    def begin(self) -> None:
        """The bracket."""
        self._out.write("[")

    def write(self, name: str, best: Best | None, error: str | None) -> None:
        """Write an element of the array."""
        found = answered(name, best or [], error, self._threshold)
        self._out.write(self._before + json.dumps(found))
        self._before = ", "

    def end(self) -> None:
        """Write the closing bracket."""
        self._out.write("]\n")


class _JsonLines:
    def __init__(self, out: TextIO, _top: int, threshold: float | None) -> None:
        self._out = out
        self._threshold = threshold

    def begin(self) -> None:
        """Nothing."""

    def write(self, name: str, best: Best | None, error: str | None) -> None:
        """Write an object on a line."""
        found: dict[str, object] = {"file": name}
        if best is not None:
            label, probability = best[0]
            found |= {"label": label, "probability": probability}
            found |= threshold_fields(best, self._threshold) | {"top": top_fields(best)}
        else:
            found["error"] = error
        self._out.write(json.dumps(found) + "\n")

    def end(self) -> None:
        """Nothing."""


class _Csv:
    def __init__(self, out: TextIO, top: int, threshold: float | None) -> None:
        self._rows = csv.writer(out, lineterminator="\n")
        self._top = top
        self._threshold = threshold

    def begin(self) -> None:
        """Write the names of the columns."""
        more = [f"{word}_{k}" for k in range(2, self._top + 1) for word in ("label", "probability")]
        guess = ["guess"] if self._threshold is not None else []
        self._rows.writerow(["file", "label", "probability", *more, *guess, "error"])

    def write(self, name: str, best: Best | None, error: str | None) -> None:
        """A row."""
        cells = [cell for label, p in best or [] for cell in (label, f"{p:.6g}")]
        cells += [""] * (2 * self._top - len(cells))
        if self._threshold is not None:
            cells.append(cells[0])  # the guess
            if best is not None and is_none(best, self._threshold):
                cells[0] = ""
        self._rows.writerow([name, *cells, error or ""])

    def end(self) -> None:
        """Nothing."""


#: The writers by format.
FORMATS: dict[str, type[_Lines] | type[_JsonArray] | type[_JsonLines] | type[_Csv]] = {
    "lines": _Lines,
    "json": _JsonArray,
    "jsonl": _JsonLines,
    "csv": _Csv,
}


def writer_of(format_: str, out: TextIO, top: int, threshold: float | None = None) -> Writer:
    """The writer of a format.

    Args:
        format_: one of `FORMATS`.
        out: the stream to write to.
        top: number of classes per picture.
        threshold: the probability that an answer needs; None if every picture gets an answer.
    """
    return FORMATS[format_](out, top, threshold)


@contextmanager
def output_to(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears only when everything has been written.

    Raises:
        NeocogError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        with writing(path) as file:
            # Names of files can be any bytes, which are written unchanged.
            text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
            yield text
            text.flush()
            text.detach()
    except OSError as error:
        raise NeocogError(why_not_written(path, error)) from error
