"""Every way to train: optimizers, schedules, clipping, averages, augmentation, loss, dropout.

Trajectories are compared with PyTorch in float64 from the same weights. The tolerances are those of
`test_engine.py`, with their derivation: float32 after one step, and passed on by ten. Optimizers
that divide by the size of a gradient have an ε near that size here: with a small one a weight of
almost no gradient moves by its sign, which rounding may turn.
"""

from itertools import pairwise

import numpy as np
import pytest

import neocog
from neocog import SGD, Adam, reference
from neocog.engine.predictor import predict_scores
from neocog.engine.trainer import Trainer
from neocog.kernels.augmentation import Augment
from neocog.layers import Conv2d, Dropout, Flatten, Linear, SiLU
from neocog.network import Network
from neocog.reference.muon import muon_step
from neocog.training.averaging import EMA, Lookahead, rates_of_run
from neocog.training.optimizers import Adagrad, AdamW, Group, Muon, RMSprop
from neocog.training.schedules import Constant, OneCycle, Step

STEP = 1e-5
TEN_STEPS = 1e-4
# Newton and Schulz's five steps enlarge the smallest singular values by 3.4445⁵ = 485, their
# rounding too, which is 2**-24 · 485 ≈ 3e-5 of the largest a step; ten steps add up.
MUON = 3e-4

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


def trainer_of(data, optimizer=STILL, batch=BATCH, threads=2, **how):
    network, images, labels = data
    return Trainer(
        network, images, labels, batch_size=batch, optimizer=optimizer, threads=threads, **how
    )


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


# Optimizers

ADAM = {"lr": 0.003, "betas": (0.8, 0.95), "eps": 0.01}
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


# Schedules


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
    table = schedule.rates(0, STEPS, STEPS)
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
    table = Step(5, 0.0).rates(0, STEPS, STEPS)
    trainer = trainer_of(data, SGD(0.02, momentum=0.9))
    trainer.run(ORDER, table)
    other = trainer_of(data, SGD(0.02, momentum=0.9))
    other.run(ORDER[: 5 * BATCH])
    assert_same(trainer.parameters(), other.parameters())
    constant = trainer_of(data, SGD(0.02, momentum=0.9))
    constant.run(ORDER[: 5 * BATCH], Constant().rates(0, 5, 5))
    assert_same(constant.parameters(), other.parameters())


# Clipping, and several batches a step


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


# Averages


@pytest.mark.parametrize("averaging", [EMA(0.7), Lookahead(3, 0.8, 1.0)], ids=str)
@pytest.mark.parametrize("how", [{}, {"clip_norm": 1.0}], ids=["at once", "clipped"])
def test_averages_of_the_weights(averaging, how):
    data = small()
    torch_side = InTorch(data)
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.05, momentum=0.9)
    table = rates_of_run(Constant(), averaging, 0, STEPS, STEPS)
    trainer = trainer_of(data, SGD(0.05, momentum=0.9), averaging=averaging.kind, **how)
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
    how = {"optimizer": Muon(0.02, rest=SGD(0.05)), "averaging": "average"}
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


# Loss


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothing_and_class_weights_by_pytorch(smoothing, weighted):
    data = small()
    weights = np.array([0.5, 2.0, 0.0, 1.25], np.float32)
    torch_side = InTorch(data)
    torch = torch_side.torch
    torch_side.loss = torch.nn.CrossEntropyLoss(
        weight=torch.from_numpy(weights).double() if weighted else None, label_smoothing=smoothing
    )
    stepper = torch.optim.SGD(torch_side.module.parameters(), lr=0.02, momentum=0.9)
    trainer = trainer_of(
        data,
        SGD(0.02, momentum=0.9),
        smoothing=smoothing,
        class_weights=weights if weighted else None,
    )
    compare(trainer, torch_side, trainer.run(ORDER), torch_side.steps(stepper))


# Augmentation


def losses_of_images(data, images):
    """Each image's loss, of batches of one, in PyTorch."""
    torch_side = InTorch((data[0], images, data[2]))
    scores = torch_side.module(torch_side.x)
    losses = torch_side.torch.nn.functional.cross_entropy(scores, torch_side.y, reduction="none")
    return losses.detach().numpy()


def near(losses, expected):
    """Which losses are those."""
    return np.abs(losses - expected) <= STEP * np.abs(expected).max()


def test_random_flips_occur_and_are_nothing_else():
    data = small()
    images = data[1]
    plain = losses_of_images(data, images)
    flipped = losses_of_images(data, images[:, :, ::-1].copy())
    trainer = trainer_of(data, batch=1, augment=Augment("random"), seed=3)
    epochs = [trainer.run(np.arange(COUNT)) for _ in range(3)]
    turns = []
    for losses in epochs:
        assert (near(losses, plain) ^ near(losses, flipped)).all()
        turns.append(near(losses, flipped))
        # 58 coins: 29 ± 3.8, so further than five times that from it once in a million.
        assert 10 <= turns[-1].sum() <= 48
    assert not np.array_equal(turns[0], turns[1])
    again = trainer_of(data, batch=1, augment=Augment("random"), seed=4)
    assert not np.array_equal(again.run(np.arange(COUNT)), epochs[0]), "another seed"


def test_alternating_flips_alternate():
    data = small()
    images = data[1]
    flipped = losses_of_images(data, images[:, :, ::-1].copy())
    trainer = trainer_of(data, batch=1, augment=Augment("alternating"))
    turns = [near(trainer.run(np.arange(COUNT)), flipped) for _ in range(4)]
    assert 10 <= turns[0].sum() <= 48
    for before, after in pairwise(turns):
        np.testing.assert_array_equal(before, ~after)


def test_an_epoch_that_is_resumed_is_augmented_as_it_would_have_been():
    data = small()
    how = {"augment": Augment("random", translate=1, jitter=(0.2, 0.2, 0.2)), "batch": 1}
    trainer = trainer_of(data, **how)
    losses = [trainer.run(ORDER) for _ in range(3)]
    resumed = trainer_of(data, **how)
    resumed.epochs = 2
    np.testing.assert_array_equal(resumed.run(ORDER), losses[2])
    # What happens to an image does not depend on where in the order it stands.
    other = trainer_of(data, **how)
    np.testing.assert_array_equal(other.run(ORDER[::-1])[::-1], losses[0])


def test_shifts_are_those_of_the_image_in_black():
    data = small()
    images = data[1]
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [
        losses_of_images(data, np.ascontiguousarray(wide[:, y : y + 5, x : x + 6]))
        for y in range(3)
        for x in range(3)
    ]
    trainer = trainer_of(data, batch=1, augment=Augment(translate=1, border="zero"))
    losses = trainer.run(np.arange(COUNT))
    found = np.array([near(losses, shift) for shift in shifts])
    assert (found.sum(axis=0) >= 1).all()
    assert (found.sum(axis=1) >= 1).all(), "each of the nine shifts occurs"


def mixed_step(torch_side, pair, share):
    """Loss and gradients of two images that are mixed with each other."""
    torch, loss = torch_side.torch, torch_side.torch.nn.functional.cross_entropy
    x, y = torch_side.x[pair], torch_side.y[pair]
    torch_side.module.zero_grad()
    scores = torch_side.module(share * x + (1 - share) * torch.flip(x, [0]))
    mixed = share * loss(scores, y) + (1 - share) * loss(scores, torch.flip(y, [0]))
    mixed.backward()
    return mixed.item(), torch_side.gradients()


def test_mixup_mixes_images_and_losses_alike():
    data = small()
    torch_side = InTorch(data)
    labels = data[2]
    shares = []
    for seed in range(4):
        trainer = trainer_of(data, batch=2, augment=Augment(mixup=1.0), seed=seed)
        first = int(np.flatnonzero(labels != labels[0])[seed])
        pair = [0, first]
        (loss,) = trainer.run(np.array(pair))
        # The share is not told. With two images each is the other's partner, so there is one
        # number from which both loss and gradients must follow.
        grid = np.linspace(0, 1, 201)
        off = np.array([mixed_step(torch_side, pair, share)[0] - loss for share in grid])
        found = []
        for at in np.flatnonzero(np.sign(off[:-1]) != np.sign(off[1:])):
            low, high = grid[at], grid[at + 1]
            for _ in range(40):
                middle = (low + high) / 2
                same = np.sign(mixed_step(torch_side, pair, middle)[0] - loss) == np.sign(off[at])
                low, high = (middle, high) if same else (low, middle)
            expected, gradients = mixed_step(torch_side, pair, low)
            assert_near([loss], [expected], STEP)
            # The share is only as right as the loss, over its slope.
            scale = STEP * 50
            wrong = [
                np.abs(trainer.gradients()[n] - g).max() > scale * np.abs(g).max()
                for n, g in gradients.items()
            ]
            if not any(wrong):
                found.append(low)
        assert found, f"no share gives the loss {loss} and its gradients"
        shares.append(found[0])
    assert len(np.unique(np.round(shares, 3))) == 4, "each seed draws another share"


def test_mixup_of_one_image_is_the_image():
    data = small()
    trainer = trainer_of(data, batch=1, augment=Augment(mixup=0.5))
    assert_near(trainer.run(np.arange(COUNT)), losses_of_images(data, data[1]), STEP)


# Dropout


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
    scores = predict_scores(data[0], data[1])
    np.testing.assert_array_equal(scores, predict_scores(plain[0], plain[1]))
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


# All of them, for any number of threads and from where they were

WAYS = {
    "adamw": {"optimizer": AdamW(0.01)},
    "rmsprop": {"optimizer": RMSprop(0.001, momentum=0.9, weight_decay=0.1)},
    "adagrad": {"optimizer": Adagrad(0.01)},
    "muon": {"optimizer": Muon(0.02, rest=SGD(0.05, momentum=0.9)), "clip_norm": 0.5},
    "muon, averaged": {"optimizer": Muon(0.02, rest=Adam(0.01)), "averaging": "lookahead"},
    "clipped": {"optimizer": SGD(0.05, momentum=0.9, nesterov=True), "clip_norm": 0.5},
    "accumulated": {"optimizer": SGD(0.05, momentum=0.9), "accumulate": 3},
    "averaged": {"optimizer": SGD(0.05), "averaging": "average"},
    "augmented": {
        "optimizer": SGD(0.05),
        "augment": Augment("random", 2, "reflect", 2, (0.2, 0.3, 0.4), 0.4),
        "smoothing": 0.1,
    },
    "dropout": {"optimizer": SGD(0.05, momentum=0.9), "dropout": 0.5},
    "everything": {
        "optimizer": Adam(0.01, groups=(Group("conv.bias", frozen=True),)),
        "augment": Augment("alternating", 1, "zero", 3, (0.1, 0.1, 0.1), 1.0),
        "smoothing": 0.1,
        "class_weights": np.array([0.5, 2.0, 0.25, 1.0], np.float32),
        "clip_norm": 0.5,
        "accumulate": 2,
        "averaging": "lookahead",
        "dropout": 0.2,
        "moves_momentum": True,
    },
}


@pytest.mark.parametrize("name", WAYS)
def test_ways_to_train_depend_on_no_threads_and_go_on_where_they_were(name):
    how = dict(WAYS[name])
    dropout = how.pop("dropout", None)
    averaging = {"average": EMA(0.8), "lookahead": Lookahead(2)}.get(how.get("averaging"))
    table = rates_of_run(OneCycle(), averaging, 0, 2 * STEPS, 2 * STEPS)
    results, half = [], None
    for threads in (2, 1, 3):
        data = small(dropout)
        trainer = trainer_of(data, threads=threads, seed=5, **how)
        losses = trainer.run(ORDER, table[:STEPS])
        if half is None:
            half = trainer.state(), trainer.optimizer_state(), trainer.steps, trainer.epochs
        losses = np.concatenate([losses, trainer.run(ORDER[::-1], table[STEPS:])])
        results.append(({"": losses}, trainer.state(), trainer.optimizer_state()))
    for result in results[1:]:
        for found, first in zip(result, results[0], strict=True):
            assert_same(found, first)
    assert len(np.unique(results[0][0][""])) == 2 * STEPS

    resumed = trainer_of(small(dropout, seed=1)[:1] + data[1:], threads=2, seed=5, **how)
    resumed.run(ORDER[:BATCH], table[:1])  # something to overwrite
    resumed.set_state(half[0])
    resumed.set_optimizer_state(half[1])
    resumed.steps, resumed.epochs = half[2:]
    losses = resumed.run(ORDER[::-1], table[STEPS:])
    np.testing.assert_array_equal(losses, results[0][0][""][STEPS:])
    assert_same(resumed.state(), results[0][1])
    assert_same(resumed.optimizer_state(), results[0][2])
    assert resumed.steps == trainer.steps


def test_a_loss_that_is_not_finite_ends_every_way_before_its_update():
    data = small()
    for how in ({"clip_norm": 1.0}, {"accumulate": 2}, {"averaging": "average"}):
        trainer = trainer_of(data, SGD(0.01), **how)
        broken = trainer.state()
        broken["fc.bias"][0] = np.inf
        trainer.set_state(broken)
        assert len(trainer.run(ORDER)) == 0
        assert_same(trainer.state(), broken)


# What a network shows is what it uses


def test_preprocessing_set_during_a_training_is_refused():
    """The rest of the training would not use it, and all predictions would."""

    class Setting(neocog.Callback):
        def epoch_done(self, epoch, history):
            if epoch.epoch == self.at:
                network.preprocessing = other

    other = neocog.Preprocessing((0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    network, images, labels = small()
    data = neocog.data.Dataset(images, labels)
    callback = Setting()
    how = {"epochs": 2, "batch_size": BATCH, "threads": 1, "optimizer": STILL, "callback": callback}
    callback.at = 2  # when all is done
    neocog.fit(network, data, **how)
    assert network.preprocessing == other
    callback.at, other = 1, neocog.Preprocessing()
    with pytest.raises(neocog.NeocogError, match="preprocessing was set to another while it tr"):
        neocog.fit(network, data, **how)
