"""Options that select the pictures and say how they are resized."""

import argparse
import re
from typing import Any

__all__ = [
    "INTERPOLATIONS",
    "LABELS",
    "ON_BAD",
    "RESIZE_MODES",
    "add_check_options",
    "add_column_options",
    "add_data_options",
]

#: As in `neocog.preprocessing` and `neocog.data.options`, whose import would take too long here.
RESIZE_MODES = ("stretch", "crop", "letterbox")
INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos")
ON_BAD = ("error", "skip")
LABELS = ("one", "several", "number")

_SIZE = re.compile(r"(\d{1,6})(?:[xX×](\d{1,6}))?")


def add_data_options(p: argparse.ArgumentParser, *, shape: bool, on_bad: bool = True) -> None:
    """Add the options to a command's parser; an option that is not given is None.

    Args:
        p: the parser.
        shape: whether the command chooses the shape of the images; otherwise the network does.
        on_bad: whether to add ``--on-bad``, for pictures that cannot be read.
    """
    add: Any = p.add_argument_group("selection of pictures, for a folder or file").add_argument
    add(
        "--classes",
        type=_names,
        default=None,
        metavar="A,B,…",
        help='classes to use, in this order; quote a name that has a comma, as "a, b" '
        "(default: all, sorted by name)",
    )
    add(
        "--validation",
        type=float,
        default=None,
        metavar="PART",
        help="fraction of each class to hold out, if the source has no such part (default: 0.2)",
    )
    add("--split-seed", type=int, default=None, help="seed of that split (default: 0)")
    if on_bad:
        add(
            "--on-bad",
            choices=ON_BAD,
            default=None,
            help="pictures that cannot be read: stop and list all, or skip up to 1 %% "
            "(default: error)",
        )
    _add_columns(add)
    if not shape:
        return
    add(
        "--labels",
        choices=LABELS,
        default=None,
        help="what a table says of a picture: one class, several labels (columns of 0 and 1, or "
        "one column of labels parted by semicolons), or a number (default: one)",
    )
    add = p.add_argument_group("resizing of pictures").add_argument
    add(
        "--size",
        type=_size,
        default=None,
        metavar="N|HxW",
        help="height and width of the network's input (default: chosen by the pictures)",
    )
    add("--channels", type=int, choices=(1, 3), default=None, help="1: gray, 3: color")
    add(
        "--resize",
        choices=RESIZE_MODES,
        default=None,
        help="how pictures of other sizes are fitted (default: chosen by the pictures)",
    )
    add("--interpolation", choices=INTERPOLATIONS, default=None, help="filter for resizing")


def add_check_options(p: argparse.ArgumentParser) -> None:
    """Add the options of ``neocog data check``."""
    p.epilog = (
        "Exit code: 0 if nothing is wrong; 1 if pictures cannot be read, or if the same picture is "
        "in two parts or under two labels (with --strict, also a nearly identical one)."
    )
    p.add_argument(
        "source", metavar="SOURCE", help="a folder or file with pictures, shapes, or cifar10"
    )
    p.add_argument(
        "--near",
        type=int,
        default=None,
        metavar="BITS",
        help="bits of 64 in which the hashes of near duplicates may differ, 0 to 10 (default: 6)",
    )
    p.add_argument("--strict", action="store_true", help="treat near duplicates as errors, too")
    p.add_argument("--html", default=None, metavar="FILE", help="write a page with thumbnails")
    add_data_options(p, shape=False, on_bad=False)


def add_column_options(p: argparse.ArgumentParser) -> None:
    """Add the options for tables."""
    _add_columns(p.add_argument)


def _add_columns(add: Any) -> None:
    add("--file-column", default=None, metavar="NAME", help="table column of the file names")
    add(
        "--label-column",
        default=None,
        metavar="NAME",
        help="table column of the classes; of several labels A,B,…",
    )


def _names(text: str) -> list[str]:
    """Parse names as a row of a CSV file, in which a quoted name may contain commas."""
    import csv  # imported here because the help does not need it

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
