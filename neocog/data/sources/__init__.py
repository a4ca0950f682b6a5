"""The kinds of sources that pictures come from, one file each."""

import os

from neocog.data.sources import (
    cifar10,
    cifar100,
    class_folders,
    idx,
    npz,
    parquet_images,
    table,
    tar_shards,
    zip_archive,
)
from neocog.data.sources.archives.shard_paths import is_pattern
from neocog.data.sources.base import ALL, PARTS, Listing, Pictures, Request, Source, Store
from neocog.files import exists, user_path

__all__ = [
    "ALL",
    "PARTS",
    "SOURCES",
    "Listing",
    "Pictures",
    "Request",
    "Source",
    "Store",
    "is_there",
]

#: In the order in which they are asked whether they recognize a place; the first that does reads.
#: Packed tar files come behind the kinds that have such archives of their own. Class folders come
#: last, as they take any folder.
SOURCES: tuple[Source, ...] = (
    idx.SOURCE,
    npz.SOURCE,
    cifar10.SOURCE,
    cifar100.SOURCE,
    tar_shards.SOURCE,
    zip_archive.SOURCE,
    tar_shards.PACKED,
    table.SOURCE,
    parquet_images.SOURCE,
    class_folders.SOURCE,
)


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether this may be a source: the path of what is there, or a pattern of shards."""
    return exists(user_path(path)) or is_pattern(os.fspath(path))
