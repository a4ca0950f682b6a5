"""The result of `neocog.suggest`, with its page."""

import os
from dataclasses import dataclass

from neocog.curation.findings import Findings
from neocog.curation.page import page
from neocog.files import write_bytes

__all__ = ["Suggestions"]


@dataclass(frozen=True, eq=False, repr=False)
class Suggestions(Findings):
    """The result of `neocog.suggest`; `Findings` has its attributes."""

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """Write an HTML file with the suggestions, and thumbnails of up to 120 pictures.

        The pictures are read again. Raises OSError if the file cannot be written.
        """
        write_bytes(path, page(self).encode())
