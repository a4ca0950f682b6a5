"""Features of all pictures of a source, computed by threads; half a kilobyte each is kept."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.check.features import LENGTH, features, gray_levels
from neocog.data.check.looking import KINDS, MODES, Look, look
from neocog.data.check.perceptual_hash import perceptual_hashes
from neocog.data.decoding import BadPicture
from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.sources import Pictures
from neocog.errors import DataError
from neocog.limits import require_memory

__all__ = ["Everything", "Table", "look_at_all"]

# Pictures that a thread processes at a time.
_AT_A_TIME = 64
_BYTES_EACH = LENGTH + 128
# A picture whose brightest and darkest pixels differ by no more than this has one color.
_ONE_COLOR = 8


class Everything:
    """The pictures of all parts, one after another.

    Args:
        parts: pictures by the names of the parts.

    Attributes:
        parts: names of the parts.
        part: uint8 [n], the part of each picture.
        labels: int64 [n].
    """

    def __init__(self, parts: Mapping[str, Pictures]) -> None:
        self.parts = tuple(parts)
        self._pictures = list(parts.values())
        lengths = [len(one) for one in self._pictures]
        self._begins = np.cumsum([0, *lengths[:-1]])
        self.part = np.repeat(np.arange(len(lengths), dtype=np.uint8), lengths)
        self.labels = np.concatenate([one.labels for one in self._pictures])

    def __len__(self) -> int:
        return len(self.part)

    def _at(self, index: int) -> tuple[Pictures, int]:
        part = int(self.part[index])
        return self._pictures[part], index - int(self._begins[part])

    def name(self, index: int) -> str:
        """The name of a picture for people."""
        pictures, at = self._at(index)
        return pictures.name(at)

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """As `Store.read`, but refuses files that are too large for a picture.

        Raises:
            OSError: it cannot be read.
            DataError: it cannot be read; the message continues the picture's name.
        """
        pictures, at = self._at(index)
        size = pictures.store.size(int(pictures.rows[at]))
        if size > LARGEST_FILE:
            raise DataError(f"has {size:,} bytes: too large for a picture.")
        return pictures.read(at)


@dataclass(frozen=True, eq=False)
class Table:
    """The features of n pictures, in order.

    Attributes:
        good: bool, whether the picture could be decoded; if not, its other features mean nothing.
        size: int32 [n, 2], width and height.
        kind: uint8, index into `KINDS`.
        mode: uint8, index into `MODES`.
        turned: bool, whether EXIF data rotate it.
        one_color: bool.
        content: uint64 [n, 2], a digest of the bytes.
        pixels: uint64 [n, 2], a digest of the pixels.
        hashes: uint64, perceptual hashes.
        hashed: bool, whether the hash is meaningful.
        features: uint8 [n, 384].
        broken: pictures that could not be decoded.
    """

    good: NDArray[np.bool_]
    size: NDArray[np.int32]
    kind: NDArray[np.uint8]
    mode: NDArray[np.uint8]
    turned: NDArray[np.bool_]
    one_color: NDArray[np.bool_]
    content: NDArray[np.uint64]
    pixels: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    hashed: NDArray[np.bool_]
    features: NDArray[np.uint8]
    broken: list[BadPicture]


def look_at_all(
    everything: Everything, threads: int, progress: Callable[[int, int], None] | None = None
) -> Table:
    """Decode every picture once.

    Args:
        everything: the pictures.
        threads: number of threads that decode.
        progress: called with the number of pictures done and the number of all.

    Raises:
        NeocogError: there is not enough memory.
    """
    n = len(everything)
    require_memory(_BYTES_EACH * n, f"Checking {n:,} pictures", "Check fewer at a time.")
    table = Table(
        good=np.zeros(n, np.bool_),
        size=np.zeros((n, 2), np.int32),
        kind=np.zeros(n, np.uint8),
        mode=np.zeros(n, np.uint8),
        turned=np.zeros(n, np.bool_),
        one_color=np.zeros(n, np.bool_),
        content=np.zeros((n, 2), np.uint64),
        pixels=np.zeros((n, 2), np.uint64),
        hashes=np.zeros(n, np.uint64),
        hashed=np.zeros(n, np.bool_),
        features=np.zeros((n, LENGTH), np.uint8),
        broken=[],
    )

    def some(first: int) -> list[BadPicture]:
        seen: dict[int, Look] = {}
        bad = []
        for index in range(first, min(first + _AT_A_TIME, n)):
            try:
                seen[index] = look(everything.read(index))
            except DataError as error:
                bad.append(BadPicture(index, everything.name(index), str(error)))
            except OSError as error:
                reason = f"cannot be read: {error.strerror or error}."
                bad.append(BadPicture(index, everything.name(index), reason))
        if seen:
            _keep(table, seen)
        return bad

    with ThreadPoolExecutor(threads) as pool:
        try:
            for first, bad in zip(
                range(0, n, _AT_A_TIME), pool.map(some, range(0, n, _AT_A_TIME)), strict=True
            ):
                table.broken.extend(bad)
                if progress is not None:
                    progress(min(first + _AT_A_TIME, n), n)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return table


def _keep(table: Table, seen: dict[int, Look]) -> None:
    """Write the features of some pictures into the table's rows."""
    for index, one in seen.items():
        table.size[index] = one.head.size
        table.kind[index] = KINDS.index(one.head.kind)
        table.mode[index] = MODES.index(one.head.mode)
        table.turned[index] = one.head.turned
        table.content[index] = np.frombuffer(one.content, np.uint64)
        table.pixels[index] = np.frombuffer(one.pixels, np.uint64)
    rows = np.fromiter(seen, np.int64, len(seen))
    thumbnails = np.stack([one.thumbnail for one in seen.values()])
    table.hashes[rows], table.hashed[rows] = perceptual_hashes(gray_levels(thumbnails))
    spread = np.ptp(thumbnails, axis=(1, 2)).max(axis=1)
    table.one_color[rows] = spread <= _ONE_COLOR
    table.features[rows] = features(thumbnails)
    table.good[rows] = True
