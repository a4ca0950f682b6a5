"""Every kind of file and of network is served, and answers as it does without a server."""

import shutil

import numpy as np
import pytest
from PIL import Image
from served import encoded, picture, serving, small_network

from neocog import models
from neocog.data.picture import read_picture
from neocog.serving.model import open_served


def images(network, count=5, seed=0):
    channels, height, width = network.input_shape
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def onnx_file(network, path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from neocog.exporting import export

    export(network, path)


def run_folder(network, path):
    path.mkdir()
    network.save(path / "best.safetensors")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("model.safetensors", type(small_network()).save),
        ("model.pth", type(small_network()).save),
        ("model.onnx", onnx_file),
        ("run", run_folder),
    ],
)
def test_every_kind_of_file(tmp_path, name, save):
    network = models.make("lenet5", 3, input_shape=(3, 32, 32))
    network.initialize(3)
    save(network, tmp_path / name)
    served = open_served(str(tmp_path / name), None, 1)
    given = images(network)
    np.testing.assert_array_equal(served.predict(given), network.predict_proba(given))
    assert served.labels == ("0", "1", "2")


def test_the_version_is_of_what_decides_an_answer(tmp_path):
    path = tmp_path / "model.safetensors"
    seen = []
    network = small_network()

    def temper():
        network.temperature = 2.0

    def demand():
        network.threshold = 0.7

    def rename():
        network.name_classes(("a", "b", "c"))

    for change in (lambda: None, temper, demand, rename, lambda: network.initialize(5)):
        change()
        network.save(path)
        seen.append(open_served(str(path), None, 1).version)
        assert open_served(str(shutil.copy(path, tmp_path / "a.safetensors")), None, 1).version in (
            seen[-1],
        )
    assert len(set(seen)) == len(seen)


def test_several_labels_of_gray_pictures(tmp_path):
    network = models.make("lenet5", 4, input_shape=(1, 28, 28))
    network.initialize(1)
    network.classes = ("sun", "rain", "wind", "snow")
    network.loss = "binary-cross-entropy"
    network.temperature = 0.25
    network.save(tmp_path / "model.safetensors")
    pixels = images(network, 1)
    content = encoded(Image.fromarray(pixels[0, :, :, 0]))
    (wanted,) = network.predict_proba(np.concatenate([pixels, pixels]))[:1].astype(float)
    between = float(np.sort(wanted)[1:3].mean())
    with serving(tmp_path / "model.safetensors", tmp_path) as server:
        for query, least in (("", 0.5), (f"&threshold={between}", between), ("&threshold=0", 0.0)):
            status, found, _ = server.send(f"/predict?top=4{query}", content)
            assert status == 200
            (answer,) = found
            assert set(answer) == {"image", "labels", "top"}
            shown = {one["label"]: one["probability"] for one in answer["top"]}
            assert [shown[name] for name in network.classes] == wanted.tolist()
            assert answer["labels"] == [
                name for name, p in zip(network.classes, wanted, strict=True) if p >= least
            ]


def test_numbers(tmp_path):
    network = small_network(2, ("left", "top", "size"))
    network.loss = "mse"
    network.save(tmp_path / "model.safetensors")
    pixels = images(network, 1, 7)
    content = encoded(Image.fromarray(pixels[0]))
    wanted = network.predict(np.concatenate([pixels, pixels]))[0].tolist()
    with serving(tmp_path / "model.safetensors", tmp_path) as server:
        status, found, _ = server.send(body=content)
        values = zip(("left", "top", "size"), wanted, strict=True)
        assert (status, found) == (
            200,
            [{"image": "0", "values": [{"label": n, "value": value} for n, value in values]}],
        )


@pytest.mark.thorough
def test_a_large_network(tmp_path):
    network = models.make("resnet8", 5, input_shape=(3, 224, 224))
    network.initialize(0)
    network.save(tmp_path / "model.safetensors")
    served = open_served(str(tmp_path / "model.safetensors"), None, 1)
    assert served.seconds > 1e-4
    content = picture(1, (400, 300), "JPEG")
    pixels = read_picture(content, network.input_shape)
    wanted = network.predict_proba(np.stack([pixels, pixels]))[0]
    with serving(tmp_path / "model.safetensors", tmp_path) as server:
        status, found, _ = server.send("/predict?top=5", content, kind="image/jpeg")
        assert status == 200
        shown = {int(one["label"]): one["probability"] for one in found[0]["top"]}
        assert [shown[k] for k in range(5)] == wanted.tolist()
