"""Dropout within a training step."""

import numpy as np
from trainer_by_torch import ORDER, STEP, InTorch, assert_near, small, trainer_of

from neocog import SGD
from neocog.layers import Dropout, Flatten, Linear
from neocog.network import Network


def mask_of(seed, steps_before=0, threads=2, p=0.3):
    """What dropout multiplied the inputs of a linear layer by, of a batch of one white image."""
    network = Network(
        input_shape=(4, 9, 10), flatten=Flatten(), drop=Dropout(p), fc=Linear(360, 2, bias=False)
    )
    network.load_state_dict({"fc.weight": np.zeros((2, 360), np.float32)})
    white = np.full((1, 9, 10, 4), 255, np.uint8)
    data = network, white, np.zeros(1, np.int64)
    trainer = trainer_of(data, batch=1, threads=threads, seed=seed)
    for _ in range(steps_before + 1):
        (loss,) = trainer.run(np.zeros(1, np.int64))
    assert abs(loss - np.log(2)) < 1e-6
    # Scores of zero: δ is −½ and ½, and a white image's inputs are 1.
    np.testing.assert_array_equal(
        trainer.gradients()["fc.weight"][0], -trainer.gradients()["fc.weight"][1]
    )
    return 2 * trainer.gradients()["fc.weight"][1]


def test_dropout_zeroes_a_part_and_enlarges_the_rest():
    masks = [mask_of(seed) for seed in range(6)]
    kept = np.concatenate(masks) != 0
    np.testing.assert_allclose(np.concatenate(masks)[kept], 1 / 0.7, rtol=2e-7)
    # 2160 coins: a share of 0.3 ± 0.01; further than five times that from it once in a million.
    assert abs((~kept).mean() - 0.3) < 0.05


def test_dropout_is_decided_by_seed_and_step():
    mask = mask_of(0)
    np.testing.assert_array_equal(mask, mask_of(0, threads=1))
    assert (mask != mask_of(1)).any(), "another seed"
    assert (mask != mask_of(0, steps_before=1)).any(), "another step"


def test_dropout_of_small_batches_of_one_step_differs():
    """The first and the second half of a step are other images, which are dropped otherwise."""
    data = small(0.5)
    trainer = trainer_of(data, SGD(1e-30), batch=1, accumulate=4)
    losses = trainer.run(np.zeros(8, np.int64))
    assert len(np.unique(losses[:4])) == 4


def test_dropout_does_nothing_to_predictions():
    data, plain = small(0.5), small()
    state = plain[0].state_dict()
    data[0].load_state_dict(state)
    scores = data[0].predict_scores(data[1])
    np.testing.assert_array_equal(scores, plain[0].predict_scores(plain[1]))
    trainer = trainer_of(data, SGD(0.02))
    assert (trainer.run(ORDER) != trainer_of(plain, SGD(0.02)).run(ORDER)).all()


def test_a_step_with_dropout_by_its_mask():
    """Gradients in front of and behind it, with the mask that the weight's gradient shows."""
    data = small(0.4)
    torch_side = InTorch(data)
    torch = torch_side.torch
    trainer = trainer_of(data, batch=1)
    (loss,) = trainer.run(np.array([7]))
    found = trainer.gradients()
    inside = torch_side.module
    before = inside.flatten(inside.act(inside.conv(torch_side.x[7:8])))
    delta = found["fc.bias"].astype(np.float64)
    shown = found["fc.weight"][0] / delta[0] / before.detach().numpy()[0]
    mask = torch.from_numpy(np.where(np.abs(shown) > 0.5, 1 / 0.6, 0.0))
    assert 0.3 < (mask == 0).double().mean() < 0.5
    expected = torch_side.loss(inside.fc(before * mask), torch_side.y[7:8])
    expected.backward()
    assert_near([loss], [expected.item()], STEP)
    for name, gradient in torch_side.gradients().items():
        assert_near(found[name], gradient, STEP, name)
