"""Short pages before the page itself: one that forwards to it, one for a browser without token."""

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

#: Says where the token is. Its link is for a browser that came by a link on another page and did
#: not send its cookie: from this page it does.
LOCKED = _PAGE.format(
    head="",
    body=(
        "<p>The explorer needs its token: open the whole address that "
        "<code>neocog explore</code> printed, with <code>?token=…</code> in it.</p>\n"
        '<p>Has this browser opened it before? <a href="/">Go on.</a></p>'
    ),
)


def leading_to(address: str) -> str:
    """A page that forwards to another at once.

    After a redirect, a browser that started from another page or from a file would not send the
    cookie that was just set; from a page of this server it does.
    """
    to = escape(address)
    return _PAGE.format(
        head=f'\n<meta http-equiv="refresh" content="0;url={to}">',
        body=f'<p><a href="{to}">The explorer’s page</a></p>',
    )
