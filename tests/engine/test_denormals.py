"""Denormal numbers count as zero in a run, and only there."""

import numpy as np

from neocog.layers import Flatten, Linear
from neocog.network import Network


def test_denormals_count_as_zero_in_a_run_and_only_there():
    network = Network(input_shape=(1, 1, 8), flatten=Flatten(), fc=Linear(8, 2, bias=False))
    network.load_state_dict({"fc.weight": np.full((2, 8), 1e-40, np.float32)})
    white = np.full((3, 1, 8, 1), 255, np.uint8)
    assert (network.predict_scores(white, threads=1) == 0).all()
    assert np.float32(1e-40) * np.float32(1) > 0, "this thread's own arithmetic is as it was"
