"""Whole networks against the formulas and against PyTorch."""

import numpy as np
import pytest
from engine_networks import NETWORKS, prepared
from engines import parts_of

from neocog import SGD, Adam, reference
from neocog.engine.trainer import Trainer
from neocog.settings.training import TrainingSettings

# Float32's roundings u add up over a step's some ten thousand operations in a row, of which the
# signs differ: 2**-24 · √10,000 ≈ 6e-6 of the largest number. Ten steps with a rate of 0.01 pass
# it on a few times over.
STEP = 1e-5
TEN_STEPS = 1e-4
# Each compiles kernels of its own: a plain pytest does with some.
THOROUGH = ("odd sizes, no bias", "pooling first, ends in a convolution")
named_networks = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name in THOROUGH)) for name in NETWORKS],
)


def inputs(network, images):
    p = network.preprocessing
    return reference.preprocess(images, p.mean, p.std)


def in_float64(state):
    return {name: value.astype(np.float64) for name, value in state.items()}


def assert_near(actual, expected, part):
    """Within `part` of the largest of the expected numbers."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    worst = np.abs(actual - expected).max()
    assert worst <= part * np.abs(expected).max() + 1e-12, f"{worst} is too far"


# Against the formulas


@named_networks
def test_a_step_by_the_formulas(name):
    network, images, labels = prepared(NETWORKS[name], 7)
    state, x = in_float64(network.state_dict()), inputs(NETWORKS[name], images)
    scores = reference.forward(network, state, x)[list(network.layers)[-1]]
    assert_near(network.predict_scores(images, threads=1), scores, STEP)
    probabilities = network.predict_proba(images, threads=1)
    assert_near(probabilities, reference.softmax(scores), STEP)

    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=5, optimizer=SGD(0.01), threads=2),
    )
    order = np.array([6, 0, 3, 3, 1])
    loss = trainer.run(order)
    expected_loss, gradients, _ = reference.backward(network, state, x[order], labels[order])
    assert_near(loss, [expected_loss], STEP)
    found = trainer.gradients()
    assert list(found) == list(network.parameter_shapes)
    for parameter, gradient in gradients.items():
        assert_near(found[parameter], gradient, STEP)
    for parameter, value in trainer.parameters().items():
        assert_near(value, state[parameter] - 0.01 * gradients[parameter], STEP)


# Against PyTorch


@named_networks
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_ten_steps_by_pytorch(name, kind):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    torch.set_num_threads(1)
    batch, count = 4, 38  # nine whole batches and a half
    network, images, labels = prepared(NETWORKS[name], count)
    module = to_torch(network)
    x = torch.from_numpy(inputs(network, images).astype(np.float32))
    y = torch.from_numpy(labels)
    if kind == "sgd":
        optimizer = SGD(0.01, momentum=0.9)
        stepper = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    else:
        optimizer = Adam(0.001)
        stepper = torch.optim.Adam(module.parameters(), lr=0.001)

    with torch.no_grad():
        logits = module(x).numpy()
    assert_near(network.predict_scores(images, threads=2), logits, STEP)

    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=batch, optimizer=optimizer, threads=2),
    )
    order = np.random.default_rng(1).permutation(count)
    losses, expected_losses = [], []
    for begin in range(0, count, batch):
        part = order[begin : begin + batch]
        losses += list(trainer.run(part))
        stepper.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x[part]), y[part])
        loss.backward()
        expected_losses.append(loss.item())
        if begin == 0:
            gradients = trainer.gradients()
            for parameter, value in module.named_parameters():
                assert_near(gradients[parameter], value.grad.numpy(), STEP)
        stepper.step()
    assert len(losses) == 10
    assert_near(losses, expected_losses, TEN_STEPS)
    if kind == "sgd":
        # Adam moves a weight of almost no gradient by its sign, so weights may differ by rates.
        for parameter, value in trainer.parameters().items():
            assert_near(value, module.state_dict()[parameter].numpy(), TEN_STEPS)
