"""``neocog explore``: which network and which data it is about."""

import json

import numpy as np
import pytest
from explore_networks import saved

import neocog
from neocog import loading
from neocog.cli import explore as explore_module  # noqa: F401  (patched below by its full name)
from neocog.data import is_here
from neocog.data.shapes import CLASSES, shapes
from neocog.data.sources import cifar10 as cifar
from neocog.errors import FormatError, NeocogError
from neocog.loading import open_network

pytestmark = pytest.mark.usefixtures("little_data")


def assert_same(network, other):
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(network.state_dict()[name], value)


def test_a_new_network_for_the_data():
    opened = open_network()
    assert (opened.name, opened.data.name, opened.notes) == ("simple-cnn", "shapes", ())
    assert opened.network.classes == CLASSES
    assert not opened.network.initialized
    opened = open_network(data="cifar10")
    assert (opened.data.name, opened.network.classes) == ("cifar10", cifar.CLASSES)


def test_a_network_by_name():
    opened = open_network("lenet5")
    assert opened.name == "lenet5"
    assert opened.network.input_shape == (3, 32, 32)
    assert neocog.models.name_of(opened.network) == "lenet5"


def test_an_unknown_network_is_wrong_before_data_are_loaded(little_data):
    with pytest.raises(NeocogError, match="Did you mean 'lenet5'"):
        open_network("lenet")
    assert little_data == []


def test_a_python_file(here):
    (here / "mine.py").write_text(
        "import neocog\n"
        "def small(classes, input_shape):\n"
        "    return neocog.Network(flatten=neocog.Flatten(), fc=neocog.Linear(3072, classes))\n"
        "def gray(classes):\n"
        "    return neocog.Network(\n"
        "        input_shape=(1, 8, 8), flatten=neocog.Flatten(), fc=neocog.Linear(64, classes)\n"
        "    )\n"
    )
    opened = open_network("mine.py:small")
    assert (opened.name, list(opened.network.layers)) == ("mine", ["flatten", "fc"])
    with pytest.raises(NeocogError, match=r"mine.py:gray takes images of the shape \(1, 8, 8\)"):
        open_network("mine.py:gray")


def test_a_network_that_ends_in_a_map(here):
    network = neocog.Network(conv=neocog.Conv2d(3, 2, 3))
    network.initialize(0)
    network.save("map.safetensors")
    with pytest.raises(NeocogError, match=r"ends in the shape \(2, 30, 30\); only a network"):
        open_network("map.safetensors")


@pytest.mark.parametrize("name", ["shapes", "cifar10"])
def test_a_saved_network_comes_with_what_it_was_trained_on(here, monkeypatch, name):
    monkeypatch.setattr(loading, "is_here", lambda name: True)
    folder = here / "my-run"
    folder.mkdir()
    classes = CLASSES if name == "shapes" else cifar.CLASSES
    network = saved(folder / "best.safetensors", classes, data=name)
    for path, title in ((folder, "my-run"), (folder / "best.safetensors", "best")):
        opened = open_network(str(path))
        assert (opened.name, opened.data.name, opened.notes) == (title, name, ())
        assert_same(opened.network, network)


@pytest.mark.parametrize(
    ("training", "why"),
    [
        ({}, "does not say which data it was trained on."),
        ({"data": "cifar10"}, "was trained on cifar10, which is not on this machine."),
        ({"data": "/etc/passwd"}, "was trained on /etc/passwd, but does not say where they are."),
        ({"data": "https://a.org/\x1b[2J"}, r"was trained on https://a.org/\x1b[2J, but does not"),
        ({"data": ["shapes"]}, "does not say which data"),
    ],
)
def test_nothing_is_downloaded_or_opened_because_a_file_says_so(
    here, monkeypatch, little_data, training, why
):
    monkeypatch.setattr(loading, "is_here", lambda name: name == "shapes")
    saved(here / "a.safetensors", **training)
    opened = open_network("a.safetensors")
    assert opened.data is None
    (note,) = opened.notes
    assert note.startswith(f"a.safetensors {why}")
    assert little_data == []


def test_a_run_says_where_its_data_are(here, monkeypatch):
    noise, loaded = shapes(0, 8, 4), []

    def load_data(source, **_):
        loaded.append(source)
        return noise

    monkeypatch.setattr(loading, "load_data", load_data)
    monkeypatch.setattr(loading, "holds_pictures", lambda _: False)
    (here / "mine").mkdir()
    (here / "run").mkdir()
    own = noise.fingerprint
    saved(here / "run" / "best.safetensors", data="noise", data_fingerprint=own)
    source = str(here / "mine")

    def opened(**kept):
        info = {"name": "noise", "source": source, "fingerprint": own} | kept
        (here / "run" / "run.json").write_text(json.dumps({"data": info}), encoding="utf-8")
        found = open_network("run")
        return found.data, found.notes

    assert opened() == (noise, ())
    assert loaded == [source]
    # A path is opened only for the data that the model's file speaks of.
    data, (note,) = opened(fingerprint="0" * 64)
    assert (data, note) == (None, "run was trained on noise, but does not say where they are.")
    assert loaded == [source]
    noise.__dict__["fingerprint"] = "1" * 64
    data, (note,) = opened()
    assert (data, note) == (None, f"run was trained on other images than {source} now has.")
    (here / "run" / "run.json").write_text("[" * 100_000)
    assert "does not say where they are" in open_network("run").notes[0]


def test_the_network_of_weights_alone_can_be_said(here):
    (here / "resnet.pytorch").mkdir()
    (here / "resnet.pytorch" / "own.py").write_text(
        "import neocog\n"
        "def gray(classes):\n"
        "    return neocog.Network(\n"
        "        input_shape=(1, 8, 8), flatten=neocog.Flatten(), fc=neocog.Linear(64, classes)\n"
        "    )\n"
    )
    model = "resnet.pytorch/own.py:gray"
    network = neocog.models.load_model_file("resnet.pytorch/own.py", "gray", 4)
    network.initialize(0)
    network.save("a.pth")
    network.save("a.safetensors")
    opened = open_network("a.pth", architecture=model)
    assert_same(opened.network, network)
    assert f"taken for {model}" in opened.notes[0]
    for other in ("a.safetensors", "simple-cnn", None):
        with pytest.raises(NeocogError, match=r"says it itself\. Leave --model out"):
            open_network(other, architecture=model)
    assert loading.name_of_run(model) == "own"


def test_weights_alone_need_data_to_be_named(here):
    network = saved(here / "a.safetensors")
    network.save(here / "a.pth")
    opened = open_network("a.pth")
    assert opened.data is None
    assert opened.notes[0].startswith("a.pth holds weights alone: taken for simple-cnn")
    opened = open_network("a.pth", "shapes")
    assert opened.network.classes == CLASSES
    assert_same(opened.network, network)


def test_data_that_do_not_fit(here):
    saved(here / "a.safetensors", cifar.CLASSES, data="shapes")
    with pytest.raises(NeocogError, match=r"a.safetensors knows the classes airplane, .* ring"):
        open_network("a.safetensors", "shapes")
    # What a file says is no order: it is still opened.
    opened = open_network("a.safetensors")
    assert opened.data is None
    assert "knows the classes airplane" in opened.notes[0]

    network = neocog.models.simple_cnn(3)
    network.initialize(0)
    network.save("three.safetensors")
    with pytest.raises(NeocogError, match="distinguishes 3 classes, but shapes has 10"):
        open_network("three.safetensors", "shapes")
    network = neocog.models.simple_cnn(input_shape=(1, 28, 28))
    network.initialize(0)
    network.save("gray.safetensors")
    with pytest.raises(NeocogError, match=r"shape \(1, 28, 28\), but those of shapes are \(3, 32"):
        open_network("gray.safetensors", "shapes")


def test_damaged_files(here):
    saved(here / "a.safetensors")
    content = (here / "a.safetensors").read_bytes()
    (here / "b.safetensors").write_bytes(content[:-100])
    (here / "c.pth").write_bytes(content)
    for path in ("b.safetensors", "c.pth", "none.safetensors", "."):
        with pytest.raises(FormatError, match=path.replace(".", r"\.")):
            open_network(path)


def test_what_is_here(tmp_path, monkeypatch):
    cache, named = tmp_path / "cache", tmp_path / "named"
    monkeypatch.setattr(cifar, "_cache", lambda: cache)
    monkeypatch.delenv("NEOCOG_DATA", raising=False)
    assert is_here("shapes")
    assert not is_here("cifar10")
    assert not is_here(str(tmp_path))
    (cache / cifar.FOLDER).mkdir(parents=True)
    assert not is_here("cifar10")
    (cache / cifar.FOLDER / "data_batch_1.bin").touch()
    assert is_here("cifar10")
    # A place that is named is the only one.
    monkeypatch.setenv("NEOCOG_DATA", str(named))
    assert not is_here("cifar10")
    named.mkdir()
    (named / cifar.ARCHIVE).touch()
    assert is_here("cifar10")
    monkeypatch.setenv("NEOCOG_DATA", str(named / cifar.ARCHIVE))
    assert is_here("cifar10")


def test_what_was_downloaded_before_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_cache", lambda: tmp_path)
    monkeypatch.delenv("NEOCOG_DATA", raising=False)
    monkeypatch.setattr(cifar, "FILE_BYTES", 3)
    folder = cifar._unpacked_folder()
    folder.mkdir()
    for name in cifar.FILES:
        assert not is_here("cifar10")
        (folder / name).write_bytes(b"abc")
    assert is_here("cifar10")
