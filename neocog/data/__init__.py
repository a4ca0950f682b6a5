"""Images in: from pictures that people have, from arrays, from data with a name, and drawn ones."""

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

#: The data that have names.
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
    threads: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Data:
    """Images to train on and to judge by: uint8 [n, height, width, channels], labels int64 [n].

    Args:
        name_or_path: `shapes`, drawn in a second or two; `cifar10`; the path of a folder or file
            with pictures, of any of the kinds in `neocog.data.sources`; or what a program has:
            a tuple (images, labels) or (files, labels), a list of pairs (picture, label), a
            `Dataset` or a `Data`, as `Data.from_arrays`, `from_files` and `from_iterable` say.
        size: height and width of the images, one number for a square; chosen by the pictures' own,
            if None.
        channels: 1 for gray, 3 for colors; chosen by the pictures', if None.
        resize: how pictures of other sizes are made to fit; chosen by the pictures, if None.
        classes: those that are wanted, in the order of their numbers; all, by name, if None.
        validation: the part of each class that is held out, where the source does not say which.
        split_seed: which pictures these are.
        on_bad: "error" for pictures that cannot be read; "skip" leaves them out, up to 1 %.
        file_column: of a table, the column of file names; found out, if None.
        label_column: of a table, the column of labels; found out, if None.
        threads: how many decode at once; as many as this process may use, if None.
        data_dir: where `cifar10` lies. Without it, `$NEOCOG_DATA` and the user's cache are looked
            through, and then it is downloaded.
        progress: told of what takes long, as `neocog.data.progress` says.
        seed: which `shapes` are drawn, 0 to 2**64 - 1.

    Raises:
        DataError: no such data, or files that are missing or damaged.
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
        threads=threads,
        progress=progress,
    )
    if not is_text:
        if data_dir is not None:
            raise DataError("data_dir says where cifar10 lies; it goes with that name alone.")
        return Data.of(from_anything(name_or_path, options))
    name = os.fspath(name_or_path)  # as it is written: the path of "" would be this folder's
    if name in NAMED:
        return Data.of(NAMED[name].load(options, data_dir, seed))
    if data_dir is not None:
        raise DataError(f"data_dir says where cifar10 lies; it does not go with {name!r}.")
    if not name or not is_there(name):
        raise DataError(_unknown(name))
    return Data.of(find(name, options).load())


def is_here(name: str) -> bool:
    """Whether these are data with a name, and `load_data` gives them without downloading."""
    return name in NAMED and NAMED[name].is_here()


def _unknown(name: str) -> str:
    if len(Path(name).parts) > 1:
        return f"There is no file or folder {name}. Name one, or one of: {', '.join(NAMES)}."
    return (
        f"There is no data named {name!r}, and no such file or folder."
        f"{did_you_mean(name, NAMES)} "
        f"There are: {', '.join(NAMES)}, or the path of a folder with pictures."
    )
