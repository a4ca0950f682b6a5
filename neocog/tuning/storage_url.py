"""Where a study is kept that several machines share: a database, or a journal on a shared drive.

    journal:////shared/tune.log     a file that all machines reach
    sqlite:///tune.db               a file on this machine
    postgresql://user@host/name     servers; drivers as in postgresql+psycopg://
    mysql+pymysql://user@host/name

As in SQLAlchemy's URLs, three slashes come before a relative path, and four before one from the
root. A URL may have a password, which nothing that is shown or written has.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote_plus

from neocog.errors import NeocogError, printable

__all__ = ["StorageUrl", "parse_storage"]

#: Drivers of databases by their names in URLs, and their packages; the usual one first.
DRIVERS = {
    "postgresql": {
        "psycopg2": "psycopg2-binary",
        "psycopg": "psycopg[binary]",
        "pg8000": "pg8000",
    },
    "mysql": {"mysqldb": "mysqlclient", "pymysql": "pymysql"},
}
_KINDS = ("journal", "sqlite", *DRIVERS)
_URL = re.compile(r"([a-z]+)(?:\+([a-z0-9]+))?://(.*)", re.DOTALL)
_WANTED = "a URL of journal:///, sqlite:///, postgresql:// or mysql://"
# What is not before the last @ of a name with a password.
_SECRET = re.compile(r"[^:/@]*:(.*)", re.DOTALL)


@dataclass(frozen=True)
class StorageUrl:
    """A storage.

    Attributes:
        kind: "journal", "sqlite", "postgresql" or "mysql".
        url: as SQLAlchemy takes it.
        shown: the same without its password.
        path: of the file, for the first two kinds.
        package: that has the database's driver, for the others.
    """

    kind: str
    url: str = field(repr=False)
    shown: str
    path: Path | None = None
    package: str | None = None
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    def hidden(self, text: str) -> str:
        """A text without the password, however that is written."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def parse_storage(text: object) -> StorageUrl:
    """The storage of a URL.

    Raises:
        NeocogError: it is none. The message has nothing of what may be a password.
    """
    found = _URL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise NeocogError(f"storage must be {_WANTED}.")
    kind, driver, rest = found.groups()
    if kind not in _KINDS:
        raise NeocogError(f"storage must be {_WANTED}, and not of {printable(kind, 40)}://.")
    drivers = DRIVERS.get(kind, {})
    if driver is not None and driver not in drivers:
        wanted = f"one of {', '.join(drivers)}" if drivers else "none"
        raise NeocogError(f"storage: the driver of {kind} must be {wanted}, not {driver!r}.")
    if not drivers:
        return _file(kind, rest)
    return _server(kind, driver, rest, drivers)


def _file(kind: str, rest: str) -> StorageUrl:
    path = rest.removeprefix("/")
    if not rest.startswith("/") or not path or path.endswith("/"):
        raise NeocogError(
            f"storage: {kind}:// must be followed by the path of a file, as in {kind}:///tune.db "
            f"or {kind}:////shared/tune.db."
        )
    if bad := next((one for one in "?#\0" if one in path), None):
        raise NeocogError(f"storage: the path of a file must not have a {bad!r}.")
    shown = f"{kind}:///{printable(path, 300)}"
    return StorageUrl(kind, f"{kind}:///{path}", shown, Path(path))


def _server(kind: str, driver: str | None, rest: str, drivers: dict[str, str]) -> StorageUrl:
    name, at, place = rest.rpartition("@")
    secret = _SECRET.fullmatch(name)
    password = secret[1] if secret else ""
    user = name[: len(name) - len(password) - 1] if secret else name
    host, slash, database = place.partition("/")
    if not (host and slash and database):
        raise NeocogError(
            f"storage: {kind}:// must be followed by a host and a database, as in "
            f"{kind}://user@host/database."
        )
    scheme = kind if driver is None else f"{kind}+{driver}"
    options = "?…" if "?" in database else ""  # which may have a password, too
    shown = f"{scheme}://{user}{at}{host}/{database.partition('?')[0]}{options}"
    given = database.partition("?")[2]
    secrets = {given, *_forms(password)}
    for option in given.split("&"):
        if "pass" in option.partition("=")[0].lower():
            secrets |= _forms(option.partition("=")[2])
    return StorageUrl(
        kind,
        f"{scheme}://{rest}",
        printable(shown, 300),
        package=drivers[driver or next(iter(drivers))],
        _secrets=tuple(sorted(secrets - {""}, key=len, reverse=True)),
    )


def _forms(secret: str) -> set[str]:
    """How a part of a URL may be written in what a library says."""
    plain = unquote_plus(secret)
    return {secret, plain, quote(plain), quote(plain, safe="")}
