"""The short pages before the page itself: one that leads there, one for who has no token."""

from html import escape

__all__ = ["LOCKED", "leading_to"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{head}
<title>neocog explore</title>
</head>
<body>
<main>
<h1>neocog explore</h1>
{body}
</main>
</body>
</html>
"""

#: Says where the token is to be found. The link is for who has followed one of another page: from
#: there the browser keeps the cookie back, from here it sends it.
LOCKED = _PAGE.format(
    head="",
    body=(
        "<p>The explorer shows itself only with its token: open the whole address that "
        "<code>neocog explore</code> printed, with <code>?token=…</code> in it.</p>\n"
        '<p>This browser has opened it before? <a href="/">Go on.</a></p>'
    ),
)


def leading_to(address: str) -> str:
    """A page that is left at once for another.

    A redirect would not do where a cookie has been set: a browser keeps that back all along a way
    that began at another page or at a file.
    """
    to = escape(address)
    return _PAGE.format(
        head=f'\n<meta http-equiv="refresh" content="0;url={to}">',
        body=f'<p><a href="{to}">The explorer’s page</a></p>',
    )
