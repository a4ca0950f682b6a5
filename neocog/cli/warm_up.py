"""``neocog warm-up``."""

import json

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from neocog.cli.terminal import counted, drawing, is_terminal, say
from neocog.engine import compile_all_kinds
from neocog.limits import readable

__all__ = ["warm_up"]

# Lines of progress where stderr is no terminal.
_LINES = 10


def warm_up(json_: bool) -> int:
    """Compile all kinds of kernels that are not compiled yet."""
    progress = _Live() if is_terminal() else _Lines()
    try:
        done = compile_all_kinds(progress.begin, progress.left)
    finally:
        progress.close()
    if json_:
        print(json.dumps({**done._asdict(), "folder": str(done.folder)}))
        return 0
    size = readable(done.size)
    if done.compiled:
        print(f"Compiled {counted(done.compiled, 'kind')} of kernels in {done.seconds:.1f} s.")
        print(f"All {done.kinds:,} take {size} in {done.folder}")
    else:
        print("There was nothing to compile.")
        print(f"All {counted(done.kinds, 'kind')} of kernels are in {done.folder}: {size}")
    return 0


class _Lines:
    """Progress as lines of text."""

    def begin(self, kinds: int) -> None:
        """Say how many there are."""
        self._kinds, self._next = kinds, kinds / _LINES
        say(f"Compiling {counted(kinds, 'kind')} of kernels …")

    def left(self, left: int) -> None:
        """Print a line each time that a tenth more is done."""
        done = self._kinds - left
        if done >= self._next and left:
            say(f"{done:,} of {self._kinds:,}")
            self._next = done + self._kinds / _LINES

    def close(self) -> None:
        """Do nothing."""


class _Live(_Lines):
    """Progress as a bar."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("Compiling kernels"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=drawing()),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def begin(self, kinds: int) -> None:
        """Show the bar."""
        self._bar.update(self._task, total=kinds)
        self._bar.start()

    def left(self, left: int) -> None:
        """Move the bar."""
        total = self._bar.tasks[0].total or 0
        self._bar.update(self._task, completed=total - left)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
