"""Modules as people write them become networks, by torch.fx and by torch.export."""

import pytest

import neocog
from neocog.layers import Dropout

torch = pytest.importorskip("torch")
from architectures import ARCHITECTURES, SHAPE  # noqa: E402
from torch_journeys import assert_same_bits, assert_same_scores, settled  # noqa: E402

#: Modules whose layers have other names, or other shapes of weights, than their own tensors.
RENAMED = {"bare", "senet"}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def both(request):
    torch.manual_seed(0)
    module = settled(ARCHITECTURES[request.param](), SHAPE)
    return request.param, module, neocog.from_torch(module, SHAPE)


def test_scores_are_the_same(both):
    _, module, network = both
    assert_same_scores(network, module)
    assert not module.training


def test_weights_are_the_same_bit_by_bit(both):
    name, module, network = both
    if name in RENAMED:
        theirs = sum(value.numel() for value in module.parameters())
        assert network.parameter_count() == theirs
    else:
        assert_same_bits(network.state_dict(), module.state_dict())


def test_it_goes_back_and_comes_again(both):
    _, _, network = both
    again = network.to_torch().eval()
    assert_same_scores(network, again)
    found = neocog.from_torch(again, SHAPE)
    assert [node.name for node in found.graph.nodes] == [node.name for node in network.graph.nodes]


@pytest.mark.thorough
def test_a_program_of_it_comes_over(both):
    _, module, network = both
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        module, (torch.zeros(2, *SHAPE),), dynamic_shapes=({0: batch},), strict=False
    )
    found = neocog.from_torch(program)
    assert found.input_shape == SHAPE
    assert_same_scores(found, module)
    assert_same_bits(found.state_dict(), network.state_dict())


def test_dropout_comes_along(both):
    name, _, network = both
    found = [layer.p for layer in network.layers.values() if isinstance(layer, Dropout)]
    assert found == {"first": [0.25], "vgg": [0.5], "mobilenet": [0.2], "asking": [0.3]}.get(
        name, []
    )
