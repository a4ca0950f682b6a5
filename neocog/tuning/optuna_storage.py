"""Where Optuna keeps a study: a journal in the study's folder, or what a URL names."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from neocog.errors import FormatError, NeocogError, printable
from neocog.files import exists, open_regular
from neocog.tuning.storage_url import StorageUrl
from neocog.write_errors import why_not_written

try:
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
except ImportError as error:
    raise NeocogError(
        "Searching for settings is done by Optuna (4 or newer), which is not installed: "
        "pip install 'neocog[tune]'"
    ) from error

__all__ = ["OptunaStorage"]

#: The file of Optuna's journal in a study's folder, and the name of the study in it.
_JOURNAL, _NAME = "journal.log", "neocog"
#: The file beside the journal that is locked while somebody writes to it.
_TURN = ".neocog-journal-lock"
# Of a journal: a trial takes some 2 kB, 150 bytes more an epoch, and 20 kB more an hour.
_MOST_BYTES = 1 << 28
# Seconds that a process waits where another one writes to the same file of SQLite, and how often
# tables are tried to be made that another process is just making.
_BUSY_SECONDS, _TRIES = 60, 5
# What Optuna raises of lines that are not its own.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError)


class OptunaStorage:
    """Where a study is kept.

    Args:
        folder: of the study. Its name is that of the study, where a URL is given.
        url: of the storage; None for a journal in the folder.

    Attributes:
        name: of the study in the storage.
    """

    def __init__(self, folder: Path, url: StorageUrl | None = None) -> None:
        self._url = url
        self._path = folder / _JOURNAL if url is None else url.path  # None for servers
        self._shown = str(self._path) if url is None else url.shown
        self.name = _NAME if url is None else folder.absolute().name

    @property
    def is_in_folder(self) -> bool:
        """Whether it is a journal in the study's folder."""
        return self._url is None

    def keeps(self, path: Path) -> bool:
        """Whether a file is its own, or one that stands beside its own for a moment."""
        own = self._path
        if own is None or own.absolute().parent != path.absolute().parent:
            return False
        return path.name.startswith(own.name)

    @property
    def has_study(self) -> bool:
        """Whether the study is there."""
        if self._path is not None and not exists(self._path):
            return False
        if self._url is None:
            return True
        with self.guarded():
            return self.name in optuna.get_all_study_names(self.open())

    def open(self) -> Any:
        """The storage, as Optuna has it; to be called within `guarded`."""
        if self._url is not None and self._url.kind != "journal":
            return _database(self._url)
        # Absolute: Optuna's lock is a link to the journal, by which it sees whether a lock is old.
        # A relative link leads nowhere, and the lock of a killed process would stay for ever.
        path = (self._path or Path(_JOURNAL)).absolute()
        if exists(path):
            _check_journal(path)
        lock = _Turn(path) if self.is_in_folder else None
        return JournalStorage(JournalFileBackend(str(path), lock))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Have what goes wrong with the storage end in a message, without a password."""
        try:
            yield
        except OSError as error:
            path = self._path or Path(self._shown)
            raise FormatError(why_not_written(path, error)) from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            # Not `from error`, whose text may have the URL.
            raise NeocogError(f"{self._shown}: {self._said(error)}") from None
        except _DAMAGED as error:
            raise FormatError(
                f"{self._shown} is damaged, or of another program: "
                f"{printable(self._hidden(str(error)), 300)}. Begin a new study with another "
                "folder."
            ) from error

    def _said(self, error: BaseException) -> str:
        """What a database says, in a line."""
        while error.__cause__ is not None:
            error = error.__cause__
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        return printable(self._hidden(lines[0] if lines else type(error).__name__), 300)

    def _hidden(self, text: str) -> str:
        return text if self._url is None else self._url.hidden(text)


class _Turn:
    """Has the processes of this machine write to a journal one after another.

    The system ends the turn of a process that is killed; Optuna's own lock, which shared drives
    need, would keep the others waiting for half a minute. The names are those of Optuna's locks.
    """

    def __init__(self, journal: Path) -> None:
        self._lock = FileLock(journal.with_name(_TURN))

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _database(url: StorageUrl) -> Any:
    how: dict[str, Any] = {"pool_pre_ping": True}  # a server may have been begun anew
    if url.kind == "sqlite":
        how = {"connect_args": {"timeout": _BUSY_SECONDS}}
    try:
        for _ in range(_TRIES):
            with suppress(IntegrityError, OperationalError):  # another process made the tables
                return RDBStorage(url.url, engine_kwargs=how)
            time.sleep(0.2)
        return RDBStorage(url.url, engine_kwargs=how)
    except ImportError:
        raise NeocogError(
            f"{url.shown} needs a driver, which is not installed: pip install '{url.package}'"
        ) from None


def _check_journal(path: Path) -> None:
    """Raise `FormatError` unless it is a file that can be read whole."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    if size > _MOST_BYTES:
        raise FormatError(f"{path} has {size:,} bytes; studies of up to {_MOST_BYTES:,} are read.")
