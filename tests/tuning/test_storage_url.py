"""URLs of storages: what they name, and that nothing shows a password."""

from pathlib import Path

import pytest

from neocog import NeocogError
from neocog.tuning.storage_url import parse_storage

PASSWORD = "p%40ss/w:rd+1"
SERVERS = [
    f"postgresql://me:{PASSWORD}@host/studies",
    f"postgresql+psycopg://me:{PASSWORD}@host:5432/studies?sslmode=require",
    f"mysql+pymysql://me:{PASSWORD}@host/studies",
    f"mysql://host/studies?user=me&password={PASSWORD}",
]


@pytest.mark.parametrize(
    ("url", "kind", "path"),
    [
        ("journal:////shared/tune.log", "journal", "/shared/tune.log"),
        ("journal:///tune.log", "journal", "tune.log"),
        ("sqlite:///a b/tune.db", "sqlite", "a b/tune.db"),
        ("sqlite:////tmp/tune.db", "sqlite", "/tmp/tune.db"),
    ],
)
def test_files(url, kind, path):
    found = parse_storage(url)
    assert (found.kind, found.path, found.shown, found.package) == (kind, Path(path), url, None)
    if kind == "sqlite":  # as Optuna's library of databases reads it
        urls = pytest.importorskip("sqlalchemy.engine")
        assert urls.make_url(found.url).database == path


@pytest.mark.parametrize("url", SERVERS)
def test_a_password_is_not_shown(url):
    found = parse_storage(url)
    assert found.url == url
    assert found.path is None
    plain = "p@ss/w:rd 1"
    for text in (found.shown, repr(found), found.hidden(f"{url} {plain} {PASSWORD}")):
        assert PASSWORD not in text and plain not in text
        assert "host" in text and "/studies" in text
    assert found.shown.startswith(url.partition(":")[0] + "://")


def test_what_is_shown_without_a_password():
    url = "postgresql://me@host/studies"
    found = parse_storage(url)
    assert (found.shown, found.package) == (url, "psycopg2-binary")
    assert found.hidden(f"no {url}") == f"no {url}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("tune.db", "storage must be a URL of journal:///, sqlite:///, postgresql:// or mysql://"),
        (3, "storage must be a URL"),
        (f"redis://me:{PASSWORD}@host/0", "and not of redis://"),
        (f"postgres://me:{PASSWORD}@host/0", "and not of postgres://"),
        ("sqlite://", "must be followed by the path of a file, as in sqlite:///tune.db"),
        ("sqlite://host/tune.db", "must be followed by the path of a file"),
        ("journal:///folder/", "must be followed by the path of a file"),
        ("sqlite:///tune.db?mode=ro", r"must not have a '\?'"),
        ("sqlite+pysqlite:///tune.db", "the driver of sqlite must be none, not 'pysqlite'"),
        (f"mysql+odd://me:{PASSWORD}@host/0", "must be one of mysqldb, pymysql, not 'odd'"),
        (f"mysql://me:{PASSWORD}@host", "must be followed by a host and a database"),
        (f"mysql://me:{PASSWORD}@/name", "must be followed by a host and a database"),
    ],
)
def test_what_is_no_storage(url, message):
    with pytest.raises(NeocogError, match=message) as error:
        parse_storage(url)
    assert PASSWORD not in str(error.value)
