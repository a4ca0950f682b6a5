"""Loads images from a path: finds the pictures, splits and decodes them."""

import os
from typing import Any

import numpy as np

from neocog.data.cache.decoded_cache import Decoding
from neocog.data.decoding import check_bad
from neocog.data.images import Dataset
from neocog.data.loaded import LoadedData
from neocog.data.options import VALIDATION, LoadOptions
from neocog.data.resizing import leaves_alone
from neocog.data.sources import ALL, PARTS, SOURCES, Listing, Pictures, Request, is_there
from neocog.data.sources.base import ONE, check_one_class
from neocog.data.splitting import split
from neocog.errors import DataError, printable
from neocog.files import user_path
from neocog.limits import available_cores
from neocog.preprocessing import Resize

__all__ = ["list_pictures", "prepare", "split_listing"]

_USUAL = LoadOptions()


def list_pictures(path: str | os.PathLike[str], request: Request) -> Listing:
    """The pictures of a file or folder.

    Raises:
        DataError: it does not exist, is of no known kind, or is damaged.
    """
    place = user_path(path)
    if not is_there(place):
        raise DataError(f"There is no file or folder {printable(str(path), 300)}.")
    for source in SOURCES:
        if source.recognizes(place):
            if not source.has_tables:
                check_one_class(request, f"{printable(str(path), 300)} is of the {source.kind}")
            return source.read(place, request)
    raise DataError(
        f"{printable(str(path), 300)} is no kind of data that is known. There are: "
        f"{', '.join(source.kind for source in SOURCES)}."
    )


def split_listing(
    found: Listing, validation: float = VALIDATION, seed: int = 0, place: str = ""
) -> dict[str, Pictures]:
    """The pictures of "train", "validation" and "test"; a source without parts is split.

    A source with a test part but no validation part gets none. `place` is where the source is.
    """
    if ALL not in found.parts:
        return dict(found.parts)
    train, held_out = split(found.parts[ALL], validation, seed, place)
    return {"train": train, "validation": held_out}


def prepare(
    found: Listing,
    shape: tuple[int, int, int],
    resize: Resize,
    options: LoadOptions = _USUAL,
    source: str = "",
) -> LoadedData:
    """Decode the pictures of a listing, or map them from the cache.

    Args:
        found: the pictures of the source.
        shape: (channels, height, width) of each image.
        resize: how pictures of other sizes are fitted.
        options: the split, and what happens to bad pictures; its shape is ignored.
        source: as in `Data`.

    Raises:
        DataError: pictures that cannot be read; the message lists them.
        NeocogError: there is not enough memory.
    """
    parts = split_listing(found, options.validation, options.split_seed, source)
    threads = options.threads or available_cores()
    how = Decoding(shape, resize, threads, found.kind, found.name, source)
    total = sum(map(len, parts.values()))
    has_targets = options.labels != ONE
    made: dict[str, Dataset] = {}
    done, bad, reasons = 0, [], []
    for part in PARTS:
        pictures = parts.get(part)
        if pictures is None:
            channels, height, width = shape
            nothing = np.empty((0, height, width, channels), np.uint8)
            outputs = len(found.classes)
            empty = np.empty((0, outputs), np.float32) if has_targets else np.empty(0, np.int64)
            made[part] = Dataset(nothing, empty)
        elif leaves_alone(resize) and (pixels := _as_they_are(pictures, shape)) is not None:
            made[part] = Dataset(pixels, pictures.labels)
        else:
            decoded = how.decoded(pictures, options.progress, done, total)
            bad += decoded.bad
            reasons += [decoded.why_not_kept] if decoded.why_not_kept else []
            kept = pictures.without([one.place for one in decoded.bad])
            made[part] = Dataset(decoded.images, kept.labels, kept.names(), decoded.digest)
            done += len(pictures)
    check_bad(bad, total, options.on_bad)
    notes = list(found.notes)
    if bad:
        notes.append(f"Pictures that cannot be read and are skipped: {len(bad):,}.")
    if reasons:
        notes.append(
            f"Decoded pictures are not cached on disk, so they are decoded again each time: "
            f"{reasons[0]}. NEOCOG_CACHE_DIR can name another folder for them."
        )
    return LoadedData(
        found.name,
        made["train"],
        made["test"],
        found.classes,
        source,
        made["validation"],
        options.chosen,
        tuple(notes),
    )


def _as_they_are(pictures: Pictures, shape: tuple[int, int, int]) -> Any:
    """The pixels of all pictures if they are in memory and have the right shape; else None."""
    channels, height, width = shape
    pixels = getattr(pictures.store, "pixels", None)
    if pixels is None or pixels.shape[1:] != (height, width, channels):
        return None
    rows = pictures.rows
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return pixels[rows[0] : rows[0] + len(rows)]
    return pixels[rows]
