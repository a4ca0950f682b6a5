"""The model file: everything comes back, and anything damaged or foreign is refused."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import ArchitectureError, FormatError, is_plain
from neocog.formats.model_file import read_training
from neocog.layers import (
    GELU,
    LAYERS,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.network import Network
from neocog.network_files import check_savable, load_model, save_model
from neocog.preprocessing import Preprocessing


def network() -> Network:
    net = Network(
        input_shape=(1, 6, 4),
        classes=("ring", "größer als 3 ✓"),
        preprocessing=Preprocessing((0.1307,), (0.3081,)),
        **{
            "features.0": Conv2d(1, 2, (3, 1), padding=(1, 0), bias=False),
            "relu": ReLU(),
            "pool": MaxPool2d(),
            "flatten": Flatten(),
            "fc": Linear(12, 2),
        },
    )
    rng = np.random.default_rng(0)
    net.load_state_dict({k: rng.normal(size=s) for k, s in net.parameter_shapes.items()})
    return net


def nested() -> Network:
    """A network with every type of layer, and with arguments of every kind."""
    net = Network(
        input_shape=(4, 13, 10),
        stem=Sequential(
            **{
                "0": Conv2d(4, 8, (3, 5), padding="same", dilation=(2, 1), bias=False),
                "1": BatchNorm2d(8, momentum=0.4, eps=1e-12),
                "self": GELU("tanh"),
            }
        ),
        block=Residual(
            Sequential(
                depthwise=Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
                norm=BatchNorm2d(8, affine=False),
                act=SiLU(),
                inner=Residual(Conv2d(8, 8, 1, padding="valid")),
                drop=Dropout(0.3),
            ),
            Conv2d(8, 8, 1, stride=(2, 2), groups=2),
        ),
        leaky=LeakyReLU(0.2),
        pool=MaxPool2d(3, stride=2, padding=1),
        tanh=Tanh(),
        mean=AvgPool2d((2, 3), stride=1, padding=(1, 1), count_include_pad=False),
        sigmoid=Sigmoid(),
        scale=Scale(-1.5),
        best=AdaptiveMaxPool2d(),
        relu=ReLU(),
        one=AdaptiveAvgPool2d(1),
        flatten=Flatten(),
        fc=Linear(8, 5),
    )
    net.initialize(4)
    state = net.state_dict()
    state["stem.1.num_batches_tracked"] += 2**40
    net.load_state_dict(state)
    return net


@pytest.fixture
def saved(tmp_path):
    save_model(network(), tmp_path / "model.safetensors", {"data": "shapes", "epochs": 5})
    return tmp_path / "model.safetensors"


def header_of(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write(path, header, numbers):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def rewrite(path, change):
    """Change the description inside a model file."""
    header, numbers = header_of(path)
    description = json.loads(header["__metadata__"]["neocog"])
    change(description)
    header["__metadata__"]["neocog"] = json.dumps(description)
    write(path, header, numbers)


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


def test_files_cut_short_or_long_are_refused(saved):
    data = saved.read_bytes()
    for length in range(len(data)):
        saved.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"model\.safetensors: "):
            load_model(saved)
    saved.write_bytes(data + b"\0")
    with pytest.raises(FormatError, match="should hold 128 bytes of weights and holds 129"):
        load_model(saved)


@pytest.mark.parametrize("read", [load_model, read_training])
def test_missing_and_foreign_files_are_refused(tmp_path, read):
    path = tmp_path / "a.safetensors"
    with pytest.raises(FormatError, match="No such file"):
        read(path)
    for content in (b"", b"hello", b"hello, this is no model at all", struct.pack("<Q", 2**63)):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="not a safetensors file"):
            read(path)
    safetensors.numpy.save_file({"fc.weight": np.ones((2, 2), np.float32)}, path)
    with pytest.raises(FormatError, match="not the architecture"):
        read(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[1]", "header is damaged"),
        (b"{}}", "header is damaged: Extra data"),
        (b"\xff\xff\xff", "header is damaged"),
        (b"[" * 100_000, "header is damaged"),
        (b'{"a": 1, "a": 2}', "a name occurs twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "header is damaged"),
        ({"__metadata__": {"neocog": {}}}, "description of the network is not a text"),
        ({"__metadata__": {"neocog": "{"}}, "description of the network is damaged"),
        ({"__metadata__": []}, "metadata is damaged"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, header, message):
    write(tmp_path / "a.safetensors", header, b"")
    for read in (load_model, read_training):
        with pytest.raises(FormatError, match=message):
            read(tmp_path / "a.safetensors")


def put(*path):
    *keys, last, value = path

    def change(description):
        for key in keys:
            description = description[key]
        description[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("version", 3), "version 3 of the format; this neocog reads 1 and 2"),
        (put("version", 2), "list of nodes is damaged"),
        (put("layers", 0, "type", "Evil"), "Unknown layer type 'Evil'"),
        (put("layers", 0, "type", 3), "Unknown layer type 3"),
        (put("layers", 0, "exec", 1), "no argument 'exec'"),
        (put("layers", 0, "name", "relu"), "Two layers are called 'relu'"),
        (put("layers", 1, "name", None), "A layer cannot be called None"),
        (put("layers", 1, "name", "\x1b[2J"), r"A layer cannot be called '\\x1b\[2J'"),
        (put("layers", 1, "name", "__class__"), "A layer cannot be called '__class__'"),
        (put("layers", 1, "name", ""), "A layer cannot be called"),
        (put("layers", 1, "name", "a" * 1001), "A layer cannot be called"),
        (put("layers", 0, "out_channels", 2**40), "sensible size"),
        (put("layers", 0, "out_channels", 1e3), "must be a whole number"),
        (put("layers", 0, "kernel_size", [3, [1]]), "not whole numbers"),
        (put("layers", 0, "kernel_size", [3, 1, 1]), "kernel_size"),
        (put("layers", 0, "bias", "yes"), "must be true or false"),
        (put("layers", 0, "padding", [2**30, 2**30]), "fc: Linear: in_features"),
        (put("layers", 0, "out_channels", 3), "fc: Linear: in_features"),
        (put("layers", 0, "bias", True), "for example 'features.0.bias'"),
        (put("layers", []), "at least one layer"),
        (put("layers", [{}] * 10_001), "10001 layers"),
        (put("layers", {}), "list of layers is damaged"),
        (put("layers", [1]), "layer is damaged"),
        (put("input_shape", [2, 6, 4]), r"features\.0: Conv2d: in_channels \(=1\)"),
        (put("input_shape", [1, 6]), "input_shape"),
        (put("input_shape", "big"), "input_shape"),
        (put("classes", ["a"]), "1 classes"),
        (put("classes", "ab"), "list of classes is damaged"),
        (put("classes", ["a", "\n"]), r"name of class 1, '\\n', has a line break"),
        (put("classes", ["a", 3]), "list of classes is damaged"),
        (put("preprocessing", None), "preprocessing is damaged"),
        (put("preprocessing", "mean", [0.5, 0.5]), "one number a channel"),
        (
            put("preprocessing", {"mean": [0.5, 0.5], "std": [0.5, 0.5]}),
            "preprocessing has 2 channels",
        ),
        (put("preprocessing", "std", [0]), "must be positive"),
        (put("preprocessing", "std", [1e30]), "sensible size"),
        (put("preprocessing", "mean", ["0.5"]), "not numbers"),
    ],
)
def test_descriptions_that_cannot_be_are_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(FormatError, match=message):
        load_model(saved)


@pytest.mark.parametrize("name", ["input_shape", "self", "input", "graph"])
def test_a_layer_may_be_called_like_anything(saved, name):
    expected = load_model(saved)
    rewrite(saved, put("layers", 1, "name", name))
    found = load_model(saved)
    assert list(found.layers)[1] == name
    image = np.zeros((1, *found.input_shape[1:], found.input_shape[0]), np.uint8)
    np.testing.assert_array_equal(found.predict_proba(image), expected.predict_proba(image))


RELU = {"type": "ReLU"}


def inside(levels, layer):
    for _ in range(levels):
        layer = {"type": "Sequential", "layers": [{"name": "a", **layer}]}
    return layer


def row(*layers):
    return put("layers", [{"name": f"l{n}", **layer} for n, layer in enumerate(layers)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (row(inside(17, RELU)), "more than 16 deep"),
        (row(inside(200, RELU)), "more than 16 deep"),
        (row({"type": "Sequential", "layers": [{"name": f"r{n}", **RELU} for n in range(9_999)]},
             RELU), "10001 layers"),
        (row({"type": "Sequential", "layers": []}), "Sequential: it needs at least one"),
        (row({"type": "Sequential", "layers": None}), "list of layers is damaged"),
        (row({"type": "Sequential", "layers": [3]}), "layer is damaged"),
        (row({"type": "Sequential"}), "no list of layers"),
        (row({"type": "Sequential", "layers": [{"name": "__dict__", **RELU}]}), "cannot be called"),
        (row({"type": "Sequential", "layers": [{"name": "a", **RELU}] * 2}), "layers are called"),
        (row({"type": "Residual", "body": None}), "is not a layer"),
        (row({"type": "Residual", "body": [RELU]}), "not whole numbers"),
        (row({"type": "Residual", "body": {"type": "Evil"}}), "Unknown layer type 'Evil'"),
        (row({"type": "Residual", "body": {"type": "MaxPool2d", "kernel_size": 2**40}}),
         "kernel_size: .* sensible size"),
        (row({"type": "Residual", "body": RELU, "shortcut": 3}), "is not a layer"),
        (row({"type": "Residual", "body": {"type": "AdaptiveAvgPool2d"}}), "l0: Residual: the"),
        (row({"type": "GELU", "approximate": "\x1b[2J"}), "value of 'approximate' that is none"),
        (row({"type": "GELU", "approximate": "a" * 1001}), "value of 'approximate' that is none"),
        (row({"type": "GELU", "approximate": "b"}), "must be 'none' or 'tanh'"),
        (row({"type": "Scale", "factor": 1e300}), "sensible size"),
        (row({"type": "Scale", "factor": 10**300}), "sensible size"),
        (row({"type": "Scale", "factor": True}), "must be a number"),
        (row({"type": "Dropout", "p": "0.5"}), "must be a number"),
        (row({"type": "Dropout", "p": None}), "must be a number"),
        (row({"type": "BatchNorm2d", "num_features": 2**30}), "num_features"),
        (row({"type": "BatchNorm2d", "num_features": 1}), "for example 'fc.bias'"),
        (row({"type": "Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 1,
              "padding": "far"}), "must be 'same', 'valid' or numbers"),
        (row({"type": "Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 2**30,
              "dilation": 2**30, "padding": "same"}), "absurdly large|weights are not those"),
    ],
)  # fmt: skip
def test_nested_descriptions_that_cannot_be_are_refused(saved, change, message):
    rewrite(saved, put("classes", None))
    rewrite(saved, change)
    with pytest.raises(FormatError, match=message):
        load_model(saved)


def test_nests_beyond_the_reach_of_json_are_refused(saved):
    header, numbers = header_of(saved)
    text = '{"type": "Residual", "body": ' * 100_000
    header["__metadata__"]["neocog"] = '{"version": 1, "layers": [' + text
    write(saved, header, numbers)
    with pytest.raises(FormatError, match="description of the network is damaged"):
        load_model(saved)


def test_counts_of_batches_of_another_type_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_model(nested(), path)
    header, numbers = header_of(path)
    header["stem.1.num_batches_tracked"]["dtype"] = "F64"
    write(path, header, numbers)
    with pytest.raises(FormatError, match=r"num_batches_tracked should be int64 of the shape \(\)"):
        load_model(path)


def test_absurd_inputs_are_refused_even_without_weights(tmp_path, saved):
    header, _ = header_of(saved)
    description = json.loads(header["__metadata__"]["neocog"])
    description |= {
        "input_shape": [1, 2**30, 2**30],
        "layers": [{"name": "relu", "type": "ReLU"}],
        "classes": None,
    }
    header = {"__metadata__": {"neocog": json.dumps(description)}}
    write(tmp_path / "a.safetensors", header, b"")
    with pytest.raises(FormatError, match=r"input: the shape .* absurdly large"):
        load_model(tmp_path / "a.safetensors")


def test_huge_weights_are_refused_before_they_are_allocated(saved):
    header, numbers = header_of(saved)
    description = json.loads(header["__metadata__"]["neocog"])
    description["layers"][-1]["out_features"] = 2**25
    description["classes"] = None
    header["__metadata__"]["neocog"] = json.dumps(description)
    header["fc.weight"]["shape"] = [2**25, 12]
    header["fc.bias"]["shape"] = [2**25]
    write(saved, header, numbers)
    with pytest.raises(FormatError, match="should hold 1744830488 bytes of weights and holds 128"):
        load_model(saved)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"dtype": "F64"}, "should be float32"),
        ({"shape": [2]}, "should be float32 of the shape"),
        ({"data_offsets": [0, 2**60]}, "offset"),
        ({"data_offsets": [-8, 0]}, "header"),
        ({"data_offsets": "0"}, "header"),
    ],
)
def test_tensors_that_cannot_be_are_refused(saved, spec, message):
    header, numbers = header_of(saved)
    header["fc.weight"] |= spec
    write(saved, header, numbers)
    with pytest.raises(FormatError, match=f"(?i){message}"):
        load_model(saved)


def test_messages_show_no_control_characters(saved):
    for change in (
        put("version", "\x1b]0;t\x07"),
        put("layers", 0, "\x1b[1m", -1),
        put("layers", 0, "\u202e", "a"),
        put("layers", 0, "type", "\x9b2J"),
        put("layers", 1, "name", "line\nbreak"),
        put("classes", ["\x1b[2J", "b"]),
    ):
        original = saved.read_bytes()
        rewrite(saved, change)
        with pytest.raises(FormatError) as caught:
            load_model(saved)
        assert is_plain(str(caught.value))
        saved.write_bytes(original)
    header, numbers = header_of(saved)
    header["\x1b[2J"] = header.pop("fc.bias")
    write(saved, header, numbers)
    with pytest.raises(FormatError, match=r"for example '\\x1b\[2J'"):
        load_model(saved)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("read", [load_model, read_training])
def test_pipes_and_devices_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    for name in ("pipe.safetensors", "zero.safetensors"):
        with pytest.raises(FormatError, match="not a regular file"):
            read(tmp_path / name)
    for name in ("a\0.safetensors", "a" * 5000 + ".safetensors"):
        with pytest.raises(FormatError, match=r"cannot be the name of a file|too long"):
            read(name)


def test_large_headers_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, b'{"a":"' + b" " * (4 * 2**20) + b'"}', b"")
    with pytest.raises(FormatError, match=r"its header has 4,194,312 bytes; up to 4,194,304"):
        load_model(path)
    write(path, b'{"a":[' + b"{}," * 250_000 + b"{}]}", b"")
    with pytest.raises(FormatError, match=r"its header has 500,003 values; up to 400,000"):
        load_model(path)


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


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save_model(network(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def good_nested(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("nested") / "model.safetensors"
    save_model(nested(), path)
    return path.read_bytes()


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(CHANGES, st.booleans())
def test_changed_files_give_a_network_or_a_format_error(tmp_path_factory, good, changes, in_json):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    data = bytearray(good)
    for at, value in changes:
        # Half of the time such changes as leave the header JSON, and so reach further.
        data[at % len(data)] = b'0123456789,:"[]{}-eE.'[value % 21] if in_json else value
    path.write_bytes(data)
    for read in (load_model, read_training):
        try:
            result = read(path)
        except FormatError:
            continue
        assert isinstance(result, Network | dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NESTED_PLACES = [
    ("layers", 0), ("layers", 0, "layers"), ("layers", 0, "layers", 0, "padding"),
    ("layers", 0, "layers", 1, "eps"), ("layers", 0, "layers", 2, "approximate"),
    ("layers", 1, "body"), ("layers", 1, "shortcut"), ("layers", 1, "body", "layers", 1, "affine"),
    ("layers", 1, "body", "layers", 3, "body"), ("layers", 5, "stride"), ("layers", 7, "factor"),
]  # fmt: skip
PLACES = [
    ("version",), ("layers",), ("layers", 0), ("layers", 0, "kernel_size"), ("layers", 4, "bias"),
    ("layers", 4, "out_features"), ("layers", 2, "kernel_size"), ("layers", 1, "name"),
    ("layers", 1, "type"), ("input_shape",), ("classes",), ("preprocessing",),
    ("preprocessing", "std"), ("training",),
]  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), JSON)
def test_changed_descriptions_give_a_network_or_a_format_error(
    tmp_path_factory, good, place, value
):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(good)
    rewrite(path, put(*place, value))
    for read in (load_model, read_training):
        try:
            result = read(path)
        except FormatError:
            continue
        assert isinstance(result, Network | dict)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(NESTED_PLACES), JSON)
def test_changed_nested_descriptions_give_a_network_or_a_format_error(
    tmp_path_factory, good_nested, place, value
):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(good_nested)
    rewrite(path, put(*place, value))
    try:
        result = load_model(path)
    except FormatError:
        return
    assert isinstance(result, Network)
