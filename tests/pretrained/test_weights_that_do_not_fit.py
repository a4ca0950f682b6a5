"""Weights of another network, incomplete, damaged or hostile: one message says what is wrong."""

import re

import numpy as np
import pytest
from made_weights import random_state

import neocog
from neocog.errors import ArchitectureError, FormatError, NeocogError
from neocog.formats import save_pth

MODEL = "efficientnet-lite0"


@pytest.fixture
def refused(tmp_path):
    """That weights are refused, in one line that begins with the file and has this in it."""

    def refused(state, message, **options):
        path = tmp_path / "weights.pth"
        save_pth(state, path)
        with pytest.raises(NeocogError, match=message) as error:
            neocog.load_pretrained(path, **options)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1000

    return refused


def changed(state, name, value):
    return {**state, name: np.asarray(value, state[name].dtype)}


def test_another_network(refused, lite0):
    refused(random_state("resnet8", 10), "its tensors are those of no network that is known")
    message = (
        r"not the weights of efficientnet-lite1, by timm's names: it lacks "
        r"blocks\.1\.2\.bn1\.bias, .* and 71 more\."
    )
    refused(lite0, message, model="efficientnet-lite1")
    refused({}, "its tensors are those of no network")


def test_a_shape_that_is_off(refused, lite0):
    message = (
        r"of another shape: blocks\.1\.0\.conv_dw\.weight is \(96, 1, 5, 5\), not \(96, 1, 3, 3\)"
    )
    refused(changed(lite0, "blocks.1.0.conv_dw.weight", np.ones((96, 1, 5, 5))), message)
    # As many numbers, but not as many rows.
    turned = lite0["conv_head.weight"].transpose(1, 0, 2, 3)
    refused(changed(lite0, "conv_head.weight", turned), r"conv_head\.weight is \(320, 1280, 1, 1\)")


def test_half_of_them(refused, lite0):
    half = dict(list(lite0.items())[: len(lite0) * 2 // 3])
    refused(half, r"it lacks blocks\.\S+, .* and \d+ more\.")
    refused(half, r"it lacks blocks\.\S+, .* and \d+ more\.", classes=3)


def test_less_than_half_of_them(refused, lite0):
    """The tensors are those of one network alone, so what it lacks can be named."""
    few = dict(list(lite0.items())[: len(lite0) // 3])
    refused(few, r"not the weights of efficientnet-lite0, by timm's names: it lacks blocks\.\S+, ")
    one = {"conv_stem.weight": lite0["conv_stem.weight"]}
    refused(one, "its tensors are those of no network that is known")


def test_a_tensor_without_a_place(refused, lite0):
    refused({**lite0, "aux.weight": np.ones(3, np.float32)}, "without a place: aux.weight")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(refused, lite0, value):
    weight = lite0["conv_stem.weight"].copy()
    weight[3, 1, 0, 2] = value
    refused({**lite0, "conv_stem.weight": weight}, r"conv_stem\.weight holds numbers that are not")


def test_a_negative_variance(refused, lite0):
    off = changed(lite0, "bn1.running_var", -np.ones(32))
    refused(off, r"bn1\.running_var holds a negative variance")


def test_numbers_that_are_none(refused, lite0):
    off = {**lite0, "bn1.bias": np.ones(32, bool)}
    refused(off, r"bn1\.bias holds bool, not numbers")


def test_no_last_layer(refused, lite0):
    headless = {name: value for name, value in lite0.items() if not name.startswith("classifier")}
    refused(headless, "it has no last layer; say how many classes there are")


def test_a_last_layer_of_other_features(refused, lite0):
    off = changed(lite0, "classifier.weight", np.ones((5, 640)))
    refused(off, r"classifier\.weight is \(5, 640\), not \(3, 1280\)", classes=3)


def test_files_that_are_none(tmp_path):
    for name, message in (
        ("nothing.pth", "there is no such file"),
        ("folder/nothing", "there is no such file"),
        ("efficientnet-lite9", "There are no weights called 'efficientnet-lite9'. Did you mean"),
    ):
        with pytest.raises(NeocogError, match=message):
            neocog.load_pretrained(name)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FormatError, match=r"weights are read from \.safetensors, \.pth"):
        neocog.load_pretrained(tmp_path / "notes.txt")


def test_a_damaged_file(timm_file, tmp_path):
    content = timm_file.read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match=re.escape(f"{tmp_path / 'cut.pth'}: ")):
        neocog.load_pretrained(tmp_path / "cut.pth")


def test_a_file_that_would_run_code(tmp_path):
    import pickle

    class Hostile:
        def __reduce__(self):
            return print, ("it was run",)

    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"conv_stem.weight": Hostile()}, 2))
    with pytest.raises(FormatError, match=re.escape(f"{tmp_path / 'hostile.pth'}: ")):
        neocog.load_pretrained(tmp_path / "hostile.pth")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "resnet8"}, r"model \(='resnet8'\) must be 'efficientnet-lite0'"),
        ({"classes": 0}, r"classes \(=0\)"),
        ({"classes": ()}, "number"),
        ({"classes": ("cat", "a\nb")}, "has a line break"),
        ({"input_shape": (1, 224, 224)}, r"must have three channels, as the weights have"),
        ({"input_shape": (3, 224)}, "input_shape"),
    ],
)
def test_arguments_that_cannot_be(timm_file, options, message):
    with pytest.raises(ArchitectureError, match=message):
        neocog.load_pretrained(timm_file, **options)
