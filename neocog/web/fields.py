"""The fields of a request's JSON, each checked for its type and its bounds."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.page.numbers import number as written
from neocog.http.refusal import RefusedError
from neocog.validation import shown
from neocog.web.about import MOST_WEIGHT

__all__ = ["asked_channel", "listed", "number", "only", "read_json", "text", "told", "whole"]

Body = Mapping[str, Any]


def told(value: object) -> str:
    """A value as its sender wrote it."""
    return "null" if value is None else shown(value)


def read_json(content: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; {} if the body is empty.

    Raises:
        RefusedError: the body is not a JSON object.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        body = json.loads(content.decode() or "{}", parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The request is not JSON: {error!s:.100}.") from None
    if not isinstance(body, dict):
        raise RefusedError('The request must be a JSON object, such as {"index": 3}.')
    return body


def only(body: Body, *known: str) -> None:
    """Raise `RefusedError` for a field that is not among `known`."""
    for key in body:
        if key not in known:
            wanted = f"Known: {', '.join(known)}." if known else "This request takes no fields."
            raise RefusedError(f"There is no field {shown(key)}. {wanted}")


def whole(body: Body, key: str, low: int, high: int) -> int:
    """The field `key`, a whole number from `low` to `high`."""
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RefusedError(f"{key} (={told(value)}) must be a whole number from {low} to {high}.")
    return value


def number(body: Body, key: str, low: float, high: float, *, below: bool = False) -> float:
    """The field `key`, a number from `low` to `high`; with `below`, less than `high`."""
    value = body.get(key)
    holds = isinstance(value, int | float) and _is_number(value) and low <= value <= high
    if not holds or (below and value == high):
        end = f"and below {written(high)}" if below else f"to {written(high)}"
        raise RefusedError(f"{key} (={told(value)}) must be a number from {written(low)} {end}.")
    return float(value)  # type: ignore[arg-type]


def asked_channel(query: Mapping[str, str]) -> tuple[str, int, int]:
    """The layer, the channel and the output in an address's query; without numbers they are 0."""
    if "layer" not in query:
        raise RefusedError("layer is missing: name one, as in ?layer=conv1&channel=3.")
    found = []
    for key in ("channel", "output"):
        value = query.get(key, "0")
        if not (value.isascii() and value.isdecimal()) or len(value) > 9:
            raise RefusedError(f"{key} (={shown(value)}) must be a whole number.")
        found.append(int(value))
    return query["layer"], found[0], found[1]


def text(body: Body, key: str, *choices: str) -> str:
    """The field `key`, one of some words."""
    value = body.get(key)
    if value not in choices or not isinstance(value, str):
        raise RefusedError(f"{key} (={told(value)}) must be one of: {', '.join(choices)}.")
    return value


def listed(body: Body, key: str, most: int) -> NDArray[np.float64]:
    """The field `key`, nested lists of at most `most` numbers in the bounds of weights."""
    value = body.get(key)
    shape, at = [], value
    while isinstance(at, list):
        shape.append(len(at))
        at = at[0] if at else None
    if not shape or len(shape) > 4 or not 0 < math.prod(shape) <= most:
        raise RefusedError(f"{key} must be lists of numbers, at most {most} in all.")
    flat = _flat(value, shape)
    if flat is None:
        raise RefusedError(f"{key} must be lists of equal length with finite numbers.")
    return np.array(flat, np.float64).reshape(shape)


def _flat(value: Any, shape: list[int]) -> list[float] | None:
    """The numbers in order; None if the lists have another shape or hold something else."""
    rows = [value]
    for size in shape:
        if not all(isinstance(row, list) and len(row) == size for row in rows):
            return None
        rows = [each for row in rows for each in row]
    return rows if all(_is_number(n) and abs(n) <= MOST_WEIGHT for n in rows) else None


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )
