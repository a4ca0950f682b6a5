"""What torchvision, timm and efficientnet-lite-pytorch call the tensors of each network."""

import hashlib
from math import prod

import numpy as np
import pytest
from made_weights import random_state

import neocog
from neocog.errors import FormatError
from neocog.formats import save_pth
from neocog.models import PHOTOGRAPHS, make
from neocog.pretrained import open_pretrained
from neocog.pretrained.names import spellings

#: Of the state dicts of torchvision 0.28.0, timm 1.0.31 and efficientnet-lite-pytorch 0.1.0: how
#: many tensors there are, the first one's name, and the beginning of the SHA-256 of a line for each
#: with its name and the count of its numbers. ConvNeXt's are sorted.
STATES = {
    ("efficientnet-lite0", "timm"): (296, "conv_stem.weight", "2378d578c25c30c0"),
    ("efficientnet-lite1", "timm"): (386, "conv_stem.weight", "bdd2e906f0163d49"),
    ("efficientnet-lite2", "timm"): (386, "conv_stem.weight", "7c6ec2e891024550"),
    ("mobilenet-v2", "torchvision"): (314, "features.0.0.weight", "b5239ed89bda1c43"),
    ("mobilenet-v2", "timm"): (314, "conv_stem.weight", "32847052cbad15ba"),
    ("mobilenet-v3-small", "torchvision"): (244, "features.0.0.weight", "31d2d34a2b15b6a2"),
    ("mobilenet-v3-small", "timm"): (244, "conv_stem.weight", "5d9d0ab1d9dff1c7"),
    ("mobilenet-v3-large", "torchvision"): (312, "features.0.0.weight", "7edda99712e3f2f9"),
    ("mobilenet-v3-large", "timm"): (312, "conv_stem.weight", "c9491f58b840d486"),
    ("resnet18-224", "torchvision"): (122, "conv1.weight", "ecde99ce15a8f4fa"),
    ("resnet34-224", "torchvision"): (218, "conv1.weight", "e1cd066a2ce2395a"),
    ("resnet50-224", "torchvision"): (320, "conv1.weight", "34c010e454c7ac12"),
    ("squeezenet1-1", "torchvision"): (52, "features.0.weight", "eff4f9057e51a9b9"),
    ("vgg11-bn", "torchvision"): (62, "features.0.weight", "e5d0a482847efe13"),
    ("vgg11-bn", "timm"): (62, "features.0.weight", "5f7df1b09e2c02f0"),
    ("densenet121", "torchvision"): (727, "features.conv0.weight", "b92756a35b89df30"),
    ("convnext-atto", "timm"): (128, "head.fc.bias", "cb1514ecc1434f39"),
    ("efficientnet-lite0", "efficientnet-lite-pytorch"): (
        296, "_conv_stem.weight", "c864e3d3123a0bae"),
    ("efficientnet-lite1", "efficientnet-lite-pytorch"): (
        386, "_conv_stem.weight", "7205f0c21456a050"),
    ("efficientnet-lite2", "efficientnet-lite-pytorch"): (
        386, "_conv_stem.weight", "3edd5aad6572ecd0"),
}  # fmt: skip

#: Parameters with 1,000 classes, by the authors' and the programs' tables.
PARAMETERS = {
    "efficientnet-lite0": 4_652_008,
    "efficientnet-lite1": 5_416_680,
    "efficientnet-lite2": 6_092_072,
    "mobilenet-v2": 3_504_872,
    "mobilenet-v3-small": 2_542_856,
    "mobilenet-v3-large": 5_483_032,
    "resnet18-224": 11_689_512,
    "resnet34-224": 21_797_672,
    "resnet50-224": 25_557_032,
    "squeezenet1-1": 1_235_496,
    "vgg11-bn": 132_868_840,
    "densenet121": 7_978_856,
    "convnext-atto": 3_695_520,
}


@pytest.mark.parametrize(("model", "program"), STATES)
def test_names_in_the_programs_order(model, program):
    graph = make(model, 1000).graph
    theirs = {
        name: prod(graph.state_shapes[ours])
        for ours, name in spellings(model, graph)[program].items()
    }
    if model == "convnext-atto":
        theirs = dict(sorted(theirs.items()))
    text = "".join(f"{name} {count}\n" for name, count in theirs.items())
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (len(theirs), next(iter(theirs)), digest) == STATES[model, program]


def test_every_network_is_there():
    assert PARAMETERS.keys() == PHOTOGRAPHS.keys()
    assert {model for model, _program in STATES} == PHOTOGRAPHS.keys()
    for model, count in PARAMETERS.items():
        assert make(model, 1000).parameter_count() == count


def by_program(model, program, state):
    """A state dict by a program's names."""
    names = spellings(model, make(model, 1000).graph)[program]
    return {names[ours]: value for ours, value in state.items()}


def test_mobilenet_v3_by_timm(tmp_path):
    """A linear layer is a convolution there, and normalizations have another eps."""
    state = random_state("mobilenet-v3-small")
    theirs = by_program("mobilenet-v3-small", "timm", state)
    theirs["conv_head.weight"] = theirs["conv_head.weight"].reshape(1024, 576, 1, 1)
    save_pth(theirs, tmp_path / "v3.pth")
    found = open_pretrained(tmp_path / "v3.pth")
    assert found.model == "mobilenet-v3-small"
    assert "by timm's names" in found.notes[0]
    for name, value in found.network.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    norms = {layer.eps for layer in found.network.leaves.values() if hasattr(layer, "eps")}
    assert norms == {1e-5}
    save_pth(state, tmp_path / "own.pth")
    own = neocog.load_pretrained(tmp_path / "own.pth")
    assert {layer.eps for layer in own.leaves.values() if hasattr(layer, "eps")} == {1e-3}


def test_convnext_by_timm(tmp_path):
    """The factors of channels are vectors there."""
    state = random_state("convnext-atto")
    theirs = by_program("convnext-atto", "timm", state)
    flat = {name: value.ravel() if name.endswith("gamma") else value
            for name, value in theirs.items()}  # fmt: skip
    assert flat["stages.0.blocks.0.gamma"].shape == (40,)
    save_pth(flat, tmp_path / "atto.pth")
    network = neocog.load_pretrained(tmp_path / "atto.pth")
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    assert network.preprocessing.resize.interpolation == "bicubic"


@pytest.mark.parametrize("model", ["efficientnet-lite1", "mobilenet-v3-large"])
def test_a_deeper_network_is_not_taken_for_one_less_deep(tmp_path, model):
    save_pth(random_state(model, 6), tmp_path / "deep.pth")
    assert open_pretrained(tmp_path / "deep.pth").model == model


def test_torchvisions_weights_in_another_of_its_networks(tmp_path):
    save_pth(random_state("resnet18-224", 6), tmp_path / "resnet18.pth")
    message = r"not the weights of resnet50-224, by torchvision's names: it lacks layer1\.0\.bn3"
    with pytest.raises(FormatError, match=message):
        neocog.load_pretrained(tmp_path / "resnet18.pth", model="resnet50-224")
    network = neocog.load_pretrained(tmp_path / "resnet18.pth")
    np.testing.assert_allclose(network.preprocessing.mean, [0.485, 0.456, 0.406])
    np.testing.assert_allclose(network.preprocessing.std, [0.229, 0.224, 0.225])
