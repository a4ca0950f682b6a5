"""A new folder for a run: made where there is nothing, and taken away where nothing comes of it."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from neocog.errors import FormatError
from neocog.files import leftovers
from neocog.run_files import CONFIG, LOG, LR, RUN
from neocog.training.checkpoints import CHECKPOINTS
from neocog.training.run_lock import LOCK, RunLock
from neocog.training.run_process import settle

__all__ = ["check_empty", "make_folder", "not_made", "remove_empty", "take_away"]


def make_folder(path: str | Path | None, name: str) -> tuple[Path, list[Path]]:
    """Make the folder `path`, which must be new or empty, or one under ``runs``.

    Args:
        path: where, or None.
        name: of the folder, where `path` does not say it; the time is added.

    Returns:
        The folder, and all that were made for it, innermost first.

    Raises:
        FormatError: the folder holds something already, or cannot be made.
    """
    try:
        if path is None:
            return _make_named(name)
        folder = Path(path)
        if folder.exists():
            check_empty(folder)
        made = _missing(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder, made
    except OSError as error:
        raise not_made(path, error) from error


def _make_named(name: str) -> tuple[Path, list[Path]]:
    stamp, at = time.strftime("%Y%m%d-%H%M%S"), 1
    while True:
        suffix = "" if at == 1 else f"-{at}"
        folder = Path("runs") / f"{name}-{stamp}{suffix}"
        made = _missing(folder)
        try:
            folder.mkdir(parents=True)
            return folder, made
        except FileExistsError:
            at += 1


def not_made(path: str | Path | None, error: OSError) -> FormatError:
    """The error to raise for a folder that cannot be made."""
    return FormatError(
        f"The folder for the results, {path or 'runs'}, cannot be made: "
        f"{error.strerror or error}. Choose another with --out."
    )


def take_away(folder: Path, made: list[Path], lock: RunLock) -> None:
    """Remove a run without results, and the folders that were made for it."""
    with suppress(OSError):
        for name in (RUN, CONFIG, LOG, LR):
            (folder / name).unlink(missing_ok=True)
        for path in (*leftovers(folder), *folder.glob("events.*"), folder / CHECKPOINTS):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    lock.release()
    remove_empty(made)


def remove_empty(made: list[Path]) -> None:
    """Remove folders that were made for a run, as long as nothing is in them."""
    with suppress(OSError):
        for path in made:  # until one in which another run has put something
            path.rmdir()


def check_empty(folder: Path) -> None:
    """Raise `FormatError` if there is something in it, or it is no folder."""
    if folder.is_dir():
        old = leftovers(folder)
        if all(path in old or path.name == LOCK for path in folder.iterdir()):
            return
        if (stands := settle(folder)) is not None:
            raise FormatError(
                f"{folder} holds a run already: {stands} Name a new or empty folder, so that "
                "nothing is overwritten."
            )
    raise FormatError(
        f"{folder} holds something already; name a new or empty folder, so that nothing is "
        "overwritten."
    )


def _missing(folder: Path) -> list[Path]:
    """The folder and those above it that do not exist yet, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]
