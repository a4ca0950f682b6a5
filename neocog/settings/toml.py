"""Settings in TOML: recipes and the ``config.toml`` of a run.

Python reads TOML and does not write it: tomli-w does, which is the reader's author's own.
"""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from neocog.errors import FormatError, printable
from neocog.files import read_bytes

__all__ = ["parse_toml", "read_toml", "write_toml"]

# A recipe with every setting has 2 kB. Python's reader takes a time that grows with the square of
# the parts of a dotted key, so these are few, too.
_MOST_BYTES = 65_536
_MOST_DOTS = 100


def write_toml(description: dict[str, Any]) -> str:
    """Plain data as TOML, which has no None: what is None is left out, so it must be a default."""
    return tomli_w.dumps(_without_none(description))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """What a file of TOML says.

    Args:
        path: of the file.
        what: it is, for messages: "recipe".

    Raises:
        FormatError: there is no such file, or it is no TOML.
    """
    try:
        return parse_toml(read_bytes(path, _MOST_BYTES))
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        why = printable(str(error), 500)
        raise FormatError(f"{path} is no {what}: {why.removesuffix('.')}.") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """What TOML says; raises `ValueError` or `RecursionError` if it is none."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16; save it as UTF-8")
    text = content.decode("utf-8-sig")  # some editors on Windows begin a file with a mark
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)
