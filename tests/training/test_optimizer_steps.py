"""Steps of every optimizer against PyTorch, with groups of parameters and frozen ones."""

import numpy as np
import pytest
from trainer_by_torch import (
    ADAM,
    BATCHES,
    ORDER,
    STEP,
    STEPS,
    InTorch,
    assert_near,
    assert_same,
    compare,
    small,
    trainer_of,
)

from neocog import SGD, Adam
from neocog.reference.muon import muon_step
from neocog.settings.optimizers import Adagrad, AdamW, Group, Muon, RMSprop

# Newton and Schulz's five steps enlarge the smallest singular values by 3.4445⁵ = 485, their
# rounding too, which is 2**-24 · 485 ≈ 3e-5 of the largest a step; ten steps add up.
MUON = 3e-4
OPTIMIZERS = {
    "SGD with decay": (SGD, "SGD", {"lr": 0.02, "weight_decay": 0.1}),
    "SGD with momentum": (SGD, "SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}),
    "Nesterov": (SGD, "SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}),
    "Adam": (Adam, "Adam", ADAM),
    "Adam with decay": (Adam, "Adam", {**ADAM, "weight_decay": 0.1}),
    "AdamW": (AdamW, "AdamW", {**ADAM, "weight_decay": 0.3}),
    "RMSprop": (RMSprop, "RMSprop", {"lr": 0.003, "alpha": 0.9, "eps": 0.01}),
    "RMSprop with all": (
        RMSprop,
        "RMSprop",
        {"lr": 0.002, "alpha": 0.9, "eps": 0.01, "momentum": 0.7, "weight_decay": 0.1},
    ),
    "Adagrad": (
        Adagrad,
        "Adagrad",
        {
            "lr": 0.01,
            "lr_decay": 0.1,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.01,
            "eps": 1e-3,
        },
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_by_pytorch(name):
    ours, theirs, arguments = OPTIMIZERS[name]
    data = small()
    torch_side = InTorch(data)
    stepper = getattr(torch_side.torch.optim, theirs)(torch_side.module.parameters(), **arguments)
    trainer = trainer_of(data, ours(**arguments))
    compare(trainer, torch_side, trainer.run(ORDER), torch_side.steps(stepper))
    assert trainer.steps == STEPS


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "renormalize": True}], ids=str)
def test_muon_by_its_formula(options):
    data = small()
    torch_side = InTorch(data)
    rest = SGD(0.02)
    options = {"momentum": 0.8, "weight_decay": 0.1, "adjust_lr_fn": "none", **options}
    trainer = trainer_of(data, Muon(0.01, rest=rest, **options))
    others = [p for n, p in torch_side.module.named_parameters() if n != "conv.weight"]
    weight = torch_side.module.conv.weight
    velocity = np.zeros(weight.shape)

    def muon(_step):
        nonlocal velocity
        decided = {k: v for k, v in options.items() if k != "adjust_lr_fn"}
        found = weight.detach().numpy(), weight.grad.numpy()
        value, velocity = muon_step(*found, velocity, 0.01, **decided)
        with torch_side.torch.no_grad():
            weight.copy_(torch_side.torch.from_numpy(value))
        weight.grad = None

    stepper = torch_side.torch.optim.SGD([*others, weight], lr=0.02)
    expected = torch_side.steps(stepper, muon)
    compare(trainer, torch_side, trainer.run(ORDER), expected, MUON)


def test_groups_have_rates_and_decays_of_their_own_or_none_at_all():
    data = small()
    torch_side = InTorch(data)
    groups = (
        Group("conv.bias", frozen=True),
        Group("*.bias", weight_decay=0.0),
        Group("fc.*", lr=0.05),
    )
    optimizer = SGD(0.01, momentum=0.9, weight_decay=0.2, groups=groups)
    conv, fc = torch_side.module.conv, torch_side.module.fc
    conv.bias.requires_grad_(False)
    stepper = torch_side.torch.optim.SGD(
        [
            {"params": [conv.weight]},
            {"params": [fc.weight], "lr": 0.05},
            {"params": [fc.bias], "weight_decay": 0.0},
        ],
        lr=0.01,
        momentum=0.9,
        weight_decay=0.2,
    )
    trainer = trainer_of(data, optimizer)
    compare(trainer, torch_side, trainer.run(ORDER), torch_side.steps(stepper))
    np.testing.assert_array_equal(
        trainer.parameters()["conv.bias"], data[0].state_dict()["conv.bias"]
    )
    assert "conv.bias.velocity" not in trainer.optimizer_state()
    assert "fc.bias.velocity" in trainer.optimizer_state()


def test_everything_frozen_learns_nothing():
    data = small()
    trainer = trainer_of(data, SGD(0.1, groups=(Group("*", frozen=True),)))
    losses = trainer.run(ORDER)
    assert len(losses) == STEPS
    assert_same(trainer.parameters(), data[0].state_dict())
    torch_side = InTorch(data)
    assert_near(losses, [torch_side.backward(batch) for batch in BATCHES], STEP)
