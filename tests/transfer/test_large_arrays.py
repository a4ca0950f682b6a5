"""Memory does not grow with the pictures: arrays on the disk, and pages that are let go."""

import mmap
from pathlib import Path

import numpy as np
import pytest
from photographs import network, pictures

import neocog
from neocog import SGD, Callback
from neocog.data.cache import cache_room
from neocog.errors import NeocogError
from neocog.transfer import large_arrays
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.features import Features
from neocog.transfer.large_arrays import blocks_of, forget_pages, large_array

pytestmark = pytest.mark.usefixtures("own_cache")
STATUS = Path("/proc/self/status")


def test_a_large_array_is_a_file_without_a_name(own_cache, monkeypatch):
    monkeypatch.setattr(large_arrays, "_IN_MEMORY", 1000)
    small, large = large_array((10, 25), np.float32, "They"), large_array((251,), "f4", "They")
    assert isinstance(small.base, np.ndarray | None)
    assert isinstance(large.base.base, mmap.mmap)
    large[:] = np.arange(251)
    assert large.sum() == 250 * 251 / 2
    assert not any(path.is_file() for path in own_cache.rglob("*"))


def test_no_room_on_the_disk():
    with pytest.raises(NeocogError, match=r"The maps need .* GiB on the disk .*\. Free space"):
        large_array((2**62,), np.uint8, "The maps")


@pytest.mark.parametrize("depth", ["head", "blocks"])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_on_the_disk_the_same_bits_come_out(depth, loss, monkeypatch):
    data = pictures(40)
    if loss == "mse":
        data = (data.images, data.labels.astype(np.float32)[:, None])
    how = {"threads": 1, "callback": Callback(), "optimizer": SGD(0.01), "epochs": 0.5}
    found = []
    for most in (2**27, 0):
        monkeypatch.setattr(large_arrays, "_IN_MEMORY", most)
        place = None if depth == "head" else "down.norm"
        tuned = neocog.fine_tune(network(), data, depth, place=place, loss=loss, **how)
        found.append([a.tobytes() for a in tuned.network.state_dict().values()])
    assert found[0] == found[1]


def entry(n, side):
    """Pictures of noise in the cache, mapped."""
    images = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)

    def make(writer):
        writer.add(images)
        writer.finish(key="0" * 32, kind="test", name="noise", item_shape=(side, side, 3), maker="")

    _, mapped = cache_room.kept("0" * 32, images.nbytes, make, lambda *_: True)
    return images, mapped


def resident():
    """Bytes of files' pages that are in this process's memory."""
    lines = STATUS.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssFile"))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(not STATUS.exists(), reason="Linux only")
def test_pages_of_pictures_are_let_go():
    images, mapped = entry(400, 200)
    before = resident()
    assert (mapped == images).all()
    assert resident() - before > 40 * 10**6
    cache_room.let_go(mapped[5:])
    assert resident() - before < 10**7
    keys = picture_keys(mapped)
    assert resident() - before < 10**7 + 64 * 200 * 200 * 3
    assert keys == picture_keys(images)


@pytest.mark.skipif(not STATUS.exists(), reason="Linux only")
def test_pages_of_large_arrays_are_forgotten_and_their_numbers_are_not(monkeypatch):
    monkeypatch.setattr(large_arrays, "_IN_MEMORY", 1000)
    found = large_array((10_000, 1000), np.float32, "They")
    before = resident()
    found[:] = np.arange(10_000)[:, None]
    assert resident() - before > 39 * 10**6
    forget_pages(found[5:].T)
    assert resident() - before < 10**7
    for rows, block in blocks_of(found, 700):
        assert (block == np.arange(10_000)[rows, None]).all()
        assert resident() - before < 10**7
    assert rows == slice(9800, 10_000)


def test_pages_of_other_arrays_are_left_alone(tmp_path):
    (tmp_path / "file").write_bytes(bytes(8192))
    changed = np.memmap(tmp_path / "file", np.uint8, "c")
    changed[:] = 7
    forget_pages(changed)
    forget_pages(np.ones(9))
    assert (changed == 7).all()


def test_what_was_changed_in_other_mappings_stays(tmp_path):
    (tmp_path / "file").write_bytes(bytes(8192))
    changed = np.memmap(tmp_path / "file", np.uint8, "c")
    changed[:] = 7
    cache_room.let_go(changed)
    cache_room.let_go(np.ones(9, np.uint8))
    assert (changed == 7).all()


def test_features_of_mapped_pictures_are_those_of_pictures_in_memory():
    images, mapped = entry(70, 24)
    features = Features(network(), None, 1)
    np.testing.assert_array_equal(FeatureCache(features).of(mapped), features.of(images))
