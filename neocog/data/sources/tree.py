"""Picture files by their paths, wherever they lie: in a folder, or in an archive.

What makes classes and parts of folders' names works on these, and knows nothing of where the files
are. So each kind of place brings its pictures and its words about what it has passed over, and each
arrangement of files (class folders, a table of labels) is understood in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from neocog.data.sources.base import Store

__all__ = ["Tree"]


@dataclass(frozen=True, eq=False)
class Tree:
    """The picture files of one place.

    Attributes:
        place: what the user calls it, ready for messages.
        name: of the data, as in `Listing`.
        names: the files' paths within the place, with slashes, by their numbers in `store`.
        store: reads them.
        notes: sentences for the user, of what was passed over.
    """

    place: str
    name: str
    names: Sequence[str]
    store: Store
    notes: Sequence[str] = ()
