"""Folders for the hub: written whole, read by others and by neocog, and refused where damaged."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from graph_networks import three_lanes
from model_files import network

import neocog
from neocog.errors import ArchitectureError, FormatError
from neocog.files import leftovers
from neocog.formats import hub_folder, training_of
from neocog.formats.hub_folder import CARD, CONFIG, FILES, WEIGHTS
from neocog.layers import Flatten, Layer, Linear
from neocog.loading import open_network, open_saved
from neocog.preprocessing import Preprocessing, Resize


def everything():
    """A network with all that can travel."""
    found = three_lanes()
    found.initialize(3)
    found.classes = ("cat", "größer | als <3>", "`", "")
    found.preprocessing = Preprocessing(
        (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), Resize("crop", "bicubic", 0.875)
    )
    found.temperature, found.threshold = 1.75, 0.6
    return found


def of_labels():
    found = network()
    found.loss = "binary-cross-entropy"
    return found


@pytest.fixture
def folder(tmp_path):
    neocog.export(everything(), tmp_path / "made", to="hub", notes={"data": "drawings"})
    return tmp_path / "made"


def assert_same(found, wanted):
    assert found.graph == wanted.graph
    for name in ("classes", "preprocessing", "temperature", "threshold", "loss"):
        assert getattr(found, name) == getattr(wanted, name), name
    state, expected = found.state_dict(), wanted.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        np.testing.assert_array_equal(state[name], value)


@pytest.mark.parametrize("make", [everything, of_labels, network])
def test_all_of_a_network_comes_back(tmp_path, make):
    done = neocog.export(make(), tmp_path / "made", to="hub")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == sorted(FILES)
    sizes = [path.stat().st_size for path in (tmp_path / "made").iterdir()]
    assert (done.format, done.size) == ("hub", sum(sizes))
    assert_same(neocog.load(tmp_path / "made"), make())


def test_equal_networks_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        neocog.export(everything(), tmp_path / name / "made", to="hub")
    for name in FILES:
        one, two = (tmp_path / at / "made" / name for at in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_notes_come_back(folder):
    assert training_of(folder) == {"data": "drawings"}


def test_other_programs_find_what_they_look_for(folder):
    with safetensors.safe_open(folder / WEIGHTS, "numpy") as file:
        assert file.metadata() == {"format": "pt"}  # as transformers and timm require
        assert set(file.keys()) == set(everything().state_shapes)
    config = json.loads((folder / CONFIG).read_text())
    names = list(everything().classes)
    assert config["num_classes"] == 4
    assert [config["id2label"][str(n)] for n in range(4)] == names
    assert [config["label2id"][name] for name in names] == [0, 1, 2, 3]


def test_names_of_classes_that_were_changed_by_hand_are_taken(folder):
    config = json.loads((folder / CONFIG).read_text())
    config["id2label"]["0"] = "lion"
    (folder / CONFIG).write_text(json.dumps(config))
    assert neocog.load(folder).classes == ("lion", *everything().classes[1:])


def test_pytorch_takes_the_weights(folder, torch):
    from safetensors.torch import load_file

    module = everything().to_torch()
    module.load_state_dict(load_file(folder / WEIGHTS), strict=True)


def test_it_is_opened_like_any_saved_network(folder):
    network, notes = open_saved(str(folder))
    assert_same(network, everything())
    assert notes == ()
    opened = open_network(str(folder))
    assert opened.name == "made"
    assert opened.notes == (f"{folder} was trained on drawings, but does not say where they are.",)


def test_it_trains_on(tmp_path):
    net = neocog.models.simple_cnn(4, input_shape=(3, 8, 8))
    net.initialize(0)
    neocog.export(net, tmp_path / "made", to="hub")
    net = neocog.load(tmp_path / "made")
    rng = np.random.default_rng(0)
    data = neocog.Dataset(rng.integers(0, 256, (16, 8, 8, 3), np.uint8), rng.integers(0, 4, 16))
    before = net.state_dict()
    neocog.fit(net, data, epochs=1)
    assert any((before[name] != value).any() for name, value in net.state_dict().items())


# Writing


def test_nothing_is_overwritten_unless_asked_for(folder):
    before = {name: (folder / name).read_bytes() for name in FILES}
    with pytest.raises(FormatError, match=r"made holds something already.*--overwrite"):
        neocog.export(network(), folder, to="hub")
    assert before == {name: (folder / name).read_bytes() for name in FILES}
    (folder / "notes.txt").write_text("mine")
    neocog.export(network(), folder, to="hub", overwrite=True)
    assert_same(neocog.load(folder), network())
    assert (folder / "notes.txt").read_text() == "mine"
    assert not leftovers(folder)


def test_only_a_model_is_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "README.md").write_text("mine")
    with pytest.raises(FormatError, match=r"no config.json and model.safetensors that could be"):
        neocog.export(network(), tmp_path / "photos", to="hub", overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FormatError, match="file is a file, not a folder"):
        neocog.export(network(), tmp_path / "file", to="hub", overwrite=True)


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("at", range(3))
def test_all_files_are_written_or_none(tmp_path, monkeypatch, is_there, at):
    folder = tmp_path / "made"
    if is_there:
        neocog.export(network(), folder, to="hub")
    written = []

    def full(path, content):
        if len(written) == at:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr(hub_folder, "write_bytes", full)
    with pytest.raises(FormatError, match=r"made cannot be written: No space left .* Free some"):
        neocog.export(everything(), folder, to="hub", overwrite=True)
    assert len(written) == at
    if is_there:
        assert_same(neocog.load(folder), network())
        assert not leftovers(folder)
    else:
        assert not folder.exists()


def test_layers_that_no_file_can_describe_are_refused(tmp_path):
    class Own(Layer):
        def output_shape(self, shape):
            return shape

    net = neocog.Network(input_shape=(3, 2, 2), own=Own(), flatten=Flatten(), fc=Linear(12, 2))
    net.initialize(0)
    with pytest.raises(ArchitectureError, match="Own"):
        neocog.export(net, tmp_path / "made", to="hub")
    assert not (tmp_path / "made").exists()


# Reading what is damaged, hostile or another program's


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path):
    (tmp_path / CONFIG).write_text("{}")
    with pytest.raises(FormatError, match=r"holds no best.safetensors .* config.json with a model"):
        neocog.load(tmp_path)


def of_timm(config):
    config.clear()
    config.update(architecture="resnet18", num_classes=1000, pretrained_cfg={"mean": [0.5] * 3})


def of_transformers(config):
    config.clear()
    config.update(architectures=["ViTForImageClassification"], id2label={"0": "x"})


def without(key):
    return lambda config: config.pop(key)


def within(**changes):
    return lambda config: config["neocog"].update(changes)


def top(**changes):
    return lambda config: config.update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_timm, "does not have the layers.* for 'resnet18'.*neocog.from_torch"),
        (of_transformers, "for 'ViTForImageClassification'"),
        (without("neocog"), "does not have the layers of the network, which neocog writes there"),
        (top(neocog=[1]), "its description of the network is damaged"),
        (within(version=9), "of version 9 of the format"),
        (within(nodes="x"), "its list of nodes is damaged"),
        (within(nodes=[{"type": "os.system", "name": "a", "inputs": ["input"]}]), "os.system"),
        (within(input_shape=[3, 10**6, 10**6]), "absurdly large|do not fit|must equal"),
        (within(temperature=-1), "temperature"),
        (top(id2label={"1": "a", "2": "b"}), "its id2label does not number the classes from 0"),
        (top(id2label=["a", "b"]), "its id2label does not number the classes from 0"),
        (top(id2label={"0": "a"}), "there are 1 classes"),
        (top(id2label={str(n): 3 for n in range(4)}), "its list of classes is damaged"),
        (top(id2label={str(n): f"\n{n}" for n in range(4)}), "has a line break"),
    ],
)
def test_configs_that_are_refused(folder, change, message):
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(FormatError, match=message) as caught:
        neocog.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, b"", "its text is damaged"),
        (CONFIG, b"[1]", "its text is damaged"),
        (CONFIG, b'{"neocog": NaN}', "NaN is not JSON"),
        (CONFIG, b'{"a": 1, "a": 2}', "a name occurs twice"),
        (CONFIG, b"[" * 10**5, "its text is damaged"),
        (CONFIG, b"[" + b"1," * 500_000 + b"1]", "values; up to 400,000 are read"),
        (CONFIG, b" " * (4 * 2**20 + 1), r"larger than the 4,194,304 bytes"),
        (WEIGHTS, b"", "not a safetensors file, or it is cut short"),
        (WEIGHTS, b"\xff" * 100, "not a safetensors file"),
        (
            WEIGHTS,
            safetensors.numpy.save({"fc.weight": np.zeros((2, 2), np.float32)}),
            "its weights are not those of its layers",
        ),
    ],
)
def test_files_that_are_refused(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        neocog.load(folder)
    assert f"{name}: " in str(caught.value)


def test_weights_of_another_shape_are_refused(folder):
    state = everything().state_dict()
    state["fc.bias"] = np.zeros(5, np.float32)
    (folder / WEIGHTS).write_bytes(safetensors.numpy.save(state))
    with pytest.raises(FormatError, match=r"fc.bias should be float32 of the shape \(4,\)"):
        neocog.load(folder)


def test_the_card_is_never_read(folder):
    (folder / CARD).unlink()
    (folder / CARD).mkdir()
    assert_same(neocog.load(folder), everything())
