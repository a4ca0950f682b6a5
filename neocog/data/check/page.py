"""The page of a report: one HTML file with thumbnails that needs no script and no network.

Everything that comes from the source, such as file names, is escaped, and the page's content
security policy blocks any script that might get in.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

from PIL import Image

from neocog.data.check.balance import TINY
from neocog.data.check.findings import Broken, Findings, Group, Odd, Pair, Picture, WrongEnding
from neocog.data.check.looking import head, within
from neocog.data.check.table import Everything
from neocog.data.picture import fit_picture
from neocog.errors import DataError, printable
from neocog.pages import shared_style, source_hash
from neocog.preprocessing import Resize

__all__ = ["page"]

T = TypeVar("T")

# Items of a list that are shown; with those of groups, some 300 pictures in all.
_PAIRS, _GROUPS, _OF_GROUP, _PICTURES, _ROWS = 24, 10, 6, 36, 200
# Pixels of a thumbnail; a picture with sides of at most _SMALL is shown enlarged instead.
_SIDE, _SMALL = 160, 64
# Longest name, in characters.
_LONGEST, _CAPTION = 300, 100
_HOW = {"bytes": "the same bytes", "pixels": "the same pixels"}


def page(report: Findings) -> str:
    """The page as text."""
    style = _style()
    policy = (
        f"default-src 'none'; style-src {source_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(report.name)}: data check — neocog</title>\n<style>{style}</style>\n"
        f"</head>\n<body>\n<main>\n{_Page(report).body()}</main>\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    own = (files("neocog.data.check") / "page.css").read_text(encoding="utf-8")
    return shared_style() + own


def _text(text: str, most: int = _LONGEST) -> str:
    return html.escape(printable(text, most))


def _end(name: str) -> str:
    """The end of a long name, which says more than its beginning."""
    text = printable(name, 10_000)
    return html.escape(text if len(text) <= _CAPTION else f"…{text[1 - _CAPTION :]}")


class _Page:
    def __init__(self, report: Findings) -> None:
        self._report = report
        self._thumbnails: dict[int, str] = {}

    def body(self) -> str:
        report = self._report
        leaks, near_leaks = _by_how(report.leaks)
        conflicts, near_conflicts = _by_how(report.conflicts)
        nearly = "At most a few bits of their perceptual hashes differ; look whether it matters."
        pair = self._pair
        sections = [
            _Section("broken", "Cannot be read", report.broken, _broken_row, "table", True),
            _Section("leaks", "In two parts", leaks, pair, "pairs", True, _LEAK),
            _Section("conflicts", "Under two labels", conflicts, pair, "pairs", True, _CONFLICT),
            _Section("near-leaks", "Nearly in two parts", near_leaks, pair, "pairs", hint=nearly),
            _Section(
                "near-conflicts",
                "Nearly the same, under two labels",
                near_conflicts,
                pair,
                "pairs",
                hint=nearly,
            ),
            _Section("copies", "Groups of copies", report.exact, self._group, "groups"),
            _Section("near", "Groups of nearly the same", report.near, self._group, "groups"),
            _Section("odd", "Far from their class", report.odd, self._odd, "pictures"),
            _Section("one-color", "Of one color", report.one_color, self._item, "pictures"),
            _Section("endings", "Named as other files", report.wrong_endings, _ending_row, "table"),
        ]
        classes = "1 class" if len(report.classes) == 1 else f"{len(report.classes):,} classes"
        return "".join(
            [
                f"<header><h1>{_text(report.name)} <small>{report.count:,} pictures in {classes} "
                f"({_text(report.kind)})</small></h1></header>\n",
                _verdict(report),
                '<nav aria-label="What was found"><ul class="summary">',
                *(section.link() for section in sections),
                "</ul></nav>\n",
                *(f'<p class="hint">{_text(note, 1000)}</p>\n' for note in report.notes),
                _there_is(report),
                *(section.text() for section in sections if section.found),
                _methods(report),
            ]
        )

    # Pictures

    def _figure(self, picture: Picture) -> str:
        if picture.index not in self._thumbnails:
            self._thumbnails[picture.index] = _thumbnail(self._report.everything, picture.index)
        return (
            f'<figure><div class="thumbnail">{self._thumbnails[picture.index]}</div>'
            f"<figcaption>{_end(picture.name)}"
            f'<span class="where">{_text(picture.part)} · {_text(picture.label, 60)}</span>'
            "</figcaption></figure>"
        )

    def _item(self, picture: Picture) -> str:
        return f"<li>{self._figure(picture)}</li>\n"

    def _odd(self, odd: Odd) -> str:
        return (
            f'<li>{self._figure(odd.picture)}<span class="hint">score {odd.score:.1f}</span></li>\n'
        )

    def _pair(self, pair: Pair) -> str:
        how = _HOW.get(pair.how) or f"{pair.bits} of 64 bits differ"
        return (
            f'<li><div class="pair">{self._figure(pair.first)}{self._figure(pair.second)}</div>'
            f'<p class="hint">{how}</p></li>\n'
        )

    def _group(self, group: Group) -> str:
        shown = group.pictures[:_OF_GROUP]
        left = len(group.pictures) - len(shown)
        more = f"; {left:,} more are left out" if left else ""
        how = f": {_HOW[group.how]}" if group.how in _HOW else ""
        return (
            f'<div class="card"><h3>{len(group.pictures):,} pictures{how}{more}</h3>'
            f'<ul class="pictures">{"".join(map(self._item, shown))}</ul></div>\n'
        )


_LEAK = (
    "A network that has seen its test images gets results that are too good. Remove these pictures "
    "from one of the parts."
)
_CONFLICT = "One of the labels is wrong, or the classes overlap."


class _Section:
    """A list of findings, of which the first ones are shown.

    Args:
        name: name of the anchor.
        title: title of the list.
        found: all findings.
        show: renders one finding.
        form: layout: "table", "pairs", "groups" or "pictures".
        bad: whether the data should not be trained on as they are.
        hint: explanation of the list.
    """

    def __init__(
        self,
        name: str,
        title: str,
        found: Sequence[T],
        show: Callable[[T], str],
        form: str,
        bad: bool = False,
        hint: str = "",
    ) -> None:
        self.found = found
        self._name, self._title, self._bad, self._hint = name, title, bad, hint
        self._show, self._form = show, form

    def link(self) -> str:
        """The item of the summary."""
        if not self.found:
            return f'<li><span class="none"><b>0</b>{self._title}</span></li>'
        bad = ' class="bad"' if self._bad else ""
        return f'<li><a href="#{self._name}"{bad}><b>{len(self.found):,}</b>{self._title}</a></li>'

    def text(self) -> str:
        """All of it."""
        most = {"table": _ROWS, "pairs": _PAIRS, "groups": _GROUPS}.get(self._form, _PICTURES)
        shown = "".join(self._show(one) for one in self.found[:most])
        left = len(self.found) - most
        more = (
            f'<p class="hint">Shown are the first {most:,}; {left:,} are left out. '
            "<code>neocog data check --json</code> names all.</p>\n"
            if left > 0
            else ""
        )
        inside = {
            "table": '<div class="card scroll" tabindex="0" role="group" '
            f'aria-label="{self._title}">'
            f"<table><tbody>{shown}</tbody></table></div>",
            "groups": f'<div class="groups">{shown}</div>',
        }.get(self._form, f'<ul class="{self._form}">{shown}</ul>')
        hint = f"<p>{self._hint}</p>\n" if self._hint else ""
        count = f'<span class="count">{len(self.found):,}</span>'
        return (
            f'<section aria-labelledby="{self._name}"><h2 id="{self._name}">{self._title} '
            f"{count}</h2>\n{hint}{inside}\n{more}</section>\n"
        )


def _by_how(pairs: Iterable[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into exact copies and near duplicates, the nearest first."""
    nearest = sorted(pairs, key=lambda pair: pair.bits)
    return [p for p in nearest if p.how != "near"], [p for p in nearest if p.how == "near"]


def _broken_row(one: Broken) -> str:
    return (
        f'<tr><th scope="row">{_text(one.picture.name)}</th>'
        f'<td class="reason">{_text(one.reason)}</td></tr>\n'
    )


def _ending_row(one: WrongEnding) -> str:
    return (
        f'<tr><th scope="row">{_text(one.picture.name)}</th>'
        f'<td class="reason">is {_text(one.is_)}</td></tr>\n'
    )


def _thumbnail(everything: Everything, index: int) -> str:
    """An image of the picture, or a text if it can no longer be read."""
    try:
        content = everything.read(index)
        size = head(content).size
        width, height = within(size, _SIDE)
        pixels = fit_picture(content, (3, height, width), Resize("stretch", "lanczos"))
    except (DataError, OSError):
        return "<span>cannot be read</span>"
    data, small = io.BytesIO(), max(size) <= _SMALL
    Image.fromarray(pixels).save(data, "PNG" if small else "JPEG", quality=82)
    kind = "png" if small else "jpeg"
    written = base64.b64encode(data.getvalue()).decode()
    how = ' class="small"' if small else ""
    return f'<img src="data:image/{kind};base64,{written}" alt=""{how}>'


# Statistics


def _verdict(report: Findings) -> str:
    if not report.passes():
        text = "Not fit to train on: see what is broken, in two parts or under two labels."
    elif not report.passes(strict=True):
        text = "Nothing is broken. Some pictures are nearly the same in two parts or classes."
    else:
        text = "Nothing is broken, in two parts or under two labels."
    bad = "" if report.passes() else " bad"
    return f'<p class="card verdict{bad}">{text}</p>\n'


def _there_is(report: Findings) -> str:
    return (
        '<section aria-labelledby="there-is"><h2 id="there-is">What there is</h2>\n'
        f'<div class="across"><div>{_classes(report)}</div><div>{_facts(report)}</div></div>'
        f"{_hints(report)}</section>\n"
    )


def _classes(report: Findings) -> str:
    parts = report.balance.counts
    most = max(1, *(max(counts.values()) for counts in parts.values()))
    first = next(iter(parts.values()))
    rows = []
    for name in report.classes[:_ROWS]:
        share = 100 * first[name] / most
        cells = "".join(f'<td class="number">{counts[name]:,}</td>' for counts in parts.values())
        rows.append(
            f'<tr><th scope="row">{_text(name, 80)}</th>{cells}<td class="bar">'
            '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect width="{share:.1f}" height="10"/></svg></td></tr>'
        )
    left = len(report.classes) - _ROWS
    more = f'<p class="hint">and {left:,} classes more</p>' if left > 0 else ""
    heads = "".join(f'<th scope="col" class="number">{part}</th>' for part in parts)
    return (
        '<div class="card scroll" tabindex="0" role="group" aria-label="Pictures of each class">'
        f'<table><thead><tr><th scope="col">class</th>{heads}<td></td></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{more}</div>"
    )


def _facts(report: Findings) -> str:
    sizes = report.sizes
    rows: list[tuple[str, str]] = []
    if sizes is not None:
        often = ", ".join(f"{w} × {h} ({n:,})" for (w, h), n in sizes.most_frequent[:5])
        least, middle, most = sizes.aspects
        shapes = (
            f"{sizes.landscape:,} landscape, {sizes.portrait:,} portrait, {sizes.square:,} square"
        )
        rows += [
            ("smallest", "{} × {}".format(*sizes.smallest)),
            ("median", "{:g} × {:g}".format(*sizes.median)),
            ("largest", "{} × {}".format(*sizes.largest)),
            ("most frequent", often),
            ("different sizes", f"{sizes.different:,}"),
            ("width / height", f"{least:.2f} to {most:.2f}, median {middle:.2f}"),
            ("shapes", shapes),
        ]
        if sizes.different == 1:
            rows = [("size", "{} × {}, all of them".format(*sizes.smallest))]
    files = {} if set(report.formats) == {"pixels"} else report.formats
    for name, counts in (("pixels", report.modes), ("files", files)):
        if counts:
            rows.append((name, ", ".join(f"{one} ({count:,})" for one, count in counts.items())))
    if files:
        rows.append(("turned by EXIF data", f"{report.turned:,}"))
    text = "".join(
        f'<tr><th scope="row">{name}</th><td>{_text(value)}</td></tr>' for name, value in rows
    )
    return f'<div class="card"><table><tbody>{text}</tbody></table></div>'


def _hints(report: Findings) -> str:
    balance, found = report.balance, []
    if balance.uneven:
        found.append(
            f"The largest class, {_text(balance.largest[0], 60)}, has {balance.ratio:.1f} times "
            f"the pictures of the smallest, {_text(balance.smallest[0], 60)}. Saying the largest "
            f"every time is right for {100 * balance.majority:.0f} %: look at each class’s recall, "
            "and try balanced sampling or class weights."
        )
    if balance.tiny:
        found.append(f"Fewer than {TINY} pictures to train on: {_some(balance.tiny)}.")
    if balance.empty:
        found.append(f"No pictures to train on: {_some(balance.empty)}.")
    found += [f"Not in the part {part}: {_some(names)}." for part, names in balance.missing.items()]
    return "".join(f"<p>{one}</p>" for one in found)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return ", ".join(_text(one, 60) for one in names[:20]) + more


def _methods(report: Findings) -> str:
    titles = {"exact": "The same", "near": "Nearly the same", "odd": "Far from their class"}
    parts = [f"<h3>{titles[k]}</h3><p>{_text(v, 2000)}</p>" for k, v in report.methods.items()]
    if not report.complete:
        parts.append(
            "<p>Not all nearly equal pictures were looked for: too many have similar hashes.</p>"
        )
    return (
        '<section aria-labelledby="methods"><h2 id="methods">How this was found</h2>'
        f'<div class="card">{"".join(parts)}</div></section>\n'
    )
