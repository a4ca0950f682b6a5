"""A small network whose training steps are taken by the engine and by PyTorch.

Trajectories are compared with PyTorch in float64 from the same weights. The tolerances are those of
`engine_networks`, with their derivation: float32 after one step, and passed on by ten. Optimizers
that divide by the size of a gradient have an ε near that size here: with a small one a weight of
almost no gradient moves by its sign, which rounding may turn.
"""

import numpy as np
import pytest
from engines import parts_of

from neocog import SGD, reference
from neocog.engine.trainer import Trainer
from neocog.layers import Conv2d, Dropout, Flatten, Linear, SiLU
from neocog.network import Network
from neocog.settings.training import TrainingSettings

STEP = 1e-5
TEN_STEPS = 1e-4
BATCH, COUNT, CLASSES = 6, 58, 4  # nine whole batches and a smaller one
STEPS = 10
# Images stay as they are with so small a rate.
STILL = SGD(1e-30)


def small(dropout=None, seed=0):
    """A network whose every function is smooth, and data for it."""
    drop = {} if dropout is None else {"drop": Dropout(dropout)}
    network = Network(
        input_shape=(3, 5, 6),
        conv=Conv2d(3, 9, 3, padding=1),
        act=SiLU(),
        flatten=Flatten(),
        **drop,
        fc=Linear(9 * 5 * 6, CLASSES),
    )
    network.initialize(seed)
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (COUNT, 5, 6, 3), dtype=np.uint8)
    return network, images, rng.integers(0, CLASSES, COUNT)


ORDER = np.random.default_rng(1).permutation(COUNT)
BATCHES = [ORDER[at : at + BATCH] for at in range(0, COUNT, BATCH)]


# What `Trainer` takes beside the settings.
OF_ENGINE = (
    "sample_weights",
    "moves_momentum",
    "dropout_seed",
    "unfused",
    "of_score",
    "on_compile",
)


def trainer_of(data, optimizer=STILL, batch=BATCH, threads=2, **how):
    network, images, labels = data
    of_engine = {name: how.pop(name) for name in OF_ENGINE if name in how}
    settings = TrainingSettings(batch_size=batch, optimizer=optimizer, threads=threads, **how)
    return Trainer(*parts_of(network), images, labels, settings, **of_engine)


def assert_near(actual, expected, part, what=""):
    """Within `part` of the largest of the expected numbers."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    worst = np.abs(actual - expected).max()
    assert worst <= part * np.abs(expected).max() + 1e-12, f"{what}: {worst} is too far"


def assert_same(actual, expected):
    """Bitwise the same arrays under the same names."""
    assert actual.keys() == expected.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], expected[name], name)


class InTorch:
    """The same network in PyTorch and float64, and its steps."""

    def __init__(self, data, loss=None):
        self.torch = pytest.importorskip("torch")
        from neocog.torch_engine.module import to_torch

        self.torch.set_num_threads(1)
        network, images, labels = data
        p = network.preprocessing
        self.module = to_torch(network).double()
        x = reference.preprocess(images, p.mean, p.std).astype(np.float64)
        self.x, self.y = self.torch.from_numpy(x), self.torch.from_numpy(labels)
        self.loss = loss or self.torch.nn.functional.cross_entropy

    def gradients(self):
        return {n: p.grad.numpy().copy() for n, p in self.module.named_parameters()}

    def parameters(self):
        return {n: p.detach().numpy().copy() for n, p in self.module.named_parameters()}

    def backward(self, batch, factor=1.0):
        """Add the gradient of a batch's mean loss; gives the loss."""
        loss = self.loss(self.module(self.x[batch]), self.y[batch])
        (loss * factor).backward()
        return loss.item()

    def steps(self, optimizer, before=lambda step: None, batches=BATCHES):
        """A step a batch; `before` is called between gradient and update."""
        losses = []
        for step, batch in enumerate(batches):
            optimizer.zero_grad()
            losses.append(self.backward(batch))
            before(step)
            optimizer.step()
        return losses


def compare(trainer, torch_side, losses, expected, part=TEN_STEPS):
    assert len(losses) == len(expected)
    assert_near(losses, expected, part, "losses")
    for name, value in torch_side.parameters().items():
        assert_near(trainer.parameters()[name], value, part, name)


ADAM = {"lr": 0.003, "betas": (0.8, 0.95), "eps": 0.01}


def losses_of_images(data, images):
    """Each image's loss, of batches of one, in PyTorch."""
    torch_side = InTorch((data[0], images, data[2]))
    scores = torch_side.module(torch_side.x)
    losses = torch_side.torch.nn.functional.cross_entropy(scores, torch_side.y, reduction="none")
    return losses.detach().numpy()


def near(losses, expected):
    """Which losses are those."""
    return np.abs(losses - expected) <= STEP * np.abs(expected).max()
