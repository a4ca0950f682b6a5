"""The options that say which pictures there are, and how they are made to fit."""

import argparse
import re
from typing import Any

__all__ = [
    "INTERPOLATIONS",
    "ON_BAD",
    "RESIZE_MODES",
    "add_check_options",
    "add_column_options",
    "add_data_options",
]

#: As in `neocog.preprocessing` and `neocog.data.options`, which to import takes too long here.
RESIZE_MODES = ("stretch", "crop", "letterbox")
INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos")
ON_BAD = ("error", "skip")

_SIZE = re.compile(r"(\d{1,6})(?:[xX×](\d{1,6}))?")


def add_data_options(p: argparse.ArgumentParser, *, shape: bool, on_bad: bool = True) -> None:
    """Add the group to a command's parser; None is what nobody has said.

    Args:
        p: the parser.
        shape: whether the command chooses the shape of the images; else it is the network's.
        on_bad: whether pictures that cannot be read end it.
    """
    add: Any = p.add_argument_group("which pictures of a folder or file").add_argument
    add(
        "--classes",
        type=_names,
        default=None,
        metavar="A,B,…",
        help='those that are wanted, in this order; "a, b" in quotes is one with a comma '
        "(default: all, by name)",
    )
    add(
        "--validation",
        type=float,
        default=None,
        metavar="PART",
        help="of each class to hold out, where the pictures have no such part (default: 0.2)",
    )
    add("--split-seed", type=int, default=None, help="which pictures these are (default: 0)")
    if on_bad:
        add(
            "--on-bad",
            choices=ON_BAD,
            default=None,
            help="pictures that cannot be read: stop and name all, or skip up to 1 %% "
            "(default: error)",
        )
    _add_columns(add)
    if not shape:
        return
    add = p.add_argument_group("how pictures are made to fit").add_argument
    add(
        "--size",
        type=_size,
        default=None,
        metavar="N|HxW",
        help="height and width that the network sees (default: by the pictures)",
    )
    add("--channels", type=int, choices=(1, 3), default=None, help="1: gray, 3: colors")
    add(
        "--resize",
        choices=RESIZE_MODES,
        default=None,
        help="how pictures of another shape are made to fit (default: by the pictures)",
    )
    add("--interpolation", choices=INTERPOLATIONS, default=None, help="by which filter")


def add_check_options(p: argparse.ArgumentParser) -> None:
    """Add those of ``neocog data check``."""
    p.epilog = (
        "Exit code: 0 where nothing is wrong; 1 for pictures that cannot be read, or that are "
        "exactly the same in two parts or under two labels (with --strict, also nearly the same)."
    )
    p.add_argument(
        "source", metavar="SOURCE", help="a folder or file with pictures, shapes or cifar10"
    )
    p.add_argument(
        "--near",
        type=int,
        default=None,
        metavar="BITS",
        help="bits of 64 that differ in hashes of nearly equal pictures, 0 to 10 (default: 6)",
    )
    p.add_argument("--strict", action="store_true", help="nearly equal pictures are an error, too")
    p.add_argument("--html", default=None, metavar="FILE", help="write a page with thumbnails")
    add_data_options(p, shape=False, on_bad=False)


def add_column_options(p: argparse.ArgumentParser) -> None:
    """Add what alone concerns tables."""
    _add_columns(p.add_argument)


def _add_columns(add: Any) -> None:
    add("--file-column", default=None, metavar="NAME", help="of a table: its column of files")
    add("--label-column", default=None, metavar="NAME", help="of a table: its column of classes")


def _names(text: str) -> list[str]:
    """Names as in a row of a CSV file, where quotes keep commas."""
    import csv  # here, as nothing else of the help needs it

    rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    names = [name.strip() for row in rows for name in row]
    if not names or not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of names such as cats,dogs")
    return names


def _size(text: str) -> int | tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 64 or 48x64")
    height = int(found[1])
    return height if found[2] is None else (height, int(found[2]))
