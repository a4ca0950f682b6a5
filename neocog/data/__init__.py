"""Images in: built-in shapes, and CIFAR-10."""

import os
from collections.abc import Callable
from pathlib import Path

from neocog.data.cifar import is_here as _cifar10_is_here
from neocog.data.cifar import load_cifar10
from neocog.data.dataset import Data, Dataset
from neocog.errors import DataError, did_you_mean
from neocog.files import exists, user_path
from neocog.validation import file_path

__all__ = ["NAMES", "Data", "Dataset", "is_here", "load_data"]

#: The data that have names.
NAMES = ("cifar10", "shapes")


def load_data(
    name_or_path: str | os.PathLike[str] = "shapes",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> Data:
    """Images to train on and to test with: uint8 [n, 32, 32, 3], labels int64 [n].

    Args:
        name_or_path: `shapes`, drawn in a second or two; `cifar10`; or the folder or archive that
            holds CIFAR-10's binary files.
        data_dir: where `cifar10` lies. Without it, `$NEOCOG_DATA` and the user's cache are looked
            through, and then it is downloaded.
        progress: called with the bytes done and the bytes in all while downloading.
        seed: which `shapes` are drawn, 0 to 2**64 - 1.

    Raises:
        DataError: no such data, or files that are missing or damaged.
    """
    file_path("The data's name or path", name_or_path, error=DataError)
    if data_dir is not None:
        file_path("data_dir", data_dir, error=DataError)
    name = os.fspath(name_or_path)  # as it is written: the path of "" would be this folder's
    if name == "cifar10":
        return load_cifar10(data_dir, progress=progress)
    if data_dir is not None:
        raise DataError(f"data_dir says where cifar10 lies; it does not go with {name!r}.")
    if name == "shapes":
        # Drawing needs Numba, and reading CIFAR-10 must not wait for its import.
        from neocog.data.shapes import shapes

        return shapes(seed)
    if name and exists(user_path(name)):
        return load_cifar10(name)
    raise DataError(_unknown(name))


def is_here(name: str) -> bool:
    """Whether these are data with a name, and `load_data` gives them without downloading."""
    return name == "shapes" or (name == "cifar10" and _cifar10_is_here())


def _unknown(name: str) -> str:
    if len(Path(name).parts) > 1:
        return f"There is no file or folder {name}. Name one, or one of: {', '.join(NAMES)}."
    return (
        f"There is no data named {name!r}, and no such file or folder."
        f"{did_you_mean(name, NAMES)} "
        f"There are: {', '.join(NAMES)}, or the path of a folder with CIFAR-10's binary files."
    )
