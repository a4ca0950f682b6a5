"""Paths as they are given on the command line."""

from pathlib import Path

from neocog.errors import NeocogError, printable
from neocog.files import user_path

__all__ = ["out_path", "page_path"]

_PAGES = (".html", ".htm")


def out_path(text: str) -> Path:
    """The path to write to. ``~`` is expanded here, since shells leave it in ``--out=~/x``.

    Raises:
        NeocogError: ``~name`` for an unknown user; a folder of that name would be a surprise.
    """
    path = user_path(text)
    if text.startswith("~") and path == Path(text):
        shown = printable(text)
        raise NeocogError(
            f"--out {shown}: nobody of that name has a home folder here. Write ./{shown} if the "
            "name begins with ~."
        )
    return path


def page_path(text: str) -> Path:
    """The path to write a page to, under a name by which programs know what it is.

    Raises:
        NeocogError: as `out_path` does, or the name has another ending, such as that of pictures.
    """
    path = out_path(text)
    if path.suffix.lower() not in _PAGES:
        raise NeocogError(
            f"{printable(text)} is to be a page, which is HTML: give it a name that ends in .html."
        )
    return path
