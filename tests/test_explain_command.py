"""``neocog explain``: what it writes and says, and what it refuses."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog.cli import main
from neocog.data.shapes import shapes
from neocog.network_files import save_model

DATA = shapes(0, 300, 20)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neocog.loading.load_data", lambda *_, **__: DATA)
    return tmp_path


@pytest.fixture
def network() -> neocog.Network:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    network.name_classes(DATA.classes)
    return network


@pytest.fixture
def model(network, here) -> str:
    save_model(network, here / "net.safetensors", training={"data": "shapes"})
    return "net.safetensors"


@pytest.fixture
def picture(here) -> str:
    Image.fromarray(DATA.test.images[3]).save(here / "picture.png")
    return "picture.png"


def structure_of(path):
    """The structure and the numbers in a page."""
    text = Path(path).read_text(encoding="utf-8")
    structure = re.search(r'id="structure">(.*?)</script>', text)[1]
    block = re.search(r'id="block">(.*?)</script>', text)[1]
    return json.loads(structure), np.frombuffer(zlib.decompress(base64.b64decode(block)), "<f4")


def numbers(place, block):
    size = int(np.prod(place["shape"]))
    return block[place["at"] : place["at"] + size].reshape(place["shape"])


def test_it_writes_a_page_of_the_engines_numbers(model, picture, network, capsys):
    assert main(["explain", model, picture]) == 0
    printed = capsys.readouterr()
    structure, block = structure_of("picture-explained.html")
    probabilities = network.predict_proba(DATA.test.images[3:4])[0]
    best = DATA.classes[int(probabilities.argmax())]
    assert printed.out == (
        f"picture.png: {best} {100 * probabilities.max():.1f} %\nPage: picture-explained.html\n"
    )
    np.testing.assert_allclose(
        numbers(structure["probabilities"], block), probabilities, rtol=1e-5, atol=1e-7
    )
    explained = neocog.explain(network, DATA.test.images[3])
    for layer in structure["layers"]:
        maps = numbers(layer["output"], block)
        assert np.array_equal(maps, explained[layer["name"]].output)
        gradient = numbers(layer["gradient"], block)
        assert np.array_equal(gradient, explained[layer["name"]].output_gradient)
    assert structure["label"] == structure["predicted"]
    assert structure["filters"]["conv1"]["images"] == len(DATA.train)


def test_label_and_file_can_be_chosen(model, picture, capsys):
    arguments = ["explain", model, picture, "--label", DATA.classes[7], "-o", "page.html", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == "page.html"
    assert found["label"] == DATA.classes[7]
    assert list(found["probabilities"]) == list(DATA.classes)
    structure, _ = structure_of("page.html")
    assert structure["label"] == 7
    assert main(["explain", model, picture, "--label", "6", "-o", "page.html"]) == 0
    assert structure_of("page.html")[0]["label"] == 6


def test_an_image_of_the_data_has_its_label(model, capsys):
    assert main(["explain", model, "test:5"]) == 0
    assert "test-5-explained.html" in capsys.readouterr().out
    structure, block = structure_of("test-5-explained.html")
    assert structure["label"] == int(DATA.test.labels[5])
    seen = numbers(structure["layers"][0]["output"], block)  # (byte / 255 − 0.5) / 0.5
    assert np.array_equal(np.rint(127.5 * (seen + 1)), DATA.test.images[5].transpose(2, 0, 1))


def test_a_picture_of_another_size_and_gray(model, here, capsys):
    Image.fromarray(np.full((90, 200), 70, np.uint8)).save(here / "gray.jpg")
    assert main(["explain", model, "gray.jpg"]) == 0
    assert structure_of("gray-explained.html")[0]["image"]["width"] == 32


def test_without_data_it_says_what_is_missing(network, here, picture, capsys):
    save_model(network, here / "bare.safetensors")
    assert main(["explain", "bare.safetensors", picture]) == 0
    printed = capsys.readouterr()
    assert "--data" in printed.err
    assert structure_of("picture-explained.html")[0]["filters"] == {}


def damaged(here):
    (here / "damaged.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    return ["damaged.safetensors", "picture.png"], "damaged.safetensors"


def untrained(here):
    return ["simple-cnn", "picture.png"], "simple-cnn is a network without weights. Train it first"


def no_picture(here):
    return ["net.safetensors", "nowhere.png"], "nowhere.png: No such file or directory."


def no_image(here):
    (here / "text.png").write_text("no picture")
    return ["net.safetensors", "text.png"], "text.png is not an image"


def torn(here):
    whole = (here / "picture.png").read_bytes()
    (here / "torn.png").write_bytes(whole[: len(whole) // 2])
    return ["net.safetensors", "torn.png"], "torn.png"


def no_label(here):
    near = DATA.classes[0][:-1]
    return ["net.safetensors", "picture.png", "--label", near], f"Did you mean {DATA.classes[0]!r}?"


def label_too_large(here):
    return ["net.safetensors", "picture.png", "--label", "10"], "from 0 to 9"


def index_too_large(here):
    return ["net.safetensors", "test:20"], "there are 20 test images, 0 to 19"


def no_folder(here):
    return ["net.safetensors", "picture.png", "-o", "nowhere/page.html"], "nowhere/page.html"


@pytest.mark.parametrize(
    "case",
    [
        damaged,
        untrained,
        no_picture,
        no_image,
        torn,
        no_label,
        label_too_large,
        index_too_large,
        no_folder,
    ],
)
def test_what_is_wrong_is_said_in_one_message(model, picture, here, capsys, case):
    arguments, said = case(here)
    before = sorted(here.iterdir())
    assert main(["explain", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("neocog: ") == 1
    assert "Traceback" not in printed.err
    assert sorted(here.iterdir()) == before


def test_a_network_that_diverged_is_refused(network, here, picture, capsys):
    state = network.state_dict()
    state["fc.bias"][:] = np.nan
    network.load_state_dict(state)
    save_model(network, here / "nan.safetensors")
    assert main(["explain", "nan.safetensors", picture]) == 1
    assert "NaN or infinite" in capsys.readouterr().err
    assert not list(here.glob("*.html"))


def test_a_page_for_nobody_is_refused_at_once(model, picture, here, capsys, monkeypatch):
    monkeypatch.setattr("neocog.cli.explain.open_network", lambda *_: pytest.fail("too late"))
    assert main(["explain", model, picture, "--out", "~neocog-nobody/a.html"]) == 1
    assert "--out ~neocog-nobody/a.html: nobody of that name" in capsys.readouterr().err


def test_a_page_is_not_called_as_a_picture(model, picture, here, capsys, monkeypatch):
    monkeypatch.setattr("neocog.cli.explain.open_network", lambda *_: pytest.fail("too late"))
    assert main(["explain", model, picture, "--out", "page.png"]) == 1
    assert "page.png is to be a page, which is HTML" in capsys.readouterr().err


def test_images_of_other_data_than_the_trainings_are_not_taken(network, here, capsys):
    training = {"data": "shapes", "data_fingerprint": 64 * "0"}
    save_model(network, here / "net.safetensors", training=training)
    assert main(["explain", "net.safetensors", "test:3"]) == 1
    note, error = capsys.readouterr().err.splitlines()
    assert note == "net.safetensors was trained on other images than shapes now has."
    assert "name them with --data" in error
    training["data_fingerprint"] = DATA.fingerprint
    save_model(network, here / "net.safetensors", training=training)
    assert main(["explain", "net.safetensors", "test:3", "--json"]) == 0


def test_pictures_of_ones_own_are_shown_with_the_filters(model, picture, here, capsys):
    """Those of a folder, without labels; one that is damaged is left out, and said."""
    (here / "own" / "deep").mkdir(parents=True)
    for n in range(4):
        Image.fromarray(DATA.train.images[n]).save(here / "own" / "deep" / f"{n}.png")
    (here / "own" / "a.png").write_bytes(b"no picture")
    assert main(["explain", model, picture, "--pictures", "own"]) == 0
    assert "1 picture could not be read and left out: own/a.png" in capsys.readouterr().err
    filters = structure_of("picture-explained.html")[0]["filters"]["conv1"]
    assert filters["images"] == 4
    network = neocog.load(model)
    best = network.copy()
    explained = neocog.explain(best, DATA.test.images[3])
    expected = explained.filters("conv1", DATA.train.images[:4]).top_activations
    for channel, shown in filters["channels"].items():
        names = [f"own/deep/{one.index}.png" for one in expected[int(channel)]]
        assert [one["name"] for one in shown] == names


@pytest.mark.parametrize("own", ["nowhere", "empty", "damaged"])
def test_pictures_that_are_none(model, picture, here, capsys, own):
    (here / "empty").mkdir()
    (here / "damaged").mkdir()
    (here / "damaged" / "a.png").write_bytes(b"no picture")
    assert main(["explain", model, picture, "--pictures", own]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("neocog: ") == 1
    assert own in printed.err
    assert not list(here.glob("*.html"))


def test_maps_lie_over_the_photograph(model, here):
    Image.fromarray(np.full((90, 1200, 3), 70, np.uint8)).save(here / "wide.jpg")
    assert main(["explain", model, "wide.jpg"]) == 0
    photograph = structure_of("wide-explained.html")[0]["photograph"]
    assert (photograph["height"], photograph["width"]) == (48, 640)
    assert photograph["box"] == [0, 0, 1, 1]
    assert photograph["src"].startswith("data:image/jpeg;base64,")


def test_a_name_means_the_weights_that_are_installed_for_it(network, picture, capsys, monkeypatch):
    found = neocog.pretrained.Pretrained(network, "lite", "a-package==1.0")
    monkeypatch.setattr("neocog.loading.is_installed", lambda model: model == "lite")
    monkeypatch.setattr("neocog.loading.open_pretrained", lambda model: found)
    assert main(["explain", "lite", picture]) == 0
    assert "Weights: a-package==1.0." in capsys.readouterr().err
    structure, block = structure_of("picture-explained.html")
    probabilities = network.predict_proba(DATA.test.images[3:4])[0]
    np.testing.assert_allclose(numbers(structure["probabilities"], block), probabilities, rtol=1e-4)
