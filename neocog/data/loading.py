"""From a place to images in parts: found, split, decoded."""

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
from neocog.data.splitting import split
from neocog.errors import DataError, printable
from neocog.files import user_path
from neocog.limits import available_cores
from neocog.preprocessing import Resize

__all__ = ["list_pictures", "prepare", "split_listing"]

_USUAL = LoadOptions()


def list_pictures(path: str | os.PathLike[str], request: Request) -> Listing:
    """What a file or folder has.

    Raises:
        DataError: it is not there, is of no known kind, or damaged.
    """
    place = user_path(path)
    if not is_there(place):
        raise DataError(f"There is no file or folder {printable(str(path), 300)}.")
    for source in SOURCES:
        if source.recognizes(place):
            return source.read(place, request)
    raise DataError(
        f"{printable(str(path), 300)} is no kind of data that is known. There are: "
        f"{', '.join(source.kind for source in SOURCES)}."
    )


def split_listing(
    found: Listing, validation: float = VALIDATION, seed: int = 0, place: str = ""
) -> dict[str, Pictures]:
    """The pictures of "train", "validation" and "test"; those of a source without parts are split.

    A source that has a test part but none for validation keeps it so. `place` is where it lies.
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
    """The pictures of a listing, decoded: mapped from the cache, where there is room in it.

    Args:
        found: what the source has.
        shape: (channels, height, width) of each image.
        resize: how pictures of other sizes are made to fit.
        options: which are held out, and how they are read; of the shape, what is given above.
        source: as of `Data`.

    Raises:
        DataError: pictures that cannot be read, by name.
        NeocogError: this process cannot get the memory.
    """
    parts = split_listing(found, options.validation, options.split_seed, source)
    threads = options.threads or available_cores()
    how = Decoding(shape, resize, threads, found.kind, found.name, source)
    total = sum(map(len, parts.values()))
    made: dict[str, Dataset] = {}
    done, bad, reasons = 0, [], []
    for part in PARTS:
        pictures = parts.get(part)
        if pictures is None:
            channels, height, width = shape
            nothing = np.empty((0, height, width, channels), np.uint8)
            made[part] = Dataset(nothing, np.empty(0, np.int64))
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
            f"Decoded pictures are not kept on the disk, so they are decoded anew each time: "
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
    """The pixels of all, where they lie in memory in the right shape; else None."""
    channels, height, width = shape
    pixels = getattr(pictures.store, "pixels", None)
    if pixels is None or pixels.shape[1:] != (height, width, channels):
        return None
    rows = pictures.rows
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return pixels[rows[0] : rows[0] + len(rows)]
    return pixels[rows]
