"""Settings in TOML: recipes and the ``config.toml`` of a run.

Python can read TOML but not write it; tomli-w, by the author of that reader, does.
"""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from neocog.errors import FormatError, printable
from neocog.files import read_bytes

__all__ = ["parse_toml", "read_toml", "write_toml"]

# A recipe with every setting has 2 kB. The time of Python's reader grows with the square of the
# number of parts of a dotted key, so that number is limited, too.
_MOST_BYTES = 65_536
_MOST_DOTS = 100


def write_toml(description: dict[str, Any]) -> str:
    """Plain data as TOML. TOML has no None, so None is left out and must be the default."""
    return tomli_w.dumps(_without_none(description))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: of the file.
        what: for messages, what the file is, such as "recipe".

    Raises:
        FormatError: there is no such file, or it is not TOML.
    """
    try:
        return parse_toml(read_bytes(path, _MOST_BYTES))
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        why = printable(str(error), 500)
        raise FormatError(f"{path} is no {what}: {why.removesuffix('.')}.") from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML; raises `ValueError` or `RecursionError` if it is malformed."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16; save it as UTF-8")
    text = content.decode("utf-8-sig")  # some editors on Windows write a byte-order mark
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)
