"""Networks with values everywhere, and how far ONNX Runtime is from neocog."""

import numpy as np
import pytest

from neocog.models import make
from neocog.network import Network

#: Whoever imports this module is skipped where the extra is not installed.
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from neocog.formats.onnx.writing.session import OnnxSession  # noqa: E402
from neocog.formats.onnx.writing.writer import make_onnx  # noqa: E402

#: Largest difference of a score, as a part of the largest score.
BOUND = 1e-5


def settled(network: Network, seed: int = 0) -> Network:
    """The network with weights, and with running statistics and scales that are not 0 or 1."""
    random = np.random.default_rng(seed)
    network.initialize(seed)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(("running_mean", "norm.bias")):
            state[name] = random.normal(0, 0.5, value.shape).astype(np.float32)
        elif name.endswith(("running_var", "norm.weight")):
            state[name] = random.uniform(0.5, 2, value.shape).astype(np.float32)
        elif name.endswith("num_batches_tracked"):
            state[name] = np.array(17, np.int64)
    network.load_state_dict(state)
    return network


def named(name: str) -> Network:
    return settled(make(name))


def noise(network: Network, count: int, seed: int = 1) -> np.ndarray:
    channels, height, width = network.input_shape
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_hand(network: Network, images: np.ndarray) -> np.ndarray:
    """What a network takes for pictures, by the formula: (pixel / 255 − mean) / std."""
    look = network.preprocessing
    x = (images / 255.0 - np.array(look.mean)) / np.array(look.std)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype == np.float32
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def scores_apart(network: Network, count: int, *, pictures: bool = True) -> float:
    """How far scores of noise in ONNX Runtime are from neocog's."""
    images = noise(network, count)
    session = OnnxSession(make_onnx(network.parts(), pictures=pictures), threads=1)
    given = images if pictures else by_hand(network, images)
    return apart(session.run(given)["scores"], network.predict_scores(images))
