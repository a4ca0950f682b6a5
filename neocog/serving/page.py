"""The page to try a served model, and its Content-Security-Policy."""

from functools import cache

from neocog.explanation.page.html import page as page_of
from neocog.explanation.page.html import policy as policy_of

__all__ = ["page", "policy"]

_PACKAGE, _ENTRY = "neocog.serving", "try.js"


@cache
def page() -> str:
    """The page as HTML, with its script and its style."""
    return page_of(None, package=_PACKAGE, entry=_ENTRY, title="neocog serve")


@cache
def policy() -> str:
    """The page may run and show only its own content, and connect only to its own server."""
    return f"{policy_of(_ENTRY, _PACKAGE)}; connect-src 'self'; frame-ancestors 'none'"
