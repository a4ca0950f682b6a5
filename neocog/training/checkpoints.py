"""The checkpoints of a run: the newest few, of which there is always one that is whole.

They lie in the folder ``checkpoints`` of a run, named by the steps taken. A new one is on the disk,
and its name too, before an older one is removed. One that is damaged is never passed over in
silence, and where all are damaged there is an error and no new beginning.
"""

import errno
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from neocog.errors import FormatError
from neocog.files import flush_folder, leftovers
from neocog.formats.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    checkpoint_size,
    read_checkpoint,
    write_checkpoint,
)
from neocog.write_errors import why_not_written

__all__ = ["CHECKPOINTS", "Checkpoints", "Newest"]

#: The folder of a run's checkpoints, in that of the run.
CHECKPOINTS = "checkpoints"

_NAME = re.compile(r"step-(\d{9,18})\.safetensors")
_KEEP = 3


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint that is whole.

    Attributes:
        steps: that were taken before it was saved.
        path: of its file.
        checkpoint: what it holds.
        damaged: a sentence for each newer one that is damaged, the newest first.
    """

    steps: int
    path: Path
    checkpoint: Checkpoint
    damaged: tuple[str, ...] = ()


class Checkpoints:
    """Saves the checkpoints of a run, and finds the newest one that is whole.

    Only the process that holds the run's lock may use it; see `neocog.training.run_lock`.

    Args:
        folder: of the run.
        keep: how many to keep, at least 1.

    Attributes:
        keep: the same; it can be set.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = _KEEP) -> None:
        self.folder = Path(folder) / CHECKPOINTS
        self.keep = keep
        # Newer than what the run went on from, and removed when there is a newer whole one.
        self._damaged: list[Path] = []

    def save(self, steps: int, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, and then remove the oldest of those that are more than to be kept.

        Args:
            steps: that were taken.
            checkpoint: what to write.

        Returns:
            The path of its file.

        Raises:
            FormatError: it cannot be written. The checkpoints from before are as they were.
        """
        path = self.folder / f"step-{steps:09d}.safetensors"
        try:
            self._make_folder()
            write_checkpoint(path, checkpoint)
        except OSError as error:
            why = why_not_written(path, error, size=checkpoint_size(checkpoint))
            raise FormatError(why) from error
        self._remove_old(path)
        return path

    def saved(self) -> list[tuple[int, Path]]:
        """The steps and the path of each checkpoint that is there, the newest first.

        Raises:
            FormatError: the folder cannot be read.
        """
        try:
            names = os.listdir(self.folder) if self._is_there() else []  # noqa: PTH208 - names only
        except OSError as error:
            reason = error.strerror or error
            raise FormatError(f"{self.folder} cannot be read: {reason}.") from error
        matches = sorted(filter(None, map(_NAME.fullmatch, names)), key=lambda m: -int(m[1]))
        return [(int(match[1]), self.folder / match[0]) for match in matches]

    def newest(self) -> Newest:
        """The newest checkpoint that is whole, and what is to be said of the newer ones.

        Also removes what a writing left that was killed.

        Raises:
            FormatError: there is none, all are damaged, or the newest cannot be read for another
                reason, as that a later version of neocog wrote it.
            NeocogError: this process cannot get the memory.
        """
        self._remove_leftovers()
        reasons: list[tuple[Path, str]] = []
        for steps, path in self.saved():
            try:
                checkpoint = read_checkpoint(path, follow_links=False)
            except DamagedCheckpointError as error:
                reasons.append((path, error.reason))
                continue
            self._damaged = [damaged for damaged, _reason in reasons]
            said = (
                f"{damaged.stem} is damaged: {reason}; going on from {path.stem}."
                for damaged, reason in reasons
            )
            return Newest(steps, path, checkpoint, tuple(said))
        if not reasons:
            raise FormatError(f"{self.folder} has no checkpoint to go on from.")
        listed = "; ".join(f"{path.stem}: {reason}" for path, reason in reasons)
        raise FormatError(
            f"No checkpoint in {self.folder} can be gone on from, as all are damaged. {listed}."
        )

    def _is_there(self) -> bool:
        """Whether there is a folder; raises OSError for anything else, as a link to elsewhere."""
        try:
            status = self.folder.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(
                errno.ENOTDIR, "This is a file or a link, not a folder", str(self.folder)
            )
        return True

    def _make_folder(self) -> None:
        if not self._is_there():
            self.folder.mkdir()
            flush_folder(self.folder.parent)

    def _remove_old(self, newest: Path) -> None:
        """Remove what is no longer needed; what cannot be removed is tried again next time."""
        with suppress(FormatError):
            others = [path for _steps, path in self.saved() if path != newest]
            whole = [path for path in others if path not in self._damaged]
            damaged = [path for path in others if path in self._damaged]
            for path in (*damaged, *whole[max(1, self.keep) - 1 :]):
                with suppress(OSError):
                    path.unlink()

    def _remove_leftovers(self) -> None:
        with suppress(OSError):
            for path in leftovers(self.folder) if self._is_there() else ():
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
