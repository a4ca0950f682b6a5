"""Kernel caches: a filled one, an empty one, and what is logged about them."""

import logging
import shutil

import pytest
from kernel_caches import COUNT, forget, run


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A cache that one process has filled: its folder, and the losses."""
    folder = tmp_path_factory.mktemp("cache")
    told, losses, inner = run(folder, COUNT)
    assert inner.parent.parent == folder
    return folder, losses, told.count("compiled")


@pytest.fixture
def cache(filled, tmp_path):
    """A copy of it, its files, and the losses."""
    folder, losses, _ = filled
    shutil.copytree(folder, tmp_path / "cache")
    files = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert len(files) >= 5
    return tmp_path / "cache", files, losses


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "neocog")
    return caplog


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache's root, for this process."""
    forget()
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "a" / "b"))
    yield tmp_path / "a" / "b"
    forget()
