"""The names of ImageNet's classes."""

from functools import cache
from pathlib import Path

__all__ = ["imagenet_classes"]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 names, in the order in which networks that were trained on ImageNet have them."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))
