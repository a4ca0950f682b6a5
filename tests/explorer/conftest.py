"""A served explorer and its page."""

import pytest
from explorer_networks import DATA
from exploring import served

import neocog


@pytest.fixture
def network() -> neocog.Network:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    return network


@pytest.fixture
def page(network):
    with served(network, DATA) as page:
        yield page
