"""Fine-tuning where the disk is full, or where there is no folder for a cache."""

import errno
import os
import tempfile

import numpy as np
import pytest
from photographs import network, pictures
from PIL import Image

import neocog
from neocog import SGD, Callback
from neocog.cli import main
from neocog.errors import NeocogError
from neocog.transfer import large_arrays

pytestmark = pytest.mark.usefixtures("own_cache")


def tuned():
    how = {"threads": 1, "callback": Callback(), "optimizer": SGD(0.01), "epochs": 1}
    return neocog.fine_tune(network(), pictures(30), "blocks", views="whole", **how).network


@pytest.fixture
def given(tmp_path):
    """The command's words for a folder of pictures and a trained network."""
    data = pictures(30)
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        path = tmp_path / "photos" / ("red", "green", "blue")[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    neocog.save(network(), tmp_path / "before.safetensors")
    return [
        *("train", str(tmp_path / "photos"), "--pretrained", str(tmp_path / "before.safetensors")),
        *("--out", str(tmp_path / "run"), "--threads", "1", "--views", "whole", "--epochs", "1"),
    ]


def test_maps_that_are_mapped_from_a_file_are_those_in_memory(monkeypatch):
    expected = tuned().state_dict()
    made = []
    file_of = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **how: made.append(how) or file_of(**how))
    monkeypatch.setattr(large_arrays, "_IN_MEMORY", 0)
    for name, array in tuned().state_dict().items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert made


@pytest.fixture
def full(monkeypatch):
    """A disk without room for maps, all of which go there."""

    def no_room(*_file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    monkeypatch.setattr(large_arrays, "_IN_MEMORY", 0)


MESSAGE = "on the disk (No space left on device). Free space, name a folder on another disk"


def test_no_room_for_maps(full):
    with pytest.raises(NeocogError) as error:
        tuned()
    assert MESSAGE in str(error.value)


def test_no_room_for_maps_of_a_run(full, given, tmp_path, capsys):
    """The head's features are in the cache, so the next attempt goes on from there."""
    assert main([*given, "--transfer", "blocks"]) == 1
    out, err = capsys.readouterr()
    assert MESSAGE in err
    assert "Traceback" not in err
    assert out == ""
    assert (tmp_path / "cache" / "pictures").is_dir()
    assert not (tmp_path / "run").exists()


def test_no_folder_for_a_cache(given, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "file"))
    assert main([*given, "--transfer", "blocks"]) == 0
    out, err = capsys.readouterr()
    assert err.count("Features are not kept on the disk, and computed again next time: ") == 1
    assert "Validation accuracy: " in out


def test_pictures_of_one_class(given, tmp_path, capsys):
    for path in (tmp_path / "photos").glob("[gr]*/*"):
        path.unlink()
    for path in (tmp_path / "photos").glob("[gr]*"):
        path.rmdir()
    assert main([*given, "--transfer", "head"]) == 1
    err = capsys.readouterr().err
    assert "pictures of one class only, blue to train on. A network tells at least two" in err
    assert not (tmp_path / "run").exists()
