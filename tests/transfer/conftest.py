"""What tests of fine-tuning share."""

import pytest

from neocog.kernels.compiler import kernel_cache


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache of features and pictures; compiled kernels stay where they are."""
    kernel_cache.is_open()  # finds the kernels' folder, once for a process
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0.5")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"
