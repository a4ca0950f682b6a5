"""The same training steps by neocog's own engine and by PyTorch as the engine.

Both compute in float32 and sum in other orders. With smooth functions and optimizers whose ε is
near the size of a gradient, ten steps pass a rounding of 2⁻²⁴ on to some hundred times that.
"""

import numpy as np
import pytest
from engines import parts_of

from neocog import SGD
from neocog.engine import Trainer
from neocog.layers import Conv2d, Dropout, Flatten, Linear, SiLU
from neocog.network import Network
from neocog.settings.training import TrainingSettings

pytest.importorskip("torch")
from neocog.torch_engine.trainer import TorchTrainer

#: Of the largest number of an array, after ten steps.
NEAR = 2e-5
BATCH, COUNT, CLASSES = 6, 58, 4  # nine whole batches and a smaller one
ORDER = np.random.default_rng(1).permutation(COUNT)
OF_ENGINE = ("sample_weights", "moves_momentum", "dropout_seed")
SAMPLE_WEIGHTS = np.random.default_rng(3).uniform(0, 2, COUNT).astype(np.float32)
SAMPLE_WEIGHTS[ORDER[BATCH : 2 * BATCH]] = 0  # all of the second batch


def small(dropout=0.0, seed=0):
    """A network whose every function is smooth."""
    network = Network(
        input_shape=(3, 5, 6),
        conv=Conv2d(3, 9, 3, padding=1),
        act=SiLU(),
        drop=Dropout(dropout),
        flatten=Flatten(),
        fc=Linear(9 * 5 * 6, CLASSES),
    )
    network.initialize(seed)
    return network


def data_for(network, images=COUNT, size=None):
    """Images, of another size if one is given, and labels."""
    rng = np.random.default_rng(0)
    c, h, w = network.input_shape
    pixels = rng.integers(0, 256, (images, *(size or (h, w)), c), dtype=np.uint8)
    return pixels, rng.integers(0, network.output_shape[0], images)


def trainers(network, data, optimizer=None, batch=BATCH, **how):
    """Both, with the same settings."""
    of_engine = {name: how.pop(name) for name in OF_ENGINE if name in how}
    optimizer = optimizer or SGD(0.05, momentum=0.9)
    settings = TrainingSettings(batch_size=batch, optimizer=optimizer, threads=1, **how)
    return [
        made(*parts_of(network), *data, settings, **of_engine) for made in (Trainer, TorchTrainer)
    ]


def assert_near(ours, theirs, part=NEAR, what=""):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, what
    worst, largest = np.abs(ours - theirs).max(initial=0), np.abs(ours).max(initial=0)
    assert worst <= part * max(1e-3, largest), f"{what}: {worst:.1e} of {largest:.1e}"


def compare(ours, theirs, rates=None, order=ORDER, part=NEAR):
    """Take the steps of an order on both; all that lasts must be near."""
    before = ours.state()
    assert_near(ours.run(order, rates), theirs.run(order, rates), part, "losses")
    assert (ours.steps, ours.epochs) == (theirs.steps, theirs.epochs)
    found, wanted = ours.state(), theirs.state()
    assert list(found) == list(wanted)
    for name, value in found.items():
        assert value.dtype == wanted[name].dtype
        assert_near(value, wanted[name], part, name)
    assert any((found[name] != before[name]).any() for name in found), "nothing has moved"
    found, wanted = ours.optimizer_state(), theirs.optimizer_state()
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        if not name.endswith(".total"):  # of no meaning between two steps
            assert_near(value, wanted[name], part, name)
    assert ours.averages().keys() == theirs.averages().keys()
