"""The report of a check, with its page."""

import os
from dataclasses import dataclass

from neocog.data.check.findings import Findings
from neocog.data.check.page import page
from neocog.files import write_bytes

__all__ = ["Report"]


@dataclass(frozen=True, eq=False, repr=False)
class Report(Findings):
    """The result of `neocog.check_data`; `Findings` has its attributes."""

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """Write an HTML file with the findings and thumbnails of some 300 pictures.

        The pictures are read again. Raises OSError if the file cannot be written.
        """
        write_bytes(path, page(self).encode())
