"""Writes predictions of several labels a picture, and of numbers, in `prediction_output`'s formats.

A line has the labels whose probability is the threshold at least, the likeliest first, or the
number. JSON has what `neocog.answers` says. A row of CSV has the labels, parted by semicolons, and
the probability of each; or the number.
"""

import csv
import json
from collections.abc import Sequence
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from neocog.answers import answer_of, given_labels, text_of
from neocog.cli.prediction_output import Writer
from neocog.losses import gives_numbers

__all__ = ["target_writer_of"]

Row = NDArray[np.float32]


class _Answers:
    """What there is to say of a row of outputs.

    Args:
        names: of the outputs.
        loss: that the network was trained by.
        top: number of labels with their probabilities.
        threshold: the probability that a label needs; None for the usual one.
    """

    def __init__(
        self, names: tuple[str, ...], loss: str, top: int, threshold: float | None
    ) -> None:
        self.names = names
        self.are_numbers = gives_numbers(loss)
        self._loss, self._top, self._threshold = loss, top, threshold

    def as_data(self, name: str, row: Row | None, error: str | None) -> dict[str, object]:
        if row is None:
            return {"image": name, "error": error}
        return answer_of(name, row, self.names, self._loss, self._top, self._threshold)

    def as_text(self, row: Row) -> str:
        return text_of(row, self.names, self._loss, self._threshold)

    def as_cells(self, row: Row) -> list[str]:
        numbers = [f"{number:.6g}" for number in row.tolist()]
        if self.are_numbers:
            return numbers
        given = given_labels(row, self.names, self._threshold)
        return [";".join(name for name, _p in given), *numbers]


class _Lines:
    def __init__(self, out: TextIO, answers: _Answers) -> None:
        self._out, self._answers = out, answers

    def begin(self) -> None:
        """Nothing."""

    def write(self, name: str, row: Row | None, error: str | None) -> None:
        """Write a line; pictures that could not be read are reported on stderr."""
        if row is not None:
            self._out.write(f"{name}: {self._answers.as_text(row)}\n")

    def end(self) -> None:
        """Nothing."""


class _JsonArray(_Lines):
    _before = ""

    def begin(self) -> None:
        """The bracket."""
        self._out.write("[")

    def write(self, name: str, row: Row | None, error: str | None) -> None:
        """Write an element of the array."""
        self._out.write(self._before + json.dumps(self._answers.as_data(name, row, error)))
        self._before = ", "

    def end(self) -> None:
        """Write the closing bracket."""
        self._out.write("]\n")


class _JsonLines(_Lines):
    def write(self, name: str, row: Row | None, error: str | None) -> None:
        """Write an object on a line."""
        found = self._answers.as_data(name, row, error)
        self._out.write(json.dumps({"file": found.pop("image"), **found}) + "\n")


class _Csv(_Lines):
    def begin(self) -> None:
        """Write the names of the columns."""
        self._row("file", self._head, "error")

    def write(self, name: str, row: Row | None, error: str | None) -> None:
        """A row."""
        cells = [""] * len(self._head) if row is None else self._answers.as_cells(row)
        self._row(name, cells, error or "")

    @property
    def _head(self) -> list[str]:
        names = list(self._answers.names)
        return names if self._answers.are_numbers else ["labels", *names]

    def _row(self, first: str, cells: Sequence[str], last: str) -> None:
        csv.writer(self._out, lineterminator="\n").writerow([first, *cells, last])


_FORMATS = {"lines": _Lines, "json": _JsonArray, "jsonl": _JsonLines, "csv": _Csv}


def target_writer_of(
    format_: str,
    out: TextIO,
    names: tuple[str, ...],
    loss: str,
    top: int,
    threshold: float | None,
) -> Writer:
    """The writer of a format, one of `prediction_output.FORMATS`.

    Args:
        format_: the format.
        out: the stream to write to.
        names: of the outputs.
        loss: that the network was trained by.
        top: number of labels with their probabilities, in JSON.
        threshold: the probability that a label needs; None for the usual one.
    """
    return _FORMATS[format_](out, _Answers(names, loss, top, threshold))
