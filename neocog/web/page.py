"""The page that the explorer serves, and its Content-Security-Policy."""

from functools import cache

from neocog.explanation.page.html import page as page_of
from neocog.explanation.page.html import policy as policy_of

__all__ = ["page", "policy"]

_PACKAGE, _ENTRY = "neocog.web", "explore.js"


@cache
def page() -> str:
    """The page as HTML, with its script and its style; it gets its data by the API."""
    return page_of(None, package=_PACKAGE, entry=_ENTRY, title="neocog explore")


@cache
def policy() -> str:
    """The page may run and show only its own content, and connect only to its own server."""
    own = policy_of(_ENTRY, _PACKAGE)
    return f"{own}; media-src blob:; connect-src 'self'; frame-ancestors 'none'"
