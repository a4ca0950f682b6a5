"""Files written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["write_bytes", "writing"]


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it changes only once the ``with`` block is done.

    The bytes go to a temporary file in the same folder, reach the disk, and then take the place of
    `path` in one step. If anything fails, also an interrupt, the temporary file is removed and
    `path` stays as it was. A symbolic link keeps pointing where it did.

    Raises:
        OSError: if the folder is missing or cannot be written to, or the disk is full.
    """
    target = Path(path).resolve()
    # Not the tempfile module: its files are closed to everyone else, whatever the user's umask.
    temporary = target.with_name(f".neocog-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Make `data` the content of `path`, whole or not at all; raises as `writing` does."""
    with writing(path) as file:
        file.write(data)
