"""Pages of what was found in pictures: HTML files with thumbnails, without scripts.

Everything that comes from a source, such as file names, is escaped, and the page's content security
policy blocks any script that might get in.
"""

import html
from functools import cache
from importlib.resources import files

from neocog.errors import printable
from neocog.pages import shared_style, source_hash

__all__ = ["end_of", "escaped", "findings_page"]

# Longest text and longest name below a picture, in characters.
_LONGEST, _CAPTION = 300, 100


def findings_page(title: str, body: str) -> str:
    """A page as text.

    Args:
        title: of the window, as plain text.
        body: what stands in the page's main part, as HTML.
    """
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
        f"<title>{escaped(title)} — neocog</title>\n<style>{style}</style>\n"
        f"</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    own = (files("neocog.pages") / "findings.css").read_text(encoding="utf-8")
    return shared_style() + own


def escaped(content: str, most: int = _LONGEST) -> str:
    """A text for a page, shortened and escaped."""
    return html.escape(printable(content, most))


def end_of(name: str) -> str:
    """The end of a long name, which says more than its beginning, escaped."""
    shown = printable(name, 10_000)
    return html.escape(shown if len(shown) <= _CAPTION else f"…{shown[1 - _CAPTION :]}")
