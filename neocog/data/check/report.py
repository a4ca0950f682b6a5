"""What a check has found, and its page."""

import os
from dataclasses import dataclass

from neocog.data.check.findings import Findings
from neocog.data.check.page import page
from neocog.files import write_bytes

__all__ = ["Report"]


@dataclass(frozen=True, eq=False, repr=False)
class Report(Findings):
    """What `neocog.check_data` gives: all that it has found, as `Findings` has it."""

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """Write an HTML file that shows what was found, with thumbnails of some 300 pictures.

        These are read anew. Raises OSError where the file cannot be written.
        """
        write_bytes(path, page(self).encode())
