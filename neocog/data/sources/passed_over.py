"""Files in a folder or an archive that are ignored, and notes about them for the user."""

from collections import Counter
from dataclasses import dataclass, field

from neocog.errors import printable

__all__ = ["Named", "PassedOver"]

_MOST_NAMED = 3
_MOST_SUFFIXES = 4


class Named:
    """Counts things and keeps the names of the first few, as there may be millions."""

    def __init__(self) -> None:
        #: Number of things.
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= _MOST_NAMED:
            self._first.append(printable(name, 100))

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return ", ".join(self._first) + (f" and {more:,} more" if more else "")


@dataclass
class PassedOver:
    """What was found in a folder or an archive and is not read.

    Attributes:
        hidden: files and folders that are not the user's own data.
        links: links that lead to folders or outside.
        specials: pipes, devices, sockets.
        deep: folders that are nested too deeply.
        outside: names in an archive that lead out of it.
        others: files of other kinds, by the endings of their names.
        unreadable: folders and files that cannot be examined, with the reason.
        empty: folders without pictures.
    """

    hidden: int = 0
    links: int = 0
    specials: int = 0
    deep: int = 0
    outside: Named = field(default_factory=Named)
    others: Counter[str] = field(default_factory=Counter)
    unreadable: Named = field(default_factory=Named)
    empty: Named = field(default_factory=Named)

    def notes(self) -> list[str]:
        """Sentences for the user; empty if nothing was ignored."""
        found = []
        if self.others:
            kinds = [
                f"{printable(kind, 20) or 'no ending'} ({n:,})"
                for kind, n in self.others.most_common(_MOST_SUFFIXES)
            ]
            left = len(self.others) - len(kinds)
            more = f" and {left:,} more" if left else ""
            found.append("Files of other kinds are passed over: " + ", ".join(kinds) + more)
        for count, what in (
            (self.hidden, "hidden or of the system"),
            (self.links, "links to folders or to what lies outside"),
            (self.specials, "pipes, devices or sockets"),
            (self.deep, "too many folders deep"),
        ):
            if count:
                found.append(f"Passed over, as they are {what}: {count:,}")
        for names, what in (
            (self.outside, "Passed over, as their names lead out of the archive"),
            (self.unreadable, "Cannot be read"),
            (self.empty, "Folders without pictures"),
        ):
            if names.count:
                found.append(f"{what}: {names}")
        return [f"{one}." for one in found]
