"""The paths of a set of shards, from patterns with braces and wildcards, and their parts."""

import re
from glob import glob, has_magic
from pathlib import Path

from neocog.data.sources.class_folders import part_of
from neocog.errors import DataError, printable
from neocog.files import exists

__all__ = ["is_pattern", "part_of_shard", "shards_of_pattern"]

# Largest number of shards in a set. A shard has a thousand pictures or more.
MOST_SHARDS = 100_000

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,12})\.\.(\d{1,12})")
_WORDS = re.compile("[^a-z]+")


def is_pattern(path: str) -> bool:
    """Whether this is a pattern of tar files: ``train-{000..007}.tar``, ``*.tar``."""
    return path.lower().endswith(".tar") and bool(has_magic(path) or _BRACES.search(path))


def shards_of_pattern(pattern: str) -> list[Path]:
    """The files that a pattern matches, as a shell would expand it.

    Raises:
        DataError: no file matches, one that braces name does not exist, or there are too many.
    """
    shown = printable(pattern, 300)
    paths: list[Path] = []
    for name in _without_braces(pattern, shown):
        if has_magic(name) and not exists(name):
            paths += sorted(map(Path, glob(name)))  # noqa: PTH207 - of wildcards anywhere in a path
            continue
        if not exists(name):
            raise DataError(f"{shown} names {printable(name, 300)}, which is not there.")
        paths.append(Path(name))
    if not paths:
        raise DataError(f"There is no file that {shown} fits.")
    return paths


def _without_braces(pattern: str, shown: str) -> list[str]:
    names = [pattern]
    while found := _BRACES.search(names[0]):
        choices = _choices(found[1], shown)
        if len(names) * len(choices) > MOST_SHARDS:
            raise DataError(f"{shown} names more than {MOST_SHARDS:,} files.")
        names = [_BRACES.sub(lambda _: one, name, count=1) for name in names for one in choices]  # noqa: B023
    return names


def _choices(inside: str, shown: str) -> list[str]:
    if (found := _RANGE.fullmatch(inside)) is None:
        return inside.split(",")
    first, last = int(found[1]), int(found[2])
    if abs(last - first) >= MOST_SHARDS:
        raise DataError(f"{shown} names more than {MOST_SHARDS:,} files.")
    # As in a shell, numbers are padded if one of the two has leading zeros.
    wide = any(end.startswith("0") for end in found.groups())
    width = max(map(len, found.groups())) if wide else 0
    step = 1 if last >= first else -1
    return [f"{number:0{width}}" for number in range(first, last + step, step)]


def part_of_shard(name: str) -> str | None:
    """The part that a shard belongs to, by its path, such as ``imagenet-train-0001.tar``."""
    words = _WORDS.split(name.lower().removesuffix(".tar"))
    parts = {part_of(word) for word in words} - {None}
    return parts.pop() if len(parts) == 1 else None
