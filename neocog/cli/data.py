"""``neocog data check``."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from neocog.cli.paths import page_path
from neocog.cli.terminal import counted, loading_progress
from neocog.data.check import Report, check_data
from neocog.data.check.balance import TINY
from neocog.data.check.findings import Pair, Picture
from neocog.errors import NeocogError, printable
from neocog.write_errors import why_not_written

__all__ = ["check", "report_lines"]

T = TypeVar("T")

# Rows and columns that fit a terminal of the usual size.
_WIDTH = 80
# Items of a list that are shown, and classes that are listed before the middle ones are left out.
_MOST, _MOST_CLASSES = 10, 24
# Pictures of a group that are listed.
_OF_GROUP = 3

_HOW = {"bytes": "same bytes", "pixels": "same pixels"}


def check(
    source: str,
    near: int | None,
    strict: bool,
    html: str | None,
    json_: bool,
    threads: int | None,
    **chosen: Any,
) -> int:
    """Print what is wrong with pictures; returns 1 if they should not be trained on as they are."""
    path = page_path(html) if html else None  # a bad path is reported before any work is done
    if near is not None:
        chosen["near"] = near
    given = {name: value for name, value in chosen.items() if value is not None}
    report = check_data(source, threads=threads, progress=loading_progress(), **given)
    if path is not None:
        _write(path, report)
    if json_:
        print(json.dumps(report.to_dict()))
    else:
        for line in report_lines(report):
            print(line)
        if path is not None:
            print(f"Page: {path}")
    return 0 if report.passes(strict=strict) else 1


def _write(path: Path, report: Report) -> None:
    try:
        report.save_page(path)
    except OSError as error:
        raise NeocogError(why_not_written(path, error)) from error


def report_lines(report: Report) -> Iterator[str]:
    """The report in lines of 80 columns, except for long names of classes and files."""
    yield (
        f"{printable(report.name, 60)}: {counted(report.count, 'picture')} in "
        f"{len(report.classes):,} {'class' if len(report.classes) == 1 else 'classes'} "
        f"({report.kind})"
    )
    for note in report.notes:
        yield from _wrapped(note)
    yield ""
    yield from _class_table(report)
    yield ""
    yield from _facts(report)
    if hints := list(_balance(report)):
        yield ""
        yield from hints
    yield from _findings(report)
    yield ""
    yield _verdict(report)


# Statistics


def _class_table(report: Report) -> Iterator[str]:
    parts = report.balance.counts
    rows = [["class", *parts]]
    rows += [
        [printable(name, 40), *(f"{counts[name]:,}" for counts in parts.values())]
        for name in report.classes
    ]
    if len(rows) > _MOST_CLASSES + 1:
        left = len(rows) - 1 - _MOST_CLASSES
        rows = [*rows[: _MOST_CLASSES + 1], [f"and {left:,} more", *([""] * len(parts))]]
    total = [f"{sum(counts.values()):,}" for counts in parts.values()]
    rows.append(["all", *total])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip()


def _facts(report: Report) -> Iterator[str]:
    sizes = report.sizes
    if sizes is None:
        yield "None of them can be read."
        return
    if sizes.different == 1:
        yield f"size:     {_size(sizes.smallest)}, all of them"
    else:
        yield (
            f"sizes:    {_size(sizes.smallest)} to {_size(sizes.largest)}, median "
            f"{_size(sizes.median)}; {sizes.different:,} different"
        )
        often = [f"{_size(size)} ({count:,})" for size, count in sizes.most_frequent]
        yield from _wrapped("often:    " + ", ".join(often[:5]), 10)
        least, middle, most = sizes.aspects
        yield (
            f"shapes:   {sizes.landscape:,} landscape, {sizes.portrait:,} portrait, "
            f"{sizes.square:,} square"
        )
        yield f"aspects:  width / height {least:.2f} to {most:.2f}, median {middle:.2f}"
    files = {} if set(report.formats) == {"pixels"} else report.formats
    for name, counts in (("pixels", report.modes), ("files", files)):
        if not counts:
            continue
        shown = ", ".join(f"{one} ({count:,})" for one, count in counts.items())
        yield from _wrapped(f"{name + ':':<10}{shown}", 10)
    if report.turned:
        yield f"turned by their EXIF data: {report.turned:,}"


def _size(size: tuple[float, float]) -> str:
    return f"{size[0]:g} × {size[1]:g}"


def _balance(report: Report) -> Iterator[str]:
    balance = report.balance
    if balance.uneven:
        yield from _wrapped(
            f"Uneven classes: {printable(balance.largest[0], 40)} has {balance.ratio:.1f} times "
            f"the pictures of {printable(balance.smallest[0], 40)}. Saying "
            f"{printable(balance.largest[0], 40)} every time is right for "
            f"{100 * balance.majority:.0f} %: look at each class's recall, not at accuracy "
            "alone, and try balanced sampling or class weights."
        )
    if balance.tiny:
        names = _names(balance.tiny)
        yield from _wrapped(f"Fewer than {TINY} pictures to train on: {names}.")
    if balance.empty:
        yield from _wrapped(f"No pictures to train on: {_names(balance.empty)}.")
    for part, lost in balance.missing.items():
        yield from _wrapped(f"Not in the part {part}: {_names(lost)}.")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    return ", ".join(printable(one, 40) for one in names[:_MOST]) + more


# Problems


def _findings(report: Report) -> Iterator[str]:
    yield from _list(
        "cannot be read",
        report.broken,
        lambda one: (f"{_short(one.picture.name, _WIDTH - 2)}", f"  {printable(one.reason, 300)}"),
    )
    for exactly in (True, False):
        how = "" if exactly else ", nearly the same"
        for title, pairs in (
            (f"in two parts{how}", report.leaks),
            (f"under two labels{how}", report.conflicts),
        ):
            some = [pair for pair in pairs if (pair.how != "near") == exactly]
            some.sort(key=lambda pair: pair.bits)
            yield from _list(title, some, _pair)
    for title, groups in (
        ("groups of copies", report.exact),
        ("groups of nearly the same pictures", report.near),
    ):
        yield from _list(
            title, groups, lambda group: [_group(group.pictures, _HOW.get(group.how, ""))], most=5
        )
    if not report.complete:
        yield "Not all nearly equal pictures were looked for: too many have similar hashes."
    yield from _list(
        "named as other files than they are",
        report.wrong_endings,
        lambda one: [f"{_short(one.picture.name, 60)} is {one.is_}"],
        most=5,
    )
    yield from _list(
        "of one color", report.one_color, lambda one: [_short(one.name, _WIDTH - 2)], most=5
    )
    yield from _list(
        "far from all others of their class; worth a look",
        report.odd,
        lambda one: [f"{one.score:4.1f}  {_place(one.picture, _WIDTH - 8)}"],
    )


def _list(
    title: str, found: Sequence[T], lines: Callable[[T], Iterable[str]], most: int = _MOST
) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield f"{len(found):,} {title}"
    for one in found[:most]:
        for line in lines(one):
            yield f"  {line}"
    if len(found) > most:
        yield f"  and {len(found) - most:,} more (--html FILE shows them, --json has all)"


def _pair(pair: Pair) -> Iterator[str]:
    how = _HOW.get(pair.how) or f"{pair.bits} of 64 bits differ"
    yield f"{_place(pair.first, _WIDTH - 2)}"
    yield f"= {_place(pair.second, _WIDTH - 6 - len(how))}  {how}"


def _group(pictures: Sequence[Picture], how: str) -> str:
    left = len(pictures) - _OF_GROUP
    end = (f" and {left:,} more" if left > 0 else "") + (f" ({how})" if how else "")
    shown = pictures[:_OF_GROUP]
    room = (_WIDTH - 2 - len(end)) // len(shown) - 2
    # Pictures in memory have only numbers, which begin at 0 in each part.
    names = [one.name if "/" in one.name else f"{one.part} {one.name}" for one in shown]
    return ", ".join(_short(name, room) for name in names) + end


def _place(picture: Picture, room: int) -> str:
    """The picture's name, with its part and class unless the name contains them."""
    said = picture.name.split("/")
    beside = [printable(x, 30) for x in (picture.part, picture.label) if x not in said]
    end = f" ({', '.join(beside)})" if beside else ""
    return _short(picture.name, max(16, room - len(end))) + end


def _short(name: str, room: int) -> str:
    """A name shortened to a width; its end says more than its beginning."""
    text = printable(name, 5000)
    return text if len(text) <= room else f"…{text[1 - room :]}"


def _verdict(report: Report) -> str:
    if not report.passes():
        return "Not fit to train on: see what is broken, in two parts or under two labels."
    if not report.passes(strict=True):
        return "Nothing is broken; some pictures are nearly the same (an error with --strict)."
    return "Nothing is broken, in two parts or under two labels."


def _wrapped(text: str, indent: int = 0) -> Iterator[str]:
    """Lines of at most 80 columns."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = " " * indent + word
        else:
            line = f"{line} {word}" if line else word
    yield line
