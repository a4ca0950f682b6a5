"""The explorer's picture: the first one, others of the data, and uploaded ones."""

import numpy as np
import pytest
from explorer_networks import DATA, predicted
from exploring import png, served, unpacked
from PIL import Image

import neocog


def test_at_first_it_shows_the_first_test_image(page, network):
    state = page.state()
    assert state["picture"] | {"number": 0} == {
        "number": 0,
        "source": "test",
        "index": 0,
        "label": int(DATA.test.labels[0]),
    }
    np.testing.assert_array_equal(
        np.float32(predicted(page)), network.predict_proba(DATA.test.images[:1])[0]
    )
    about = state["network"]
    assert about["name"] == "simple-cnn"
    assert about["input_shape"] == [3, 32, 32]
    assert about["resize"] == "stretch"
    assert about["classes"] == list(DATA.classes)
    assert about["data"] == {
        "name": "shapes",
        "train": 600,
        "held_out": 50,
        "part": "test",
    }
    assert {k: tuple(v) for k, v in about["parameters"].items()} == network.parameter_shapes
    assert state["training"] == {
        "running": False,
        "steps": 0,
        "epoch": 0,
        "rate": 0.001,
        "momentum": 0.9,
        "batch_size": 4,
        "has_batch": False,
    }


def test_test_images_are_chosen(page, network):
    state = page.do("/api/picture", index=7)
    assert state["picture"]["index"] == 7
    assert state["picture"]["label"] == DATA.test.labels[7]
    expected = network.predict_proba(DATA.test.images[7:8])[0]
    np.testing.assert_array_equal(np.float32(state["prediction"]["probabilities"]), expected)

    def moved(where):
        return page.do("/api/picture", move=where)["picture"]["index"]

    assert [moved("next"), moved("next"), moved("previous")] == [8, 9, 8]
    page.do("/api/picture", index=49)
    assert [moved("next"), moved("previous")] == [0, 49]
    assert len({moved("random") for _ in range(40)}) > 5


def test_an_uploaded_picture_of_the_networks_size_is_taken_as_it_is(page, network):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    status, state = page.upload(png(image))
    assert status == 200
    assert (state["picture"]["source"], state["picture"]["label"]) == ("upload", None)
    assert state["picture"]["index"] is None
    expected = network.predict_proba(image[None])[0]
    np.testing.assert_array_equal(np.float32(state["prediction"]["probabilities"]), expected)
    # It stays while the network learns.
    page.do("/api/training/step")
    structure, _ = page.binary("/api/explanation")
    assert page.state()["picture"]["source"] == "upload"
    assert structure["label"] == int(np.argmax(predicted(page)))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.new("RGB", (900, 7), "red"), "PNG"),
        (Image.new("L", (33, 257), 100), "PNG"),
        (Image.new("LA", (20, 20), (100, 7)), "PNG"),
        (Image.new("RGBA", (64, 48), (9, 8, 7, 100)), "WEBP"),
        (Image.new("P", (20, 20)), "GIF"),
        (Image.new("1", (20, 20)), "PNG"),
        (Image.new("I;16", (40, 30), 30_000), "PNG"),
        (Image.new("CMYK", (40, 30)), "JPEG"),
        (Image.new("RGB", (1, 1)), "BMP"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.mode} {value.size}",
)
def test_pictures_of_other_sizes_and_channels(page, image, kind):
    status, state = page.upload(png(image, kind))
    assert status == 200, state
    assert state["picture"]["source"] == "upload"
    assert abs(sum(state["prediction"]["probabilities"]) - 1) < 1e-5
    assert unpacked(page.get("/api/explanation"))[0]["live"]["steps"] == 0


def test_a_broken_picture_leaves_the_one_before(page):
    page.do("/api/picture", index=3)
    before = page.state()
    assert page.upload(b"GIF89a nonsense")[0] == 400
    assert page.state() == before


def test_a_gray_network_gets_gray_pictures():
    network = neocog.models.lenet5()
    network.initialize(0)
    side = network.input_shape[1]
    with served(network, None) as page:
        assert page.state()["picture"]["source"] == "none"
        red = np.zeros((side, side, 3), np.uint8)
        red[..., 0] = 200
        status, state = page.upload(png(red))
        assert status == 200
        gray = np.asarray(Image.fromarray(red).convert("L"))[None, ..., None]
        found = np.float32(state["prediction"]["probabilities"])
        np.testing.assert_array_equal(found, network.predict_proba(gray)[0])


def test_labels(page):
    assert page.do("/api/label", label="star")["picture"]["label"] == 5
    assert page.do("/api/label", label=2)["picture"]["label"] == 2
    assert page.binary("/api/explanation")[0]["label"] == 2
    message = page.refused("/api/label", label="stair")
    assert message == f"There is no class 'stair'. Known: {', '.join(DATA.classes)}."
    assert page.state()["picture"]["label"] == 2
    assert page.do("/api/label", label=None)["picture"]["label"] is None
    assert page.binary("/api/explanation")[0]["label"] == int(np.argmax(predicted(page)))
