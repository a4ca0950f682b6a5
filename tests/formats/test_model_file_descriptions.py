"""Model files whose description of a network cannot be."""

import pytest
from model_files import header_of, nested, put, rewrite, write

from neocog.errors import FormatError
from neocog.network_files import load_model, save_model


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
