"""Schedules move the rate and the momentum of every step."""

import numpy as np
import pytest
from trainer_by_torch import (
    ADAM,
    BATCH,
    ORDER,
    STEPS,
    InTorch,
    assert_same,
    compare,
    small,
    trainer_of,
)

from neocog import SGD, Adam
from neocog.settings.optimizers import RMSprop
from neocog.settings.schedules import Constant, OneCycle, Step
from neocog.training.rates import rates_of_run

SCHEDULED = {
    "SGD": (SGD(0.02), {"lr": 0.02}),
    "Adam": (Adam(**ADAM), ADAM),
    "RMSprop": (
        RMSprop(0.002, alpha=0.9, eps=0.01),
        {"lr": 0.002, "alpha": 0.9, "eps": 0.01},
    ),
}


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_schedule_moves_rate_and_momentum(name):
    data = small()
    optimizer, arguments = SCHEDULED[name]
    torch_side = InTorch(data)
    stepper = getattr(torch_side.torch.optim, name)(torch_side.module.parameters(), **arguments)
    schedule = OneCycle(0.4, base_momentum=0.6, max_momentum=0.9)
    table = rates_of_run(schedule, None, 0, STEPS, STEPS)
    assert len(np.unique(table[:, 0])) > 6

    def follow(step):
        for group in stepper.param_groups:
            group["lr"] = arguments["lr"] * table[step, 0]
            if name == "Adam":
                group["betas"] = (table[step, 1], ADAM["betas"][1])
            else:
                group["momentum"] = table[step, 1]

    # RMSprop decides whether it has a momentum from what it begins with.
    follow(0)
    trainer = trainer_of(data, optimizer, moves_momentum=True)
    losses = np.concatenate(
        [trainer.run(ORDER[: 4 * BATCH], table[:4]), trainer.run(ORDER[4 * BATCH :], table[4:])]
    )
    compare(trainer, torch_side, losses, torch_side.steps(stepper, follow))


def test_a_rate_of_zero_moves_nothing_and_no_table_is_the_own_rate():
    data = small()
    table = rates_of_run(Step(5, 0.0), None, 0, STEPS, STEPS)
    trainer = trainer_of(data, SGD(0.02, momentum=0.9))
    trainer.run(ORDER, table)
    other = trainer_of(data, SGD(0.02, momentum=0.9))
    other.run(ORDER[: 5 * BATCH])
    assert_same(trainer.parameters(), other.parameters())
    constant = trainer_of(data, SGD(0.02, momentum=0.9))
    constant.run(ORDER[: 5 * BATCH], rates_of_run(Constant(), None, 0, 5, 5))
    assert_same(constant.parameters(), other.parameters())
