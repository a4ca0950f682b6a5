r"""Output of commands: results on stdout, everything else on stderr, made safe for terminals.

`guarded_output` replaces both streams while a command runs, so everything that is printed, by
whatever code, passes through here:

- Control characters and escape sequences, which may come from the name of a file, a class or a
  model, are shown as ``\x1b`` and have no effect on the terminal.
- Characters that the output's encoding lacks are replaced by similar ones, or by a question mark.
- If the output is full or its reader has closed it, the command continues: further output is
  dropped, and the exit code reports it.
"""

import contextlib
import errno
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = [
    "Output",
    "counted",
    "drawing",
    "guarded_output",
    "is_terminal",
    "loading_progress",
    "say",
    "say_compiling",
]

# Control characters except tab and newline, line and paragraph separators, and the marks that
# change the direction in which text is shown.
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# What some tasks count, whatever the others do.
_THINGS = {"strength": "fits", "head": "fits"}

# Similar characters, for those that neocog itself prints.
_SIMILAR = {"×": "x", "–": "-", "—": "-", "…": "...", "µ": "u", "·": "*", "−": "-", "α": "alpha"}


class Output(io.TextIOBase):
    """A stream that filters what is written to another stream; see this module.

    Args:
        stream: the stream to write to; None, which Python has for a closed descriptor, drops all.
        draws: whether escape sequences are passed on.

    Attributes:
        error: the first error in writing; None if there was none.
    """

    def __init__(self, stream: TextIO | None, *, draws: bool = False) -> None:
        self.stream = stream
        self._draws = draws
        self.error: Exception | None = None

    def write(self, text: str, /) -> int:
        """Write the text, or drop it if writing has failed before."""
        if self.stream is not None and self.error is None:
            safe = text if self._draws else _CONTROLS.sub(_escape, text)
            try:
                self.stream.write(_encodable(safe, self.encoding, self.stream.errors or "strict"))
            except (OSError, ValueError) as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream; nothing is done if writing has failed before."""
        if self.stream is not None and self.error is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = error
        # Otherwise Python would write what the stream still holds when it exits, and fail.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)

    @property
    def exit_code(self) -> int:
        """0; 141 if the reader has closed the pipe, as after SIGPIPE; 1 for other errors."""
        if self.error is None:
            return 0
        return 141 if isinstance(self.error, BrokenPipeError) else 1

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # it is closed
            return False

    def fileno(self) -> int:
        """Descriptor of the stream."""
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return self.stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def _encodable(text: str, encoding: str, errors: str) -> str:
    """The text, with characters that the encoding lacks replaced."""
    if errors != "surrogateescape":  # which passes the bytes of file names unchanged
        errors = "strict"

    def fits(part: str) -> bool:
        try:
            part.encode(encoding, errors)
        except UnicodeEncodeError:
            return False
        return True

    if fits(text):
        return text
    return "".join(c if fits(c) else _SIMILAR.get(c, "?") for c in text)


@contextmanager
def guarded_output() -> Iterator[Output]:
    """Replace stdout and stderr for the duration of a ``with``; returns the one for stdout."""
    _open_missing()
    before = sys.stdout, sys.stderr
    out, err = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _open_missing() -> None:
    """Open the null device for each standard descriptor that is closed.

    Otherwise the next file that is opened, such as a model being written, gets its number, and
    whatever writes to stdout or stderr by number writes into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno == errno.EBADF:
                with contextlib.suppress(OSError):
                    os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def drawing() -> TextIO:
    """The stderr for code that draws with escape sequences and prints no text from outside."""
    stream = sys.stderr
    inner = stream.stream if isinstance(stream, Output) else stream
    return Output(inner, draws=True)  # type: ignore[return-value]


def say(text: str) -> None:
    """Print a line for the user on stderr."""
    print(text, file=sys.stderr, flush=True)


def say_compiling(kernels: int) -> None:
    """Say that kernels are being compiled."""
    say(f"Compiling {counted(kernels, 'kernel')} for this network (first time only) …")


def counted(number: int, thing: str) -> str:
    """A number with its noun: ``1 step``, ``2,000 steps``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def is_terminal() -> bool:
    """Whether stderr is a terminal that supports drawing."""
    return sys.stderr is not None and sys.stderr.isatty()


def loading_progress(things: str = "pictures") -> Callable[[str, int, int], None]:
    """A progress function for `neocog.load_data` and others, with a line for each task.

    The line is redrawn on a terminal. Elsewhere one is printed every 10 %, for tasks that take over
    a second.
    """
    shown: dict[str, int] = {}
    began: dict[str, float] = {}
    last = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        begin = began.setdefault(what, now)
        percent = 100 * done // max(1, total)
        step = percent if is_terminal() else percent // 10 * 10
        if step == shown.get(what) and done < total:
            return
        if is_terminal() and now - last < 0.1 and done < total:
            return
        if done >= total and what not in shown:
            return  # too fast to report
        if not is_terminal() and now - begin < 1 and what != "downloading":
            return
        shown[what], last = step, now
        amount = f"{done:,} of {total:,} {_THINGS.get(what, things)}"
        if what == "downloading":
            amount = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        left = (now - begin) * (total - done) / done if done else 0.0
        line = f"{what}: {amount} ({percent} %)" + (f", {left:.0f} s left" if left > 1 else "")
        if is_terminal():
            end = "\n" if done >= total else ""
            print(f"\r{line}\x1b[K", end=end, file=drawing(), flush=True)
        else:
            say(line)

    return progress
