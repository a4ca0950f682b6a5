"""The page that the explorer serves, and what it may do."""

from functools import cache

from neocog.explanation.page.html import page as page_of
from neocog.explanation.page.html import policy as policy_of

__all__ = ["page", "policy"]

_PACKAGE, _ENTRY = "neocog.web", "explore.js"


@cache
def page() -> str:
    """The whole page as HTML, its script and style within it; data come by the API."""
    return page_of(None, package=_PACKAGE, entry=_ENTRY, title="neocog explore")


@cache
def policy() -> str:
    """Run and show what is in it, and what it has drawn or was given, and ask its own server."""
    own = policy_of(_ENTRY, _PACKAGE)
    return f"{own}; media-src blob:; connect-src 'self'; frame-ancestors 'none'"
