"""Loads images: picture files, arrays, named data sets, and drawn shapes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neocog.data.dataset import Data
from neocog.data.doors import from_anything
from neocog.data.finding import find
from neocog.data.images import Dataset
from neocog.data.named import NAMED
from neocog.data.options import VALIDATION, LoadOptions
from neocog.data.progress import Progress
from neocog.data.sources import is_there
from neocog.errors import DataError, did_you_mean
from neocog.preprocessing import Resize
from neocog.validation import file_path

__all__ = ["NAMES", "Data", "Dataset", "Progress", "is_here", "load_data"]

#: Names of the built-in data sets.
NAMES = tuple(NAMED)


def load_data(
    name_or_path: Any = "shapes",
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    resize: Resize | None = None,
    classes: Sequence[str] | None = None,
    validation: float = VALIDATION,
    split_seed: int = 0,
    on_bad: str = "error",
    file_column: str | None = None,
    label_column: str | None = None,
    labels: str = "one",
    threads: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Data:
    """Load images to train on and to evaluate on.

    Images are uint8 [n, height, width, channels], labels int64 [n].

    Args:
        name_or_path: `shapes`, drawn in a second or two; `cifar10`; the path of a folder or file
            with pictures, of any of the kinds in `neocog.data.sources`; or objects: a tuple
            (images, labels) or (files, labels), a list of pairs (picture, label), a `Dataset` or a
            `Data`, as described at `Data.from_arrays`, `from_files` and `from_iterable`.
        size: height and width of the images, or one number for a square; None chooses a size by
            the pictures' sizes.
        channels: 1 for gray, 3 for color; None chooses by the pictures.
        resize: how pictures of other sizes are fitted; None chooses by the pictures.
        classes: names of the classes to use, in the order of their numbers; None uses all, sorted
            by name.
        validation: fraction of each class to hold out if the source has no split.
        split_seed: seed of that split.
        on_bad: "error" refuses pictures that cannot be read; "skip" leaves out up to 1 %.
        file_column: column of a table that has the file names; None finds it.
        label_column: column of a table that has the labels; None finds it. For several labels it
            may name several columns, parted by commas.
        labels: what a table says of each picture: "one" class; "several" labels, in a column each
            (1 for the pictures that have it, else 0) or parted by semicolons in one column; or a
            "number". For the latter two labels are targets, float32 [n, outputs].
        threads: number of threads that decode; None uses as many as this process may use.
        data_dir: folder of `cifar10`. Without it, `$NEOCOG_DATA` and the user's cache are searched,
            and then it is downloaded.
        progress: called during long tasks, as described in `neocog.data.progress`.
        seed: seed of `shapes`, 0 to 2**64 - 1.

    Raises:
        DataError: there are no such data, or files are missing or damaged.
    """
    is_text = isinstance(name_or_path, str | os.PathLike)
    if is_text:
        file_path("The data's name or path", name_or_path, error=DataError)
    if data_dir is not None:
        file_path("data_dir", data_dir, error=DataError)
    options = LoadOptions.of(
        size=size,
        channels=channels,
        resize=resize,
        classes=classes,
        validation=validation,
        split_seed=split_seed,
        on_bad=on_bad,
        file_column=file_column,
        label_column=label_column,
        labels=labels,
        threads=threads,
        progress=progress,
    )
    if not is_text:
        if data_dir is not None:
            raise DataError("data_dir says where cifar10 lies; it goes with that name alone.")
        return Data.of(from_anything(name_or_path, options))
    name = os.fspath(name_or_path)  # as written, since the path of "" would be the current folder
    if name in NAMED:
        return Data.of(NAMED[name].load(options, data_dir, seed))
    if data_dir is not None:
        raise DataError(f"data_dir says where cifar10 lies; it does not go with {name!r}.")
    if not name or not is_there(name):
        raise DataError(_unknown(name))
    return Data.of(find(name, options).load())


def is_here(name: str) -> bool:
    """Whether this is a built-in data set that `load_data` can load without downloading."""
    return name in NAMED and NAMED[name].is_here()


def _unknown(name: str) -> str:
    if len(Path(name).parts) > 1:
        return f"There is no file or folder {name}. Name one, or one of: {', '.join(NAMES)}."
    return (
        f"There is no data named {name!r}, and no such file or folder."
        f"{did_you_mean(name, NAMES)} "
        f"There are: {', '.join(NAMES)}, or the path of a folder with pictures."
    )
