"""The page of a report: one HTML file with thumbnails that needs no script and no network."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from neocog.data.check.balance import TINY
from neocog.data.check.findings import Broken, Findings, Group, Odd, Pair, Picture, WrongEnding
from neocog.data.check.thumbnail import thumbnail
from neocog.pages.findings import end_of, escaped, findings_page

__all__ = ["page"]

T = TypeVar("T")

# Items of a list that are shown; with those of groups, some 300 pictures in all.
_PAIRS, _GROUPS, _OF_GROUP, _PICTURES, _ROWS = 24, 10, 6, 36, 200
_HOW = {"bytes": "the same bytes", "pixels": "the same pixels"}


def page(report: Findings) -> str:
    """The page as text."""
    return findings_page(f"{report.name}: data check", _Page(report).body())


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
                f"<header><h1>{escaped(report.name)} <small>{report.count:,} pictures in {classes} "
                f"({escaped(report.kind)})</small></h1></header>\n",
                _verdict(report),
                '<nav aria-label="What was found"><ul class="summary">',
                *(section.link() for section in sections),
                "</ul></nav>\n",
                *(f'<p class="hint">{escaped(note, 1000)}</p>\n' for note in report.notes),
                _there_is(report),
                *(section.text() for section in sections if section.found),
                _methods(report),
            ]
        )

    # Pictures

    def _figure(self, picture: Picture) -> str:
        if picture.index not in self._thumbnails:
            self._thumbnails[picture.index] = self._thumbnail(picture.index)
        return (
            f'<figure><div class="thumbnail">{self._thumbnails[picture.index]}</div>'
            f"<figcaption>{end_of(picture.name)}"
            f'<span class="where">{escaped(picture.part)} · {escaped(picture.label, 60)}</span>'
            "</figcaption></figure>"
        )

    def _thumbnail(self, index: int) -> str:
        return thumbnail(partial(self._report.everything.read, index))

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
        f'<tr><th scope="row">{escaped(one.picture.name)}</th>'
        f'<td class="reason">{escaped(one.reason)}</td></tr>\n'
    )


def _ending_row(one: WrongEnding) -> str:
    return (
        f'<tr><th scope="row">{escaped(one.picture.name)}</th>'
        f'<td class="reason">is {escaped(one.is_)}</td></tr>\n'
    )


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
            f'<tr><th scope="row">{escaped(name, 80)}</th>{cells}<td class="bar">'
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
        f'<tr><th scope="row">{name}</th><td>{escaped(value)}</td></tr>' for name, value in rows
    )
    return f'<div class="card"><table><tbody>{text}</tbody></table></div>'


def _hints(report: Findings) -> str:
    balance, found = report.balance, []
    if balance.uneven:
        found.append(
            f"The largest class, {escaped(balance.largest[0], 60)}, has {balance.ratio:.1f} times "
            f"the pictures of the smallest, {escaped(balance.smallest[0], 60)}. Saying the largest "
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
    return ", ".join(escaped(one, 60) for one in names[:20]) + more


def _methods(report: Findings) -> str:
    titles = {"exact": "The same", "near": "Nearly the same", "odd": "Far from their class"}
    parts = [f"<h3>{titles[k]}</h3><p>{escaped(v, 2000)}</p>" for k, v in report.methods.items()]
    if not report.complete:
        parts.append(
            "<p>Not all nearly equal pictures were looked for: too many have similar hashes.</p>"
        )
    return (
        '<section aria-labelledby="methods"><h2 id="methods">How this was found</h2>'
        f'<div class="card">{"".join(parts)}</div></section>\n'
    )
