"""Networks that neocog saved, as a beginning for other classes."""

import numpy as np
import pytest
from made_weights import assert_has

import neocog
from neocog import Conv2d, Flatten, Linear, Network, Preprocessing, ReLU, Residual, Sequential
from neocog.errors import ArchitectureError, FormatError, NeocogError
from neocog.pretrained import open_pretrained


@pytest.fixture
def saved(tmp_path):
    network = neocog.models.resnet8(3, width=0.5, input_shape=(3, 16, 16))
    network.initialize(2)
    network.name_classes(("cat", "dog", "fly"))
    network.preprocessing = Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    network.save(tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors", network


def test_the_same_classes(saved):
    path, network = saved
    for classes in (None, 3, ("cat", "dog", "fly")):
        found = open_pretrained(path, classes)
        assert (found.model, found.head) == ("resnet8", None)
        assert_has(found.network, network.state_dict())
        assert found.network.classes == network.classes
        assert found.network.preprocessing == network.preprocessing


@pytest.mark.parametrize("classes", [("ant", "bee"), ("cat", "dog", "bee")])
def test_other_classes(saved, classes):
    path, network = saved
    found = open_pretrained(path, classes, seed=4)
    assert found.head == "fc"
    state = network.state_dict()
    of_head = {name: np.zeros((len(classes), *state[name].shape[1:]))
               for name in ("fc.weight", "fc.bias")}  # fmt: skip
    assert_has(found.network, {**state, **of_head}, but=("fc",))
    assert found.network.classes == classes
    assert found.network.preprocessing == network.preprocessing
    assert found.notes == (
        f"resnet8 as it was saved in {path}.",
        f"Its last layer, fc, is new: {len(classes)} outputs for these classes instead of 3.",
    )
    again = neocog.load_pretrained(path, classes, seed=4).state_dict()
    assert np.array_equal(again["fc.weight"], found.network.state_dict()["fc.weight"])
    assert not np.array_equal(again["fc.weight"][:2], state["fc.weight"][:2])


def test_what_a_saved_network_cannot_be(saved, tmp_path):
    path, _network = saved
    with pytest.raises(ArchitectureError, match=r"must be that of the saved network, \(3, 16, 16"):
        neocog.load_pretrained(path, input_shape=(3, 32, 32))
    with pytest.raises(NeocogError, match="has its own network; leave model"):
        neocog.load_pretrained(path, model="resnet18-224")
    with pytest.raises(FormatError, match="is no folder of a model"):
        neocog.load_pretrained(tmp_path)


def test_last_layers_that_are_no_classifier(tmp_path):
    inside = Network(
        input_shape=(3, 4, 4), flatten=Flatten(), block=Sequential(fc=Linear(48, 3), relu=ReLU())
    )
    odd = Network(
        input_shape=(3, 1, 1),
        conv=Conv2d(3, 3, 1),
        block=Residual(neocog.BatchNorm2d(3)),
        flatten=Flatten(),
    )
    for network, message in ((inside, r"block\.fc lies within another layer"),
                             (odd, r"block\.body lies within another layer")):  # fmt: skip
        network.initialize(0)
        network.save(tmp_path / "odd.safetensors")
        with pytest.raises(ArchitectureError, match=message):
            neocog.load_pretrained(tmp_path / "odd.safetensors", 5)
    norm = Network(input_shape=(3, 1, 1), norm=neocog.BatchNorm2d(3), flatten=Flatten())
    norm.initialize(0)
    norm.save(tmp_path / "norm.safetensors")
    with pytest.raises(ArchitectureError, match="is a BatchNorm2d, which has no outputs"):
        neocog.load_pretrained(tmp_path / "norm.safetensors", 5)


def test_a_convolution_as_the_last_layer(tmp_path):
    network = neocog.models.squeezenet1_1(4, width=0.25, input_shape=(3, 32, 32))
    network.initialize(0)
    network.save(tmp_path / "squeezed.safetensors")
    found = open_pretrained(tmp_path / "squeezed.safetensors", 6)
    assert (found.model, found.head) == ("squeezenet1-1", "classifier.1")
    assert found.network.output_shape == (6,)
