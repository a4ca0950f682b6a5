"""From a place to images in parts: found, split, decoded."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.choices import choose_resize, choose_shape
from neocog.data.dataset import Dataset
from neocog.data.decoding import check_bad, decode
from neocog.data.parts import Data
from neocog.data.progress import Progress, counting
from neocog.data.resizing import leaves_alone
from neocog.data.sources import ALL, PARTS, SOURCES, Listing, Pictures, Request
from neocog.data.splitting import split
from neocog.data.survey import survey
from neocog.errors import DataError, printable
from neocog.files import exists, user_path
from neocog.limits import available_cores, require_memory
from neocog.preprocessing import Resize

__all__ = ["VALIDATION", "list_pictures", "prepare", "split_listing"]

#: The part of each class that is held out, where the source does not say.
VALIDATION = 0.2


def list_pictures(path: str | os.PathLike[str], request: Request) -> Listing:
    """What a file or folder has.

    Raises:
        DataError: it is not there, is of no known kind, or damaged.
    """
    place = user_path(path)
    if not exists(place):
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
    *,
    source: str = "",
    validation: float = VALIDATION,
    split_seed: int = 0,
    on_bad: str = "error",
    threads: int | None = None,
    progress: Progress | None = None,
    options: Mapping[str, Any] | None = None,
) -> Data:
    """The pictures of a listing, decoded.

    Args:
        found: what the source has.
        shape: (channels, height, width) of each image.
        resize: how pictures of other sizes are made to fit.
        source: as of `Data`.
        validation: the part of each class to hold out, where the source does not say; 0 to 1.
        split_seed: which pictures these are.
        on_bad: "error", or "skip" for leaving out those that cannot be read, if they are few.
        threads: how many decode at once; as many as this process may use, if None.
        progress: told of the pictures that are decoded.
        options: as of `Data`.

    Raises:
        DataError: pictures that cannot be read, by name.
        NeocogError: this process cannot get the memory.
    """
    parts = split_listing(found, validation, split_seed)
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
        if leaves_alone(resize) and (pixels := _as_they_are(pictures, shape)) is not None:
            made[part] = Dataset(pixels, pictures.labels)
            continue
        size = len(pictures) * channels * height * width
        require_memory(size, f"{len(pictures):,} images", "Choose a smaller size.")
        images = np.empty((len(pictures), height, width, channels), np.uint8)
        bad = decode(
            pictures,
            images,
            resize,
            threads=threads or available_cores(),
            progress=counting(progress, "decoding", done, total),
        )
        done += len(pictures)
        bad_ones += bad
        good = np.ones(len(pictures), np.bool_)
        good[[one.place for one in bad]] = False
        kept = pictures if good.all() else pictures.take(np.flatnonzero(good))
        names = [kept.name(n) for n in range(len(kept))]
        made[part] = Dataset(images if good.all() else images[good], kept.labels, names)
    check_bad(bad_ones, total, on_bad)
    if bad_ones:
        notes.append(f"Pictures that cannot be read and are skipped: {len(bad_ones):,}.")
    return Data(
        found.name,
        made["train"],
        made["test"],
        found.classes,
        source,
        made["validation"],
        dict(options or {}),
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


def load_path(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None,
    channels: int | None,
    resize: Resize | None,
    classes: Sequence[str] | None,
    validation: float,
    split_seed: int,
    on_bad: str,
    file_column: str | None,
    label_column: str | None,
    threads: int | None,
    progress: Progress | None,
) -> Data:
    """What `neocog.load_data` does with a path; arguments as there."""
    request = Request(tuple(classes) if classes is not None else None, file_column, label_column)
    found = list_pictures(path, request)
    sample = survey(next(iter(found.parts.values())))
    sides = (size, size) if isinstance(size, int) else size
    shape = choose_shape(sample, sides, channels)
    options: dict[str, Any] = {}
    for name, value, usual in (
        ("classes", request.classes and list(request.classes), None),
        ("validation", validation, VALIDATION),
        ("split_seed", split_seed, 0),
        ("file_column", file_column, None),
        ("label_column", label_column, None),
    ):
        if value != usual:
            options[name] = value
    return prepare(
        found,
        shape,
        resize or choose_resize(sample, shape),
        source=str(Path(user_path(path)).absolute()),
        validation=validation,
        split_seed=split_seed,
        on_bad=on_bad,
        threads=threads,
        progress=progress,
        options=options,
    )
