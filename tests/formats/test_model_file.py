"""The model file: everything comes back, in the same bytes, and other programs read it."""

import numpy as np
import pytest
import safetensors.numpy
from model_files import nested, network, put, rewrite, write

from neocog.errors import ArchitectureError
from neocog.formats.model_file import read_training
from neocog.layers import (
    LAYERS,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from neocog.network import Network
from neocog.network_files import check_savable, load_model, save_model
from neocog.preprocessing import Preprocessing


def test_everything_comes_back(saved):
    expected, actual = network(), load_model(saved)
    assert dict(actual.layers) == dict(expected.layers)
    assert list(actual.layers) == list(expected.layers)
    assert actual.input_shape == expected.input_shape
    assert actual.classes == expected.classes
    assert actual.preprocessing == expected.preprocessing
    for name, value in expected.state_dict().items():
        np.testing.assert_array_equal(actual.state_dict()[name], value)
    assert read_training(saved) == {"data": "shapes", "epochs": 5}


def types_in(layers):
    return {type(layer) for layer in layers} | {
        kind for layer in layers for kind in types_in(layer.children().values())
    }


def test_every_layer_comes_back(tmp_path):
    expected = nested()
    of_a_row = {layer for layer in LAYERS.values() if not layer.takes_several}
    assert types_in(expected.layers.values()) == of_a_row
    save_model(expected, tmp_path / "a.safetensors")
    actual = load_model(tmp_path / "a.safetensors")
    assert dict(actual.layers) == dict(expected.layers)
    assert list(actual.state_dict()) == list(expected.state_dict())
    for name, value in expected.state_dict().items():
        found = actual.state_dict()[name]
        assert found.dtype == value.dtype
        np.testing.assert_array_equal(found, value)
    assert actual.state_dict()["stem.1.num_batches_tracked"] == 2**40
    tensors = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert tensors["stem.1.num_batches_tracked"].dtype == np.int64
    assert tensors["stem.1.num_batches_tracked"].shape == ()


@pytest.mark.parametrize(
    "classes",
    [
        ("\u062e\u0627\u0646\u0647\u200c\u0647\u0627", "\u0928\u092e\u0938\u094d\u200d"),
        ("\U0001f469\u200d\U0001f680", "\U0001f3f4\u200d\u2620\ufe0f"),
        ("p\u00e2te\u00a0bris\u00e9e", "r\u00f6st\u00adkaffee"),
        ("tab\there", ""),
        ("a" * 1000, "\u200e\u05d0"),
        (np.str_("ring"), "b"),
        np.array(["one", "two"]),
        [3, 5],
        np.unique([9, 4, 9]),
        (np.uint8(200), -1),
    ],
)  # fmt: skip
def test_class_names_that_people_use_come_back(tmp_path, classes):
    net = network()
    net.name_classes(classes)
    assert net.classes == tuple(map(str, classes))
    assert all(type(name) is str for name in net.classes)
    save_model(net, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").classes == net.classes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two\nlines", r"class 1, 'two\\nlines', has a line break"),
        ("\x1b[31m", r"class 1, '\\x1b\[31m', has"),
        ("\u202egnp", r"class 1, '\\u202egnp', has"),
        ("\ud800", r"class 1, '\\ud800', has"),
        ("a" * 1001, "has 1,001 characters; up to 1,000"),
        (1.5, r"class 1 \(=1\.5\) must be a text or a whole number"),
        (True, r"class 1 \(=True\) must be a text"),
        (None, r"class 1 \(=None\) must be a text"),
        (b"b", r"class 1 \(=b'b'\) must be a text"),
        pytest.param(
            10**9999, r"class 1 \(=an object of type int\) must be a text", id="a large number"
        ),
    ],
)
def test_class_names_that_no_file_can_have_are_refused_at_once(name, message):
    net = network()
    with pytest.raises(ArchitectureError, match=message):
        net.name_classes(("a", name))
    with pytest.raises(ArchitectureError, match=r"classes \(='ab'\) must be a list"):
        net.name_classes("ab")
    assert net.classes == network().classes


#: What this package wrote before layers could lie in layers.
OLD = {
    "__metadata__": {
        "neocog": '{"version": 1, "input_shape": [1, 4, 4], "layers": [{"name": "conv1", "type": '
        '"Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": [3, 1], "stride": [1, 1], '
        '"padding": [1, 0], "bias": false}, {"name": "relu", "type": "ReLU"}, {"name": "pool", '
        '"type": "MaxPool2d", "kernel_size": 2}, {"name": "flatten", "type": "Flatten"}, {"name": '
        '"fc", "type": "Linear", "in_features": 4, "out_features": 2, "bias": true}], "classes": '
        '["a", "b"], "preprocessing": {"mean": [0.25], "std": [0.5]}, "training": {"data": '
        '"shapes"}}'
    },
    "conv1.weight": {"dtype": "F32", "shape": [1, 1, 3, 1], "data_offsets": [0, 12]},
    "fc.bias": {"dtype": "F32", "shape": [2], "data_offsets": [12, 20]},
    "fc.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [20, 52]},
}


def test_files_from_before_there_were_nested_layers_are_read(tmp_path):
    numbers = np.concatenate([np.arange(1, n + 1) for n in (3, 2, 8)]).astype("<f4") / 4
    write(tmp_path / "old.safetensors", OLD, numbers.tobytes())
    net = load_model(tmp_path / "old.safetensors")
    assert dict(net.layers) == {
        "conv1": Conv2d(1, 1, (3, 1), padding=(1, 0), bias=False),
        "relu": ReLU(),
        "pool": MaxPool2d(2),
        "flatten": Flatten(),
        "fc": Linear(4, 2),
    }
    assert net.classes == ("a", "b")
    assert net.preprocessing == Preprocessing((0.25,), (0.5,))
    np.testing.assert_array_equal(net.state_dict()["conv1.weight"].ravel(), [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(net.state_dict()["fc.weight"].ravel(), numbers[5:])
    assert read_training(tmp_path / "old.safetensors") == {"data": "shapes"}


class Strange(Layer):
    def output_shape(self, shape):
        return shape


def deep(levels):
    layer = ReLU()
    for _ in range(levels):
        layer = Residual(layer)
    return layer


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"odd": Strange()}, "Unknown layer type 'Strange'"),
        ({"deep": deep(17)}, "more than 16 deep"),
        ({"\n": ReLU()}, "A layer cannot be called"),
        ({"__len__": ReLU()}, "A layer cannot be called"),
    ],
)
def test_networks_that_no_file_can_describe_are_not_written(tmp_path, layers, message):
    net = Network(input_shape=(1, 1, 1), **layers)
    net.load_state_dict({})
    with pytest.raises(ArchitectureError, match=f"A file cannot describe.*{message}"):
        save_model(net, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_classes_and_training_may_be_missing(tmp_path):
    net = Network(input_shape=(1, 1, 1), f=Flatten(), fc=Linear(1, 3))
    net.initialize(0)
    save_model(net, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").classes is None
    assert read_training(tmp_path / "a.safetensors") == {}


@pytest.mark.parametrize("name", ["input_shape", "self", "input", "graph"])
def test_a_layer_may_be_called_like_anything(saved, name):
    expected = load_model(saved)
    rewrite(saved, put("layers", 1, "name", name))
    found = load_model(saved)
    assert list(found.layers)[1] == name
    image = np.zeros((1, *found.input_shape[1:], found.input_shape[0]), np.uint8)
    np.testing.assert_array_equal(found.predict_proba(image), expected.predict_proba(image))


def test_the_bytes_are_the_same_every_time(saved, tmp_path):
    for i in range(5):
        save_model(network(), tmp_path / "b", {"data": "shapes", "epochs": 5})
        assert (tmp_path / "b").read_bytes() == saved.read_bytes(), i


def test_other_programs_read_the_weights(saved):
    tensors = safetensors.numpy.load_file(saved)
    expected = network().state_dict()
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value)


def test_a_failure_leaves_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        save_model(Network(f=Flatten()), saved)
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_model(network(), saved, {"loss": float("nan")})
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_model(network(), saved, {"data": object()})
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_what_no_file_can_describe_is_known_before_it_is_trained():
    check_savable(Network(f=Flatten(), fc=Linear(3072, 2)))
    for layers, message in (
        ({"a\nb": Flatten()}, r"cannot be called 'a\\nb'"),
        ({"a": Sequential(__b=Flatten())}, "cannot be called '__b'"),
        ({"a": Conv2d(3, 2**17, 1), "b": Flatten()}, "absurdly large"),
    ):
        with pytest.raises(ArchitectureError, match=f"file cannot describe .*{message}"):
            check_savable(Network(**layers))


def test_a_network_whose_header_would_be_too_large_is_not_saved(tmp_path):
    classes = tuple(f"{n:05}" + "x" * 900 for n in range(5000))
    net = Network(input_shape=(1, 1, 1), f=Flatten(), fc=Linear(1, 5000), classes=classes)
    net.initialize(0)
    with pytest.raises(ArchitectureError, match=r"cannot describe this network: its header has"):
        save_model(net, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArchitectureError, match=r"cannot describe this network: its header has"):
        check_savable(net)


@pytest.mark.parametrize("letter", ["x", "é", '"'])  # of one byte, of two, and of four in JSON
def test_a_network_that_only_just_fits_into_a_file_is_savable(tmp_path, letter):
    size = {"x": 1, "é": 2, '"': 4}[letter]
    for spare, fits in ((100_000, True), (60_000, False)):
        length = (2**22 - spare) // 5000 // size
        names = tuple(f"{n:05}" + letter * (length - 10 // size) for n in range(5000))
        net = Network(input_shape=(1, 1, 1), f=Flatten(), fc=Linear(1, 5000), classes=names)
        net.initialize(0)
        save_model(net, tmp_path / "a.safetensors", training={"data": "x" * 1000})
        if fits:
            check_savable(net)
        else:  # not with the longest notes
            with pytest.raises(ArchitectureError, match="its header has"):
                check_savable(net)
