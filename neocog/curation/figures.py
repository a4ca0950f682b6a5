"""Parts of the pages of pictures: sections, and pictures with what is said of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from neocog.curation.embedding import Embedding
from neocog.data.check.thumbnail import thumbnail
from neocog.pages.findings import end_of, escaped

__all__ = ["figure", "figures", "percent", "section", "skipped"]

# Pictures of a list that are shown.
_MOST = 60


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def index(self) -> int: ...


T = TypeVar("T", bound=_Named)


def section(name: str, title: str, count: int, inside: str) -> str:
    """A list with its title and its number of items; `name` is that of its anchor."""
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{title} '
        f'<span class="count">{count:,}</span></h2>\n{inside}</section>\n'
    )


def figure(image: str, name: str, about: str) -> str:
    """A thumbnail with the picture's name and, as HTML, what is said of it."""
    return (
        f'<figure><div class="thumbnail">{image}</div><figcaption>{end_of(name)}'
        f'<span class="where">{about}</span></figcaption></figure>'
    )


def figures(embedding: Embedding, found: Sequence[T], describe: Callable[[T], str]) -> str:
    """The first pictures of a list with their names and, as HTML, what is said of them."""
    items = "".join(
        f"<li>{figure(thumbnail(partial(embedding.read, one.index)), one.name, describe(one))}"
        "</li>\n"
        for one in found[:_MOST]
    )
    return f'<ul class="pictures large">{items}</ul>\n{_left_out(len(found))}'


def _left_out(count: int) -> str:
    if count <= _MOST:
        return ""
    return (
        f'<p class="hint">Shown are the first {_MOST}; {count - _MOST:,} are left '
        "out. With <code>--json</code> all are named.</p>\n"
    )


def percent(probability: float) -> str:
    """A probability for people, in one word."""
    return f"{100 * probability:.0f}&nbsp;%"


def skipped(embedding: Embedding) -> str:
    """The section of pictures that could not be read."""
    rows = "".join(
        f'<tr><th scope="row">{escaped(one.name)}</th>'
        f'<td class="reason">{escaped(one.reason)}</td></tr>\n'
        for one in embedding.skipped[:_MOST]
    )
    count = len(embedding.skipped)
    inside = (
        '<div class="card scroll" tabindex="0" role="group" aria-label="Cannot be read">'
        f"<table><tbody>{rows}</tbody></table></div>\n{_left_out(count)}"
    )
    return section("skipped", "Cannot be read", count, inside)
