"""Gradients that are clipped, and steps that sum several batches."""

import numpy as np
import pytest
from trainer_by_torch import (
    ADAM,
    BATCH,
    BATCHES,
    ORDER,
    STEP,
    STEPS,
    TEN_STEPS,
    InTorch,
    assert_near,
    compare,
    small,
    trainer_of,
)

from neocog import SGD, Adam


@pytest.mark.parametrize("limit", [0.05, 1.0, 1e6])
def test_gradients_are_clipped_as_by_pytorch(limit):
    data = small()
    torch_side = InTorch(data)
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.1, momentum=0.5)
    norms = []

    def clip(_step):
        norms.append(
            torch_side.torch.nn.utils.clip_grad_norm_(torch_side.module.parameters(), limit).item()
        )

    trainer = trainer_of(data, SGD(0.1, momentum=0.5), clip_norm=limit)
    compare(trainer, torch_side, trainer.run(ORDER), torch_side.steps(stepper, clip))
    clipped = sum(norm > limit for norm in norms)
    assert clipped == {0.05: STEPS, 1e6: 0}.get(limit, clipped)
    assert limit != 1.0 or 0 < clipped < STEPS, norms


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(**ADAM)], ids=["sgd", "adam"])
def test_small_batches_together_are_a_large_one(optimizer, clip_norm):
    data = small()
    few = {"clip_norm": clip_norm}
    # 57 = 6 · 9 + 3: the last step is of one batch of a third, so its own mean over three counts
    # as a third, and is compared with PyTorch below.
    order = ORDER[:54]
    whole = trainer_of(data, optimizer, batch=18, **few)
    parts = trainer_of(data, optimizer, batch=6, accumulate=3, **few)
    expected = whole.run(order)
    losses = parts.run(order)
    assert (whole.steps, parts.steps) == (3, 3)
    assert len(losses) == 9
    assert_near(losses.reshape(3, 3).mean(axis=1), expected, STEP, "losses")
    for name, value in whole.parameters().items():
        assert_near(parts.parameters()[name], value, STEP, name)
    for name, value in whole.optimizer_state().items():
        assert_near(parts.optimizer_state()[name], value, TEN_STEPS, name)


def test_batches_that_are_left_over_are_a_step_of_their_own():
    data = small()
    torch_side = InTorch(data)
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.05, momentum=0.9)
    trainer = trainer_of(data, SGD(0.05, momentum=0.9), accumulate=4)
    expected = []
    for _ in range(2):
        for n, batch in enumerate(BATCHES):
            if n % 4 == 0:
                stepper.zero_grad()
            expected.append(torch_side.backward(batch, 1 / 4))
            if n % 4 == 3 or n == len(BATCHES) - 1:
                stepper.step()
    losses = np.concatenate([trainer.run(ORDER), trainer.run(ORDER)])
    compare(trainer, torch_side, losses, expected)
    assert trainer.steps == 6


def test_weights_stay_while_batches_add_up():
    data = small()
    trainer = trainer_of(data, SGD(0.05), accumulate=5)
    torch_side = InTorch(data)
    expected = [torch_side.backward(batch) for batch in BATCHES[:5]]
    assert_near(trainer.run(ORDER[: 5 * BATCH]), expected, STEP)
    assert trainer.steps == 1
