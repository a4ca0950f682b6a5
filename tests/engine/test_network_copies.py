"""A copy is a network of its own."""

import numpy as np
from engine_networks import small

from neocog.models import simple_cnn


def test_a_copy_is_a_network_of_its_own():
    network, images, _ = small()
    before = network.predict_scores(images)
    copy = network.copy()
    np.testing.assert_array_equal(copy.predict_scores(images), before)
    assert (copy.classes, copy.preprocessing) == (network.classes, network.preprocessing)
    network.initialize(1)
    assert (network.predict_scores(images) != before).any()
    np.testing.assert_array_equal(copy.predict_scores(images), before)
    copy.load_state_dict({name: 0 * value for name, value in copy.state_dict().items()})
    assert (copy.predict_scores(images) == 0).all()
    assert (network.predict_scores(images) != 0).any()


def test_a_copy_without_parameters_has_none():
    network = simple_cnn(4)
    assert not network.copy().initialized
