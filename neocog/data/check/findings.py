"""What a check has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neocog.data.check.balance import Balance
from neocog.data.check.table import Everything
from neocog.errors import printable

__all__ = ["Broken", "Findings", "Group", "Odd", "Pair", "Picture", "Sizes", "WrongEnding"]


@dataclass(frozen=True)
class Picture:
    """A picture of the source.

    Attributes:
        name: what people know it by, such as its path in the source; as it is, whatever is in it.
        part: "train", "validation" or "test".
        label: the name of its class.
        index: among all that were looked at.
    """

    name: str
    part: str
    label: str
    index: int = field(default=0, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "part": self.part, "class": self.label}


@dataclass(frozen=True)
class Broken:
    """A picture that cannot be read, and why, in words that follow its name."""

    picture: Picture
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "reason": self.reason}


@dataclass(frozen=True)
class WrongEnding:
    """A picture whose name says another kind of file than it is; it is read nonetheless."""

    picture: Picture
    says: str
    is_: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "says": self.says, "is": self.is_}


@dataclass(frozen=True)
class Odd:
    """A picture that is far from the others of its class, and by how much."""

    picture: Picture
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "score": self.score}


@dataclass(frozen=True)
class Group:
    """Pictures that are the same.

    Attributes:
        how: "bytes", "pixels" (of other bytes) or "near".
        pictures: two at least.
    """

    how: str
    pictures: tuple[Picture, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"how": self.how, "pictures": [one.to_dict() for one in self.pictures]}


@dataclass(frozen=True)
class Pair:
    """A picture that is in two parts, or has two labels.

    Attributes:
        first: the one, of the earlier part.
        second: the other.
        how: "bytes", "pixels" (of other bytes) or "near".
        bits: how many differ of their perceptual hashes.
    """

    first: Picture
    second: Picture
    how: str
    bits: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        both = {"first": self.first.to_dict(), "second": self.second.to_dict()}
        return {"how": self.how, "bits": self.bits, **both}


@dataclass(frozen=True)
class Sizes:
    """Widths and heights of the pictures that could be read, as they are seen.

    Attributes:
        smallest: (width, height) of the one with the fewest pixels.
        median: the median width and the median height.
        largest: of the one with the most pixels.
        most_frequent: up to eight sizes and how often they are.
        different: how many different sizes there are.
        aspects: the least, the median and the largest ratio of width to height.
        landscape: pictures that are wider than high.
        portrait: those that are higher than wide.
        square: all others.
    """

    smallest: tuple[int, int]
    median: tuple[float, float]
    largest: tuple[int, int]
    most_frequent: tuple[tuple[tuple[int, int], int], ...]
    different: int
    aspects: tuple[float, float, float]
    landscape: int
    portrait: int
    square: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "smallest": list(self.smallest),
            "median": list(self.median),
            "largest": list(self.largest),
            "most_frequent": [[*size, count] for size, count in self.most_frequent],
            "different": self.different,
            "aspects": list(self.aspects),
            "landscape": self.landscape,
            "portrait": self.portrait,
            "square": self.square,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """All that a check has found.

    Attributes:
        name: of the data.
        kind: of source, in the plural.
        classes: their names.
        count: pictures in all.
        notes: sentences on what was passed over, and on how the parts were made.
        balance: how many pictures each part and class has.
        sizes: of the pictures; None where none can be read.
        modes: how many are stored in which way: "RGB", "16-bit gray", ….
        formats: how many files are of which kind: "PNG", ….
        turned: how many are turned by their EXIF data.
        broken: those that cannot be read.
        wrong_endings: those whose name says another kind of file.
        one_color: those that show one color and nothing else.
        exact: groups of pictures that are exactly the same.
        near: groups of pictures that are nearly the same.
        leaks: pictures that are in two parts.
        conflicts: pictures under two labels.
        odd: pictures that are far from all others of their class, the farthest first.
        complete: whether all nearly equal pictures were looked for; see `methods`.
        methods: in words, how "exact", "near" and "odd" were found.
        everything: the pictures, for the page.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    count: int
    notes: tuple[str, ...]
    balance: Balance
    sizes: Sizes | None
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    turned: int
    broken: tuple[Broken, ...]
    wrong_endings: tuple[WrongEnding, ...]
    one_color: tuple[Picture, ...]
    exact: tuple[Group, ...]
    near: tuple[Group, ...]
    leaks: tuple[Pair, ...]
    conflicts: tuple[Pair, ...]
    odd: tuple[Odd, ...]
    complete: bool
    methods: Mapping[str, str]
    everything: Everything

    def __repr__(self) -> str:
        found = ", ".join(
            f"{len(what):,} {name}"
            for name, what in (
                ("broken", self.broken),
                ("in two parts", self.leaks),
                ("under two labels", self.conflicts),
                ("far out", self.odd),
            )
            if what
        )
        return (
            f"<Report on {printable(self.name, 60)!r}: {self.count:,} pictures in "
            f"{len(self.classes):,} classes; {found or 'nothing found'}>"
        )

    def passes(self, *, strict: bool = False) -> bool:
        """Whether nothing is broken, and no picture is exactly the same in two parts or classes.

        Args:
            strict: whether what is nearly the same counts too.
        """
        pairs = [*self.leaks, *self.conflicts]
        return not self.broken and not any(strict or pair.how != "near" for pair in pairs)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with everything, for JSON."""
        balance = self.balance
        return {
            "name": self.name,
            "kind": self.kind,
            "classes": list(self.classes),
            "count": self.count,
            "passes": self.passes(),
            "passes_strict": self.passes(strict=True),
            "notes": list(self.notes),
            "parts": {part: dict(counts) for part, counts in balance.counts.items()},
            "balance": {
                "largest": {"class": balance.largest[0], "count": balance.largest[1]},
                "smallest": {"class": balance.smallest[0], "count": balance.smallest[1]},
                "ratio": balance.ratio,
                "uneven": balance.uneven,
                "majority": balance.majority,
                "empty": list(balance.empty),
                "tiny": list(balance.tiny),
                "missing": {part: list(names) for part, names in balance.missing.items()},
            },
            "sizes": None if self.sizes is None else self.sizes.to_dict(),
            "modes": dict(self.modes),
            "formats": dict(self.formats),
            "turned": self.turned,
            "one_color": [one.to_dict() for one in self.one_color],
            **{name: [one.to_dict() for one in getattr(self, name)] for name in _LISTS},
            "complete": self.complete,
            "methods": dict(self.methods),
        }


_LISTS = ("broken", "wrong_endings", "exact", "near", "leaks", "conflicts", "odd")
