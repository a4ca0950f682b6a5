"""Find the pictures that the options of the command line select."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from neocog.cli.terminal import loading_progress, say
from neocog.data import Data
from neocog.data.finding import Found, find, holds_pictures
from neocog.data.options import LoadOptions
from neocog.errors import DataError, printable
from neocog.preprocessing import Resize

__all__ = [
    "check_no_options",
    "find_pictures",
    "load_options",
    "say_not_kept",
    "say_notes",
    "taken_out",
]

_LOADING = ("size", "channels", "classes", "validation", "split_seed", "on_bad")
_TABLE = ("file_column", "label_column", "labels")
_NAMES = (*_LOADING, "resize", "interpolation", *_TABLE)


def taken_out(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of `add_data_options` from a command's; returns those that were given."""
    found = {name: options.pop(name) for name in _NAMES if name in options}
    return {name: value for name, value in found.items() if value is not None}


def check_no_options(data: str, given: Mapping[str, Any]) -> None:
    """Raise `DataError` for options that do not apply to data with fixed pictures and shape."""
    if given:
        option = f"--{next(iter(given)).replace('_', '-')}"
        raise DataError(
            f"{option} is for a folder or file of pictures; {printable(data)!r} is none, or has "
            "all of that fixed."
        )


def load_options(given: Mapping[str, Any], threads: int | None = None) -> LoadOptions:
    """The options for loading, except for resizing, which `find_pictures` handles."""
    names = (*_LOADING, *_TABLE)
    said = {name: given[name] for name in names if name in given}
    return LoadOptions.of(**said, threads=threads, progress=loading_progress())


def find_pictures(data: str, given: Mapping[str, Any], threads: int | None) -> Found | None:
    """The pictures of a folder or file with these options; None for data of other kinds.

    Raises:
        DataError: there are no pictures, or the options do not apply to the data.
    """
    if not holds_pictures(data):
        check_no_options(data, given)
        return None
    found = find(data, load_options(given, threads))
    resize = found.resize
    if "resize" in given:
        resize = Resize(given["resize"], resize.interpolation)
    if "interpolation" in given:
        resize = replace(resize, interpolation=given["interpolation"])
    said = {"resize", "interpolation"} & given.keys()
    options = replace(found.options, resize=resize if said else None)
    return replace(found, resize=resize, options=options)


def say_not_kept(why: str) -> None:
    """Print why features of pictures are not kept on the disk, if there is a reason."""
    if why:
        say(f"Features are not kept on the disk, and computed again next time: {why}")


def say_notes(data: Data) -> None:
    """Print what was ignored or skipped."""
    for note in data.notes:
        say(note)
