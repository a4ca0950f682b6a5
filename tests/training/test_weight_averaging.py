"""Averages of the weights during a training."""

import numpy as np
import pytest
from trainer_by_torch import (
    BATCH,
    BATCHES,
    ORDER,
    STEPS,
    TEN_STEPS,
    InTorch,
    assert_near,
    assert_same,
    compare,
    small,
    trainer_of,
)

from neocog import SGD
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.optimizers import Muon
from neocog.settings.schedules import Constant
from neocog.training.rates import rates_of_run


@pytest.mark.parametrize("averaging", [EMA(0.7), Lookahead(3, 0.8, 1.0)], ids=str)
@pytest.mark.parametrize("how", [{}, {"clip_norm": 1.0}], ids=["at once", "clipped"])
def test_averages_of_the_weights(averaging, how):
    data = small()
    torch_side = InTorch(data)
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.05, momentum=0.9)
    table = rates_of_run(Constant(), averaging, 0, STEPS, STEPS)
    trainer = trainer_of(data, SGD(0.05, momentum=0.9), averaging=averaging, **how)
    assert_same(trainer.averages(), data[0].state_dict())
    average = torch_side.parameters()
    losses = []
    for step, batch in enumerate(BATCHES):
        stepper.zero_grad()
        losses.append(torch_side.backward(batch))
        if how:
            torch_side.torch.nn.utils.clip_grad_norm_(torch_side.module.parameters(), 1.0)
        stepper.step()
        decay = table[step, 2]
        if np.isnan(decay):
            continue
        for name, parameter in torch_side.module.named_parameters():
            average[name] += (1 - decay) * (parameter.detach().numpy() - average[name])
            if averaging.kind == "lookahead":
                with torch_side.torch.no_grad():
                    parameter.copy_(torch_side.torch.from_numpy(average[name]))
    found = np.concatenate(
        [trainer.run(ORDER[: 4 * BATCH], table[:4]), trainer.run(ORDER[4 * BATCH :], table[4:])]
    )
    compare(trainer, torch_side, found, losses)
    for name, value in trainer.averages().items():
        assert_near(value, average[name], TEN_STEPS, f"the average of {name}")
    moved = trainer.parameters()["fc.weight"] != trainer.averages()["fc.weight"]
    assert moved.any() == (averaging.kind == "average")


def test_muon_is_averaged_too():
    data = small()
    how = {"optimizer": Muon(0.02, rest=SGD(0.05)), "averaging": EMA(0.9)}
    trainer = trainer_of(data, **how)
    table = rates_of_run(Constant(), EMA(0.5), 0, 1, 1)
    trainer.run(ORDER[:BATCH], table)
    # The first decay is zero: a + 1 · (w − a) is w but for two roundings.
    for name, value in trainer.parameters().items():
        assert_near(trainer.averages()[name], value, 2.0**-23, name)
    table[:, 2] = 1.0
    before = trainer.averages()
    trainer.run(ORDER[BATCH : 2 * BATCH], table)
    assert_same(trainer.averages(), before)
    for name, value in trainer.parameters().items():
        assert (value != before[name]).any()
