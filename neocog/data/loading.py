"""From a place to images in parts: found, split, decoded."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.choices import choose_resize, choose_shape
from neocog.data.dataset import Dataset
from neocog.data.decoding import check_bad, decode
from neocog.data.options import VALIDATION, LoadOptions
from neocog.data.parts import Data
from neocog.data.progress import counting
from neocog.data.sources import ALL, PARTS, SOURCES, Listing, Pictures, Request, is_there
from neocog.data.splitting import split
from neocog.data.survey import survey
from neocog.errors import DataError, printable
from neocog.files import user_path
from neocog.limits import available_cores, require_memory
from neocog.preprocessing import Resize

__all__ = ["list_pictures", "load_listing", "load_path", "prepare", "split_listing"]

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
    found: Listing, validation: float = VALIDATION, seed: int = 0
) -> dict[str, Pictures]:
    """The pictures of "train", "validation" and "test"; those of a source without parts are split.

    A source that has a test part but none for validation keeps it so.
    """
    if ALL not in found.parts:
        return dict(found.parts)
    train, held_out = split(found.parts[ALL], validation, seed)
    return {"train": train, "validation": held_out}


def prepare(
    found: Listing,
    shape: tuple[int, int, int],
    resize: Resize,
    options: LoadOptions = _USUAL,
    source: str = "",
) -> Data:
    """The pictures of a listing, decoded.

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
    parts = split_listing(found, options.validation, options.split_seed)
    notes = list(found.notes)
    channels, height, width = shape
    total = sum(map(len, parts.values()))
    made: dict[str, Dataset] = {}
    done, bad_ones = 0, []
    for part in PARTS:
        pictures = parts.get(part)
        if pictures is None:
            made[part] = Dataset(
                np.empty((0, height, width, channels), np.uint8), np.empty(0, np.int64)
            )
            continue
        if (pixels := _as_they_are(pictures, shape)) is not None:
            made[part] = Dataset(pixels, pictures.labels)
            continue
        size = len(pictures) * channels * height * width
        require_memory(size, f"{len(pictures):,} images", "Choose a smaller size.")
        images = np.empty((len(pictures), height, width, channels), np.uint8)
        bad = decode(
            pictures,
            images,
            resize,
            threads=options.threads or available_cores(),
            progress=counting(options.progress, "decoding", done, total),
        )
        done += len(pictures)
        bad_ones += bad
        good = np.ones(len(pictures), np.bool_)
        good[[one.place for one in bad]] = False
        kept = pictures if good.all() else pictures.take(np.flatnonzero(good))
        names = [kept.name(n) for n in range(len(kept))]
        made[part] = Dataset(images if good.all() else images[good], kept.labels, names)
    check_bad(bad_ones, total, options.on_bad)
    if bad_ones:
        notes.append(f"Pictures that cannot be read and are skipped: {len(bad_ones):,}.")
    return Data(
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


def load_path(path: str | os.PathLike[str], options: LoadOptions = _USUAL) -> Data:
    """What `neocog.load_data` does with a path."""
    found = list_pictures(path, options.request())
    return load_listing(found, options, str(Path(user_path(path)).absolute()))


def load_listing(found: Listing, options: LoadOptions = _USUAL, source: str = "") -> Data:
    """`prepare`, with the shape and the resizing that the pictures ask for where nobody said them.

    Args:
        found: what a source has.
        options: what is wanted of it.
        source: as of `Data`.

    Raises:
        DataError: pictures that cannot be read.
        NeocogError: this process cannot get the memory.
    """
    sample = survey(next(pictures for pictures in found.parts.values() if len(pictures)))
    shape = choose_shape(sample, options.size, options.channels)
    return prepare(found, shape, options.resize or choose_resize(sample, shape), options, source)
