"""The findings of a check."""

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
        name: name for people, such as its path in the source; it may contain any characters.
        part: "train", "validation" or "test".
        label: name of its class.
        index: its index among all pictures that were checked.
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
    """A picture that cannot be read, and the reason, in words that follow its name."""

    picture: Picture
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "reason": self.reason}


@dataclass(frozen=True)
class WrongEnding:
    """A picture whose file name has the ending of another format; it is read nonetheless."""

    picture: Picture
    says: str
    is_: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "says": self.says, "is": self.is_}


@dataclass(frozen=True)
class Odd:
    """A picture that is far from the others of its class, with its outlier score."""

    picture: Picture
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.picture.to_dict(), "score": self.score}


@dataclass(frozen=True)
class Group:
    """Copies of a picture.

    Attributes:
        how: "bytes", "pixels" (equal pixels in different files) or "near".
        pictures: at least two.
    """

    how: str
    pictures: tuple[Picture, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"how": self.how, "pictures": [one.to_dict() for one in self.pictures]}


@dataclass(frozen=True)
class Pair:
    """Copies of a picture in two parts or with two labels.

    Attributes:
        first: the picture in the earlier part.
        second: the other picture.
        how: "bytes", "pixels" (equal pixels in different files) or "near".
        bits: number of bits in which their perceptual hashes differ.
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
    """Widths and heights of the pictures that could be read, after EXIF rotation.

    Attributes:
        smallest: (width, height) of the picture with the fewest pixels.
        median: median width and median height.
        largest: (width, height) of the picture with the most pixels.
        most_frequent: up to eight sizes and the number of their pictures.
        different: number of different sizes.
        aspects: smallest, median and largest ratio of width to height.
        landscape: number of pictures that are wider than high.
        portrait: number of pictures that are higher than wide.
        square: number of all others.
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
    """All findings of a check.

    Attributes:
        name: name of the data.
        kind: kind of the source, in the plural.
        classes: names of the classes.
        count: number of pictures.
        notes: sentences about ignored files and about the split.
        balance: numbers of pictures per part and class.
        sizes: sizes of the pictures; None if none can be read.
        modes: number of pictures per way of storing pixels: "RGB", "16-bit gray", ….
        formats: number of files per format: "PNG", ….
        turned: number of pictures that are rotated by their EXIF data.
        broken: pictures that cannot be read.
        wrong_endings: pictures whose name has the ending of another format.
        one_color: pictures of a single color.
        exact: groups of identical pictures.
        near: groups of near duplicates.
        leaks: pictures that are in two parts.
        conflicts: pictures with two labels.
        odd: pictures that are far from all others of their class, the farthest first.
        complete: whether all near duplicates were searched for; see `methods`.
        methods: explanations of how "exact", "near" and "odd" were found.
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
        """Whether no picture is broken, and none is exactly the same in two parts or classes.

        Args:
            strict: whether near duplicates count too.
        """
        pairs = [*self.leaks, *self.conflicts]
        return not self.broken and not any(strict or pair.how != "near" for pair in pairs)

    def to_dict(self) -> dict[str, Any]:
        """All findings as plain data, for JSON."""
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
