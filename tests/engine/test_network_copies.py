"""A copy is a network of its own."""

import numpy as np
from engine_networks import small

from neocog.engine.predictor import predict_scores
from neocog.models import simple_cnn


def test_a_copy_is_a_network_of_its_own():
    network, images, _ = small()
    before = predict_scores(network, images)
    copy = network.copy()
    np.testing.assert_array_equal(predict_scores(copy, images), before)
    assert (copy.classes, copy.preprocessing) == (network.classes, network.preprocessing)
    network.initialize(1)
    assert (predict_scores(network, images) != before).any()
    np.testing.assert_array_equal(predict_scores(copy, images), before)
    copy.load_state_dict({name: 0 * value for name, value in copy.state_dict().items()})
    assert (predict_scores(copy, images) == 0).all()
    assert (predict_scores(network, images) != 0).any()


def test_a_copy_without_parameters_has_none():
    network = simple_cnn(4)
    assert not network.copy().initialized
