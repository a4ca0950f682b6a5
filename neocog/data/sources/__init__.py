"""The kinds of sources of pictures, one module each."""

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

#: Sources in the order in which they are asked whether they recognize a path; the first that does
#: is used. Compressed tar files come after the kinds that have such archives of their own. Class
#: folders come last, as they accept any folder.
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
    """Whether this may be a source: an existing path, or a pattern of shards."""
    return exists(user_path(path)) or is_pattern(os.fspath(path))
