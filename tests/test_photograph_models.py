"""Networks for photographs at other sizes, widths and channels, and known by their weights."""

import pytest

import neocog
from neocog.errors import ArchitectureError
from neocog.layers import Conv2d, Dropout
from neocog.models import PHOTOGRAPHS, make, name_of, recognize
from neocog.network_files import assumption

families = pytest.mark.parametrize("name", PHOTOGRAPHS)


@families
@pytest.mark.parametrize(("width", "shape"), [(0.3, (3, 40, 33)), (1.7, (1, 32, 600))])
def test_any_width_and_images_and_its_name(name, width, shape):
    network = make(name, 7, width=width, input_shape=shape)
    assert network.output_shape == (7,)
    assert network.input_shape == shape
    assert name_of(network) == name
    found, other = recognize(dict(network.state_shapes), 7, shape)
    assert (found, dict(other.layers)) == (name, dict(network.layers))
    for key, layer in network.leaves.items():
        if isinstance(layer, Conv2d) and key != "classifier.1":
            assert layer.out_channels % 8 == 0


@families
def test_sizes_from_32_to_600(name):
    for side in (32, 33, 97, 600):
        assert make(name, 3, input_shape=(3, side, side)).output_shape == (3,)


def test_images_that_are_too_small():
    with pytest.raises(ArchitectureError, match=r"vgg11-bn: features\.28: MaxPool2d: regions of 2"):
        make("vgg11-bn", input_shape=(3, 31, 31))
    with pytest.raises(ArchitectureError, match=r"convnext-atto: stem\.0: Conv2d: a kernel of 4"):
        make("convnext-atto", input_shape=(3, 3, 224))


@families
def test_the_own_size_and_preprocessing(name):
    network = PHOTOGRAPHS[name]()
    side = {"efficientnet-lite1": 240, "efficientnet-lite2": 260}.get(name, 224)
    assert network.input_shape == (3, side, side)
    assert network.output_shape == (1000,)
    assert network.preprocessing.resize.mode == "crop"
    assert 0.87 < network.preprocessing.resize.keep < 0.9
    gray = make(name, input_shape=(1, 64, 64))
    assert gray.preprocessing == neocog.Preprocessing((0.5,), (0.5,))


def test_dropout_is_where_the_authors_have_it():
    rates = {
        name: [one.p for one in PHOTOGRAPHS[name]().leaves.values() if isinstance(one, Dropout)]
        for name in PHOTOGRAPHS
    }
    lites = {"efficientnet-lite0": [0.2], "efficientnet-lite1": [0.2], "efficientnet-lite2": [0.3]}
    mobile = {one: [0.2] for one in rates if one.startswith("mobilenet")}
    assert rates == {
        **{name: [] for name in PHOTOGRAPHS}, **lites, **mobile,
        "squeezenet1-1": [0.5], "vgg11-bn": [0.5, 0.5],
    }  # fmt: skip


def test_weights_of_torchvision_are_read_as_they_are(tmp_path):
    """Without being told which network: names, shapes, the size of images, preprocessing."""
    network = make("resnet18-224", 5, width=0.25)
    network.initialize(1)
    network.save(tmp_path / "resnet18.pth")
    found = neocog.load(tmp_path / "resnet18.pth")
    assert found.input_shape == (3, 224, 224)
    assert found.preprocessing.mean == (0.485, 0.456, 0.406)
    assert "taken for resnet18-224 with images of 3 × 224 × 224" in assumption(
        tmp_path / "resnet18.pth", found
    )
