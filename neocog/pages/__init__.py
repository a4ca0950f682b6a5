"""Shared by all HTML pages: colors and layout, and hashes for the content security policy."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["shared_style", "source_hash"]


@cache
def shared_style() -> str:
    """The CSS that every page starts with: colors, font, and the width of the page."""
    return (files("neocog.pages") / "style.css").read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """The source expression of a script or style in a Content-Security-Policy: ``'sha256-…'``."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
