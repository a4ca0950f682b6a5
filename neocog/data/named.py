"""Built-in data sets, which have names."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from neocog.data.finding import look
from neocog.data.loaded import LoadedData
from neocog.data.options import LoadOptions
from neocog.data.sources import cifar10
from neocog.data.sources.arrays import of_datasets
from neocog.errors import DataError
from neocog.files import user_path

__all__ = ["NAMED", "Named"]


@dataclass(frozen=True)
class Named:
    """A built-in data set.

    Attributes:
        load: loads it with these options, from a folder (None for the usual places), with a seed
            for drawn data.
        is_here: whether it can be loaded without downloading.
    """

    load: Callable[[LoadOptions, str | os.PathLike[str] | None, int], LoadedData]
    is_here: Callable[[], bool]


def _cifar10(
    options: LoadOptions, data_dir: str | os.PathLike[str] | None, _seed: int
) -> LoadedData:
    found = cifar10.read_named(data_dir, options.request())
    source = cifar10.NAME if data_dir is None else str(user_path(data_dir).absolute())
    return look(found, options, source).load()


def _shapes(options: LoadOptions, data_dir: str | os.PathLike[str] | None, seed: int) -> LoadedData:
    if data_dir is not None:
        raise DataError("data_dir says where cifar10 lies; it does not go with 'shapes'.")
    # Imported here because drawing needs Numba, whose import takes time.
    from neocog.data.shapes import shapes

    drawn = shapes(seed)
    parts = {part: images for part, images in drawn.parts.items() if len(images)}
    found = of_datasets("drawn shapes", drawn.name, parts, drawn.classes, options.request())
    return look(found, options, drawn.source).load()


#: Built-in data sets by name.
NAMED = {
    cifar10.NAME: Named(_cifar10, cifar10.is_here),
    "shapes": Named(_shapes, lambda: True),
}
