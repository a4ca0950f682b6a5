"""Strips of images: some rows after others, of a single image for several workers, or in a cache.

A strip of a map is a map itself: it begins where its first row does, and has fewer rows. So a
kernel that computes rows alone works on a strip if its spec is that of the strip.

Instructions on large images run over one strip after another, in *runs*, so that an instruction
finds in the second-level cache what the one before it wrote. Where workers share a single image,
each takes some strips of a run.

A convolution reads rows above and below those that it computes. If other instructions of the run
write these, they *lead*: they compute some rows before the run and keep so many rows ahead in it.
A worker of a single image cannot wait for others, so there the convolution begins another run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Any

from neocog.engine.plan import Instruction

__all__ = ["Emitted", "Part", "Rows", "parts_of"]

_FLOAT = 4

# Bytes of a run's maps from which on workers share a single image's rows, which takes a barrier.
_LEAST_SHARED = 64 * 1024

# Bytes of a run's maps that stay in a second-level cache.
_NEAR = 1024 * 1024

#: The first rows of strips and those after the last.
Strips = list[tuple[int, int]]


@dataclass(frozen=True)
class Rows:
    """What an instruction computes, row by row.

    Attributes:
        spec_of: gives the spec for the rows from the first number to that before the second; all
            are of one kind.
        height: rows in all.
        floats: of operands that are other ones for other rows, the floats from a row to the next.
        beyond: of operands of which rows before a strip's are read, and perhaps behind: how many
            of their rows behind the strip's own; None if that is unknown.
        each: of operands of which every strip has one of its own, floats. They are allocated when
            the strips are known.
        multiple: the rows of a strip are a multiple of it.
    """

    spec_of: Callable[[int, int], Any]
    height: int
    floats: Mapping[str, int | Fraction]
    beyond: Mapping[str, int | None] = field(default_factory=dict)
    each: Mapping[str, int] = field(default_factory=dict)
    multiple: int = 1

    @classmethod
    def of_maps(cls, spec: Any, names: Sequence[str], **others: Any) -> "Rows":
        """Those of maps of one height, which have these names in the spec and as operands."""
        maps = {name: getattr(spec, name) for name in names}

        def spec_of(begin: int, end: int) -> Any:
            return replace(spec, **{n: replace(m, height=end - begin) for n, m in maps.items()})

        floats = {name: m.row for name, m in maps.items()}
        return cls(spec_of, maps[names[0]].height, floats, **others)

    def bytes_of(self, name: str, rows: int) -> int:
        """From the first of so many rows of an operand to the first behind them."""
        return int(self.floats[name] * rows * _FLOAT)

    def strips(self, size: int, ahead: int = 0) -> Strips:
        """Strips of `size` rows, from row `ahead` on; the last has the rest, or a few more."""
        begins = list(range(ahead, self.height, size))
        if len(begins) > 1 and self.height - begins[-1] < self.multiple:
            begins.pop()
        return list(zip(begins, [*begins[1:], self.height], strict=True))


@dataclass(eq=False)
class Emitted:
    """An instruction on images, before it is known how many strips these have.

    Attributes:
        instruction: on whole images.
        named: the buffers of its operands by the operand's name.
        rows: what it computes row by row; None if it needs whole images.
        strips: how many strips it runs over, once that is known.
    """

    instruction: Instruction
    named: Mapping[str, str]
    rows: Rows | None = None
    strips: int = 1

    @property
    def buffers(self) -> set[str]:
        """The buffers of its operands."""
        return set(self.named.values())

    @property
    def beyond(self) -> dict[str, int | None]:
        """`Rows.beyond`, by buffer."""
        beyond = self.rows.beyond if self.rows else {}
        return {self.named[name]: rows for name, rows in beyond.items() if name in self.named}

    def floats(self, buffer: str) -> int | Fraction:
        """Floats of a buffer from a row that it computes to the next; 0 if they are the same."""
        assert self.rows is not None  # noqa: S101
        names = (name for name, of in self.named.items() if of == buffer)
        return next((self.rows.floats[name] for name in names if name in self.rows.floats), 0)


@dataclass(frozen=True)
class Part:
    """Instructions that run together.

    Attributes:
        members: them, each with its strips; None for whole images.
        strips: how many strips all of them run over, one after another; 0 for none.
    """

    members: list[tuple[Emitted, Strips | None]]
    strips: int = 0


@dataclass
class _Run:
    """Instructions that may run over the same strips: of these, `leads` keep `ahead` rows ahead."""

    members: list[Emitted]
    leads: int = 0
    ahead: int = 0

    @property
    def rows(self) -> list[Rows]:
        return [one.rows for one in self.members if one.rows is not None]

    @property
    def bytes(self) -> int:
        """All maps of an image."""
        sizes: dict[str, int] = {}
        for one, rows in zip(self.members, self.rows, strict=True):
            for name in rows.floats.keys() & one.named.keys():
                buffer = one.named[name]
                sizes[buffer] = max(sizes.get(buffer, 0), rows.bytes_of(name, rows.height))
        return sum(sizes.values())

    def takes(self, one: Emitted) -> bool:
        """Whether an instruction may run over a strip before the others are at the next."""
        last = self.members[-1].rows
        if one.rows is None or last is None or one.rows.height != last.height:
            return False
        return not any(
            one.beyond.keys() & other.buffers or other.beyond.keys() & one.buffers
            for other in self.members
        )

    def led(self, one: Emitted) -> "_Run | None":
        """The run of an instruction that reads rows beyond the strip, and of those that write them.

        They leave this run. None if they cannot lead.
        """
        of = [k for k, other in enumerate(self.members) if one.beyond.keys() & other.buffers]
        if not of or of[0] < self.leads or one.rows is None:
            return None
        leads, ahead = self.members[of[0] :], 0
        for other in leads:
            rows = other.rows
            if rows is None or rows.each or rows.multiple > 1 or other.beyond.keys() & one.buffers:
                return None
            for buffer in one.beyond.keys() & other.buffers:
                beyond, each = one.beyond[buffer], other.floats(buffer)
                if beyond is None or rows.height * each != one.rows.height * one.floats(buffer):
                    return None
                ahead = max(ahead, beyond)
        if len({other.rows.height for other in leads if other.rows}) > 1:
            return None
        del self.members[of[0] :]
        return _Run([*leads, one], len(leads), ahead)


def parts_of(emitted: Sequence[Emitted], workers: int) -> list[Part]:
    """Instructions in their order, as they run together.

    So many workers share the strips of a single image; 0 workers: each takes whole images.
    """
    parts: list[Part] = []
    for run in _runs(emitted, can_lead=workers == 0):
        of = _of_single_image(run, workers) if workers else _of_images(run)
        if of:
            parts += of
        elif parts and parts[-1].strips == 0 and parts[-1].members[-1][1] is None:
            parts[-1].members.extend((one, None) for one in run.members)
        else:
            parts.append(Part([(one, None) for one in run.members]))
    return parts


def _runs(emitted: Sequence[Emitted], *, can_lead: bool) -> Iterator[_Run]:
    run: _Run | None = None
    for one in emitted:
        if run is None:
            run = _Run([one])
        elif run.takes(one):
            run.members.append(one)
        else:
            led = run.led(one) if can_lead else None
            if run.members:
                yield run
            run = led or _Run([one])
    if run is not None:
        yield run


def _of_images(run: _Run) -> list[Part]:
    """The parts of a run over each of several images; none if strips do not pay."""
    rows = run.rows
    if len(rows) < 2 or run.bytes <= _NEAR:
        return []

    def fits(strips: int) -> bool:
        sizes = [of.height / strips for of in rows]
        even = all(size % of.multiple == 0 for size, of in zip(sizes, rows, strict=True))
        return even and (run.leads == 0 or sizes[0] > run.ahead)

    shortest = min(of.height for of in rows)
    strips = next((n for n in range(-(-run.bytes // _NEAR), shortest + 1) if fits(n)), 1)
    if strips == 1:
        return []
    members: list[tuple[Emitted, Strips | None]] = []
    before: list[tuple[Emitted, Strips | None]] = []
    for k, (one, of) in enumerate(zip(run.members, rows, strict=True)):
        ahead = run.ahead if k < run.leads else 0
        if ahead:
            before.append((one, [(0, ahead)]))
        members.append((one, of.strips(of.height // strips, ahead)))
        one.strips = strips
    parts = [Part(before, 1)] if before else []
    return [*parts, Part(members, strips)]


def _of_single_image(run: _Run, workers: int) -> list[Part]:
    """The part of a run over a single image that workers share; none if that does not pay."""
    rows, total = run.rows, run.bytes if run.rows else 0
    shared = workers > 1 and total >= _LEAST_SHARED
    if not rows or not (shared or (len(rows) > 1 and total > _NEAR)):
        return []
    height, multiple = rows[0].height, lcm(*(of.multiple for of in rows))
    most = max(1, min(height * _NEAR // total, -(-height // workers)))
    size = _balanced(height, workers, most, multiple)
    if size >= height:
        return []
    members: list[tuple[Emitted, Strips | None]] = [
        (one, of.strips(size)) for one, of in zip(run.members, rows, strict=True)
    ]
    return [Part(members, len(rows[0].strips(size)))]


def _balanced(height: int, workers: int, most: int, multiple: int) -> int:
    """Rows of strips, about at most so many, of which all workers get equally many."""

    def load(rows: int) -> int:
        strips = -(-height // rows)
        return -(-strips // workers) * rows

    sizes = range(multiple, max(multiple, most) + 1, multiple)
    return min(sizes, key=lambda rows: (load(rows), -rows))
