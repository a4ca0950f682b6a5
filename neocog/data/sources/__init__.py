"""The kinds of sources that pictures come from, one file each."""

from neocog.data.sources import class_folders, parquet_images, table
from neocog.data.sources.base import ALL, PARTS, Listing, Pictures, Request, Source, Store

__all__ = ["ALL", "PARTS", "SOURCES", "Listing", "Pictures", "Request", "Source", "Store"]

#: In the order in which they are asked whether they recognize a place; the first that does reads.
#: Class folders come last, as they take any folder.
SOURCES: tuple[Source, ...] = (table.SOURCE, parquet_images.SOURCE, class_folders.SOURCE)
