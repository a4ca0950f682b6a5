"""Explanations to be drawn."""

import numpy as np
import pytest
from drawn_figures import MAKERS, NAMES

import neocog


@pytest.fixture(scope="session")
def explanations():
    made = {}
    for name, make in MAKERS.items():
        network = make()
        network.initialize(2)
        if network.output_shape == (10,):
            network.name_classes(NAMES)
        channels, height, width = network.input_shape
        rng = np.random.default_rng(2)
        image = rng.integers(0, 256, (height, width, channels), np.uint8)
        best = network.predict_proba(image[None])[0].argsort()
        # The least likely, so that of many classes it is not among the first ten by itself.
        made[name] = neocog.explain(network, image, int(best[0]))
    return made
