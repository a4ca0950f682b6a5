"""Training, evaluation, prediction, explanation and the explorer see the same pixels of a file."""

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image

import neocog
from neocog import Network
from neocog.cli import main
from neocog.data import resampling
from neocog.data.picture import read_picture
from neocog.layers import Flatten, Linear
from neocog.preprocessing import Preprocessing, Resize
from neocog.web.session import Session

WAYS = [
    Resize("stretch", "lanczos"),
    Resize("crop", "bilinear"),
    Resize("crop", "bicubic", keep=0.7),
    Resize("letterbox", "box", fill=9),
    Resize("stretch", "nearest"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of several sizes, kinds, modes and positions."""
    root = tmp_path_factory.mktemp("pictures")
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for n in range(5):
            image = textured(40 + 31 * n, 90 - 13 * n)
            kind = ("JPEG", "PNG", "JPEG", "PNG", "TIFF")[n]
            mode = ("RGB", "RGBA", "L", "P", "RGB")[n]
            content = encoded(image.convert(mode), kind, **({"exif": exif} if n in (0, 4) else {}))
            (root / name / f"{n}.{kind.lower()}").write_bytes(content)
    return root


def network_for(resize, channels=3):
    layers = {"flat": Flatten(), "fc": Linear(channels * 20 * 24, 2)}
    network = Network(**layers, input_shape=(channels, 20, 24))
    network.name_classes(("cat", "dog"))
    network.initialize(0)
    gray = (0.5,) * channels
    network.preprocessing = Preprocessing(gray, gray, resize)
    return network


@pytest.mark.parametrize("with_kernel", [False, True])
@pytest.mark.parametrize("resize", WAYS, ids=str)
def test_the_same_pixels_everywhere(folder, tmp_path, monkeypatch, resize, with_kernel):
    monkeypatch.setattr(resampling, "_kernel", None)
    if with_kernel:  # as where there are many pictures
        resampling.prepare()
    data = neocog.load_data(folder, size=(20, 24), channels=3, resize=resize, validation=0.4)
    monkeypatch.setattr(resampling, "_kernel", None)
    images = {
        name: image
        for part in (data.train, data.validation)
        for name, image in zip(part.names, part.images, strict=True)
    }
    assert len(images) == 10
    network = network_for(resize)
    network.save(tmp_path / "model.safetensors")
    given = []

    def predict_proba(self, batch, *_, **__):
        given.extend(batch)
        return np.full((len(batch), 2), 0.5, np.float32)

    monkeypatch.setattr(Network, "predict_proba", predict_proba)
    paths = [str(folder / name) for name in images]
    assert main(["predict", str(tmp_path / "model.safetensors"), *paths]) == 0
    # A batch may be filled up behind them.
    np.testing.assert_array_equal(np.stack(given[:10]), np.stack(list(images.values())))
    loaded = neocog.load(tmp_path / "model.safetensors")
    assert loaded.preprocessing.resize == resize
    for name, image in images.items():
        path = folder / name
        found = read_picture(path, loaded.input_shape, loaded.preprocessing.resize)
        np.testing.assert_array_equal(found, image)


@pytest.mark.thorough
@pytest.mark.parametrize("resize", WAYS[1:4], ids=str)
def test_explanation_and_explorer_see_them_too(folder, resize):
    network = network_for(resize)
    path = folder / "cat" / "0.jpeg"
    wanted = read_picture(path, network.input_shape, resize)
    np.testing.assert_array_equal(neocog.explain(network, path).image, wanted)
    session = Session(network, None, "model", threads=1)
    try:
        image, _photograph = session.decode(path.read_bytes()).result(timeout=60)
        np.testing.assert_array_equal(image, wanted)
    finally:
        session.close()
