"""The page that the explorer serves."""

from functools import cache

from neocog.explanation.html import page as page_of

__all__ = ["page"]


@cache
def page() -> str:
    """The whole page as HTML, its script and style within it; data come by the API."""
    return page_of(None, package="neocog.web", entry="explore.js", title="neocog explore")
