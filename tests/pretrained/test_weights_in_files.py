"""Weights in files: by whose names they are, in which format, and for how many classes."""

import numpy as np
import pytest
import safetensors.numpy
from made_weights import assert_has, random_state

import neocog
from neocog.formats import save_pth
from neocog.pretrained import open_pretrained


def renamed(state):
    """EfficientNet-Lite0's names in efficientnet-lite-pytorch, by hand."""
    blocks = [(0, 0)] + [(s, n) for s, count in enumerate((2, 2, 3, 3, 4, 1), 1)
                         for n in range(count)]  # fmt: skip
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    others = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv",
              "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    names = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
             "classifier": "_fc"}  # fmt: skip
    for place, (stage, block) in enumerate(blocks):
        for ours, theirs in (others if stage else first).items():
            names[f"blocks.{stage}.{block}.{ours}"] = f"_blocks.{place}.{theirs}"
    layers = (name.rpartition(".") for name in state)
    return {
        f"{names[layer]}.{part}": value
        for (layer, _dot, part), value in zip(layers, state.values(), strict=True)
    }


def test_timms_names(timm_file, lite0):
    found = open_pretrained(timm_file)
    assert (found.model, found.head, found.source) == ("efficientnet-lite0", None, str(timm_file))
    assert_has(found.network, lite0)
    assert found.notes[0] == (
        f"efficientnet-lite0 with the weights of {timm_file}, by timm's names."
    )
    assert found.network.classes[0] == "tench"
    assert found.network.classes[-1] == "toilet tissue"


def test_names_of_efficientnet_lite_pytorch(tmp_path, lite0):
    theirs = renamed(lite0)
    assert len(theirs) == len(lite0)
    save_pth(theirs, tmp_path / "a.pth")
    found = open_pretrained(tmp_path / "a.pth")
    assert_has(found.network, lite0)
    assert "by efficientnet-lite-pytorch's names" in found.notes[0]


def test_a_safetensors_of_another_program(tmp_path, lite0):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(lite0, path, {"format": "pt"})
    assert_has(neocog.load_pretrained(path), lite0)
    halves = {name: value.astype(np.float16) if value.dtype == np.float32 else value
              for name, value in lite0.items()}  # fmt: skip
    safetensors.numpy.save_file(halves, path)
    assert_has(neocog.load_pretrained(path), halves)


def test_counts_of_batches_may_be_missing(tmp_path, lite0):
    old = {name: value for name, value in lite0.items() if not name.endswith("tracked")}
    save_pth(old, tmp_path / "old.pth")
    assert_has(neocog.load_pretrained(tmp_path / "old.pth"), lite0)


def test_names_with_a_prefix(tmp_path, lite0):
    save_pth({f"module.{name}": value for name, value in lite0.items()}, tmp_path / "a.pth")
    assert_has(neocog.load_pretrained(tmp_path / "a.pth"), lite0)


def test_other_classes_get_a_last_layer_of_their_own(timm_file, lite0):
    found = open_pretrained(timm_file, ("cat", "dog", "fly"), seed=7)
    assert found.head == "classifier"
    assert found.network.classes == ("cat", "dog", "fly")
    assert_has(found.network, {**lite0, **random_head(3)}, but=("classifier",))
    assert found.notes[1] == (
        "Its last layer, classifier, is new: 3 outputs for these classes instead of 1,000."
    )
    # As PyTorch begins a layer, by the seed.
    weight = found.network.state_dict()["classifier.weight"]
    assert 0.9 / 1280**0.5 < np.abs(weight).max() <= 1 / 1280**0.5
    for seed, same in ((7, True), (8, False)):
        other = neocog.load_pretrained(timm_file, 3, seed=seed)
        assert np.array_equal(other.state_dict()["classifier.weight"], weight) == same
        assert other.classes is None


def random_head(classes):
    return {"classifier.weight": np.zeros((classes, 1280)), "classifier.bias": np.zeros(classes)}


def test_as_many_classes_keep_the_last_layer(tmp_path):
    state = random_state("efficientnet-lite0", 5)
    save_pth(state, tmp_path / "five.pth")
    assert_has(neocog.load_pretrained(tmp_path / "five.pth"), state)
    network = neocog.load_pretrained(tmp_path / "five.pth", tuple("abcde"))
    assert_has(network, state)
    assert network.classes == tuple("abcde")


def test_a_file_without_a_last_layer(tmp_path, lite0):
    headless = {name: value for name, value in lite0.items() if not name.startswith("classifier")}
    save_pth(headless, tmp_path / "a.pth")
    found = open_pretrained(tmp_path / "a.pth", 3)
    assert_has(found.network, {**headless, **random_head(3)}, but=("classifier",))
    assert found.notes[1] == (
        "Its last layer, classifier, is new: 3 outputs for these classes instead of none."
    )


def test_images_of_another_size(timm_file, lite0):
    network = neocog.load_pretrained(timm_file, input_shape=(3, 96, 128))
    assert network.input_shape == (3, 96, 128)
    assert_has(network, lite0)


def test_the_preprocessing_travels_with_the_weights(timm_file, tmp_path):
    network = neocog.load_pretrained(timm_file, 3)
    found = network.preprocessing
    np.testing.assert_allclose(found.scale, [1 / 128] * 3)
    np.testing.assert_allclose(found.shift, [-127 / 128] * 3)
    assert (found.resize.mode, found.resize.interpolation, found.resize.keep) == (
        "crop", "bicubic", 0.875,
    )  # fmt: skip
    network.save(tmp_path / "a.safetensors")
    assert neocog.load(tmp_path / "a.safetensors").preprocessing == found


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_our_own_are_taken_back(tmp_path, suffix, lite0):
    network = neocog.models.efficientnet_lite0()
    network.load_state_dict(lite0)
    network.save(tmp_path / f"own{suffix}")
    assert_has(neocog.load_pretrained(tmp_path / f"own{suffix}"), lite0)
