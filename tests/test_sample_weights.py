"""Weights of images in a training, against PyTorch in float64 and against what they must mean.

Tolerances are those of `test_training_options.py`: float32 after one step, passed on by ten.
"""

from itertools import pairwise

import numpy as np
import pytest

import neocog
from neocog import SGD, reference
from neocog.engine.trainer import Trainer
from neocog.kernels.augmentation import Augment
from neocog.layers import Conv2d, Flatten, Linear, SiLU
from neocog.network import Network

TEN_STEPS = 1e-4
BATCH, COUNT, CLASSES = 6, 58, 4  # nine whole batches and a smaller one
ORDER = np.random.default_rng(1).permutation(COUNT)
CLASS_WEIGHTS = np.array([0.5, 2.0, 0.25, 1.25], np.float32)


def small_network():
    network = Network(
        input_shape=(3, 5, 6),
        conv=Conv2d(3, 9, 3, padding=1),
        act=SiLU(),
        flatten=Flatten(),
        fc=Linear(9 * 5 * 6, CLASSES),
    )
    network.initialize(0)
    return network


def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, 5, 6, 3), np.uint8), rng.integers(0, CLASSES, COUNT)


def weights():
    """Some zero among them, and all of the second batch."""
    found = np.random.default_rng(3).uniform(0, 2, COUNT).astype(np.float32)
    found[ORDER[[0, 20, 57]]] = 0
    found[ORDER[BATCH : 2 * BATCH]] = 0
    return found


def trainer_of(sample_weights, **how):
    settings = {"optimizer": SGD(0.02, momentum=0.9), "batch_size": BATCH, "threads": 2} | how
    return Trainer(small_network(), *images(), sample_weights=sample_weights, **settings)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"smoothing": 0.2, "class_weights": CLASS_WEIGHTS},
        {"accumulate": 3},
    ],
    ids=" ".join,
)
def test_steps_are_those_of_pytorch(how):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    torch.set_num_threads(1)
    network, (pixels, labels), a = small_network(), images(), weights()
    module = to_torch(network).double()
    p = network.preprocessing
    x = torch.from_numpy(reference.preprocess(pixels, p.mean, p.std).astype(np.float64))
    y, samples = torch.from_numpy(labels), torch.from_numpy(a).double()
    class_weights = torch.from_numpy(how.get("class_weights", np.ones(CLASSES))).double()
    stepper = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9)
    accumulate = how.get("accumulate", 1)
    losses = []
    for number, first in enumerate(range(0, COUNT, BATCH), 1):
        batch = ORDER[first : first + BATCH]
        each = torch.nn.functional.cross_entropy(
            module(x[batch]),
            y[batch],
            weight=class_weights,
            label_smoothing=how.get("smoothing", 0.0),
            reduction="none",
        )
        whole = (samples[batch] * class_weights[y[batch]]).sum()
        loss = (samples[batch] * each).sum() / whole if whole > 0 else 0 * each.sum()
        losses.append(loss.item())
        (loss / accumulate).backward()
        if number % accumulate == 0 or first + BATCH >= COUNT:
            stepper.step()
            stepper.zero_grad()
    trainer = trainer_of(a, **how)
    found = trainer.run(ORDER)
    assert losses[1] == found[1] == 0
    np.testing.assert_allclose(found, losses, rtol=0, atol=TEN_STEPS * max(losses))
    for name, value in module.named_parameters():
        expected = value.detach().numpy()
        bound = TEN_STEPS * np.abs(expected).max()
        np.testing.assert_allclose(trainer.parameters()[name], expected, rtol=0, atol=bound)


def test_a_batch_without_weight_moves_nothing():
    trainer = trainer_of(weights(), optimizer=SGD(0.02))
    before = trainer.parameters()
    np.testing.assert_array_equal(trainer.run(ORDER[BATCH : 2 * BATCH]), [0])
    for name, value in trainer.parameters().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    "augment", [None, Augment(mixup=0.5), Augment("random", 1, "reflect")], ids=str
)
def test_equal_weights_are_no_weights(augment):
    """Bitwise, where they are a power of two; also with mixed labels."""
    how = {"augment": augment, "smoothing": 0.1}
    plain = trainer_of(None, **how)
    trainer = trainer_of(np.full(COUNT, 4.0), **how)
    np.testing.assert_array_equal(trainer.run(ORDER), plain.run(ORDER))
    for name, value in trainer.parameters().items():
        np.testing.assert_array_equal(value, plain.parameters()[name])


def test_weights_of_classes_may_be_given_as_those_of_images():
    """Without smoothing, which looks at all classes."""
    by_class = trainer_of(None, class_weights=CLASS_WEIGHTS)
    by_image = trainer_of(CLASS_WEIGHTS[images()[1]])
    np.testing.assert_array_equal(by_image.run(ORDER), by_class.run(ORDER))
    for name, value in by_image.parameters().items():
        np.testing.assert_array_equal(value, by_class.parameters()[name])


def test_fit_takes_them_as_lists_and_tensors_and_by_image():
    """The order of an epoch does not change whose weight is whose."""
    networks = []
    a = np.random.default_rng(0).integers(0, 3, COUNT)
    for given in (a, a.tolist(), a.astype(np.float16)):
        network = small_network()
        neocog.fit(network, images(), sample_weights=given, epochs=2, batch_size=BATCH)
        networks.append(network.state_dict())
    for one, other in pairwise(networks):
        np.testing.assert_array_equal(one["fc.weight"], other["fc.weight"])


def test_a_batch_of_one_image_is_its_own_mean():
    """Whatever the image weighs; one of weight 0 is a step of nothing."""
    a = np.random.default_rng(0).integers(0, 3, COUNT)
    states = []
    for given in (a, (a > 0) * 1.0):
        network = small_network()
        neocog.fit(
            network, images(), sample_weights=given, epochs=1, batch_size=1, optimizer=SGD(0.01)
        )
        states.append(network.state_dict())
    np.testing.assert_array_equal(states[0]["fc.weight"], states[1]["fc.weight"])
