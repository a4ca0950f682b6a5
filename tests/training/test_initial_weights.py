"""First weights: whitened, Dirac's, and of normalized images."""

import numpy as np
import pytest
from recipe_data import images

import neocog
from neocog import Conv2d, Flatten, Linear, MaxPool2d, reference
from neocog.errors import DataError, NeocogError
from neocog.training.initialization import dirac, initialize, normalize, whiten_first


def whitening_network(**settings) -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8), whiten=Conv2d(3, 24, 2), flatten=Flatten(), fc=Linear(24 * 49, 10)
    )


def test_whitened_outputs_are_uncorrelated():
    network = whitening_network()
    network.initialize(0)
    pixels = images(200, side=8)
    normalize(network, pixels)
    whiten_first(network, pixels)
    state = network.state_dict()
    weight = state["whiten.weight"].astype(np.float64)
    assert (state["whiten.bias"] == 0).all()
    np.testing.assert_array_equal(weight[12:], -weight[:12])
    x = reference.preprocess(pixels, network.preprocessing.mean, network.preprocessing.std)
    y = reference.conv2d_forward(x, weight[:12], np.zeros(12))
    y = y.transpose(1, 0, 2, 3).reshape(12, -1)
    covariance = y @ y.T / y.shape[1]
    # λ / (λ + ε), with λ from how long each row is: |row|² = 1 / (λ + ε).
    short = (weight[:12] ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(covariance, np.diag(1 - 5e-4 * short), atol=1e-5)


def test_whitening_looks_at_the_first_images_alone():
    one, other = whitening_network(), whitening_network()
    pixels = images(20, side=8)
    for network, given in ((one, pixels), (other, pixels[:5])):
        network.initialize(0)
        whiten_first(network, given, count=5)
    np.testing.assert_array_equal(
        one.state_dict()["whiten.weight"], other.state_dict()["whiten.weight"]
    )


def test_images_that_are_all_the_same_can_be_whitened():
    network = whitening_network()
    network.initialize(0)
    whiten_first(network, np.full((4, 8, 8, 3), 127, np.uint8))
    assert np.isfinite(network.state_dict()["whiten.weight"]).all()


@pytest.mark.parametrize(
    "first",
    [Conv2d(3, 23, 2), Conv2d(3, 24, 2, groups=3), MaxPool2d(2)],
    ids=["outputs", "groups", "layer"],
)
def test_what_cannot_whiten_says_so(first):
    network = (
        neocog.Network(input_shape=(3, 8, 8), first=first, flatten=Flatten(), fc=Linear(3 * 16, 10))
        if isinstance(first, MaxPool2d)
        else neocog.Network(
            input_shape=(3, 8, 8),
            first=first,
            flatten=Flatten(),
            fc=Linear(first.out_channels * 49, 10),
        )
    )
    with pytest.raises(NeocogError, match="first cannot whiten"):
        initialize(network, "airbench", images(4, side=8), 0)
    assert not network.initialized


def test_whitening_needs_images_of_the_networks_shape():
    network = whitening_network()
    network.initialize(0)
    for wrong in (images(4, side=9), images(0, side=8)):
        with pytest.raises(DataError, match="input shape"):
            whiten_first(network, wrong)


def test_unknown_first_weights():
    with pytest.raises(NeocogError, match="initialization"):
        initialize(whitening_network(), "xavier", images(4, side=8), 0)


def test_dirac_is_pytorchs():
    torch = pytest.importorskip("torch")
    network = neocog.Network(
        input_shape=(3, 8, 8),
        wider=Conv2d(3, 8, 3),
        narrower=Conv2d(8, 4, (2, 5), padding=2),
        grouped=Conv2d(4, 4, 1, groups=2),
        flatten=Flatten(),
        fc=Linear(4 * 9 * 6, 10),
    )
    network.initialize(1)
    before = network.state_dict()
    dirac(network)
    after = network.state_dict()
    for name in ("wider", "narrower"):
        weight = torch.from_numpy(before[f"{name}.weight"].copy())
        torch.nn.init.dirac_(weight[: weight.size(1)])
        np.testing.assert_array_equal(after[f"{name}.weight"], weight.numpy())
        assert (after[f"{name}.bias"] == 0).all()
    for name in ("grouped.weight", "grouped.bias", "fc.weight", "fc.bias"):
        np.testing.assert_array_equal(after[name], before[name])


def test_normalized_images_have_no_mean_and_deviation_1():
    network = whitening_network()
    pixels = images(30, side=8)
    pixels[..., 2] = 7  # nothing to divide by
    normalize(network, pixels)
    preprocessing = network.preprocessing
    x = reference.preprocess(pixels, preprocessing.mean, preprocessing.std)
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), [1, 1, 0], atol=1e-4)
