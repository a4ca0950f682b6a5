"""Passes over images that are mapped from a file: none holds more than some of them in memory."""

import mmap
import tracemalloc

import numpy as np
import pytest

from neocog.data.images import Dataset
from neocog.evaluation import views
from neocog.layers import Conv2d, Flatten, Linear
from neocog.network import Network
from neocog.training import initialization
from neocog.training.initialization import normalize, whiten_first

COUNT, SIDE = 400, 128  # 19 MiB
MIB = 2**20


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("mapped") / "images"
    pixels = np.random.default_rng(0).integers(0, 200, (COUNT, SIDE, SIDE, 3), np.uint8)
    pixels[COUNT // 2 :] += 50
    path.write_bytes(pixels.tobytes())
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(pixels.shape, np.uint8, buffer=mapping)


@pytest.fixture
def network():
    return Network(
        input_shape=(3, SIDE, SIDE),
        conv1=Conv2d(3, 24, 2, stride=64),
        flatten=Flatten(),
        fc=Linear(96, 2),
    )


def most_memory(function, *arguments, **settings):
    """Bytes that a call allocates at most."""
    tracemalloc.start()
    try:
        function(*arguments, **settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_measure_sees_a_copy(images):
    assert most_memory(images.copy) > 18 * MIB


def test_means_and_deviations(images, network):
    assert most_memory(normalize, network, images) < 10 * MIB
    pixels = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(network.preprocessing.mean, pixels.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(network.preprocessing.std, pixels.std(axis=0), atol=1e-6)


def test_the_parts_are_all_images_once(images):
    parts = list(initialization._parts(images))
    assert all(part.nbytes <= 250 * 32 * 32 * 3 for part in parts)
    assert np.shares_memory(parts[0], images)
    np.testing.assert_array_equal(np.concatenate(parts), images)
    small = np.zeros((600, 32, 32, 3), np.uint8)  # as it was before there were larger ones
    assert [len(part) for part in initialization._parts(small)] == [250, 250, 100]


def test_whitening(images, network):
    network.initialize(0)
    # Patches are 32 times the size of their images, in float64.
    assert most_memory(whiten_first, network, images) < 100 * MIB


@pytest.mark.parametrize("tta", [None, "flip", "flip+shift"])
def test_scores_of_views(images, network, monkeypatch, tta):
    monkeypatch.setattr(views, "_BYTES", 10 * SIDE * SIDE * 3)
    seen = []

    def scores(network, some, *, threads):
        seen.append(some)
        return np.zeros((len(some), 2), np.float32)

    monkeypatch.setattr(Network, "predict_scores", scores)
    found = views.mean_scores(network, images, tta=tta)
    assert found.shape == (COUNT, 2)
    if tta is None:
        assert [np.shares_memory(some, images) for some in seen] == [True]
    else:
        assert max(map(len, seen)) == 10


def test_the_digest(images):
    data = Dataset(images, np.zeros(COUNT, np.int64))
    assert most_memory(lambda: data.pixels_digest) < MIB
