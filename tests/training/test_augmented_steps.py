"""Flips, shifts and mixup within a training step."""

from itertools import pairwise

import numpy as np
from trainer_by_torch import (
    COUNT,
    ORDER,
    STEP,
    InTorch,
    assert_near,
    losses_of_images,
    near,
    small,
    trainer_of,
)

from neocog.settings.augmentation import Augmentation


def test_random_flips_occur_and_are_nothing_else():
    data = small()
    images = data[1]
    plain = losses_of_images(data, images)
    flipped = losses_of_images(data, images[:, :, ::-1].copy())
    trainer = trainer_of(data, batch=1, augmentation=Augmentation("random"), seed=3)
    epochs = [trainer.run(np.arange(COUNT)) for _ in range(3)]
    turns = []
    for losses in epochs:
        assert (near(losses, plain) ^ near(losses, flipped)).all()
        turns.append(near(losses, flipped))
        # 58 coins: 29 ± 3.8, so further than five times that from it once in a million.
        assert 10 <= turns[-1].sum() <= 48
    assert not np.array_equal(turns[0], turns[1])
    again = trainer_of(data, batch=1, augmentation=Augmentation("random"), seed=4)
    assert not np.array_equal(again.run(np.arange(COUNT)), epochs[0]), "another seed"


def test_alternating_flips_alternate():
    data = small()
    images = data[1]
    flipped = losses_of_images(data, images[:, :, ::-1].copy())
    trainer = trainer_of(data, batch=1, augmentation=Augmentation("alternating"))
    turns = [near(trainer.run(np.arange(COUNT)), flipped) for _ in range(4)]
    assert 10 <= turns[0].sum() <= 48
    for before, after in pairwise(turns):
        np.testing.assert_array_equal(before, ~after)


def test_an_epoch_that_is_resumed_is_augmented_as_it_would_have_been():
    data = small()
    how = {"augmentation": Augmentation("random", translate=1, jitter=(0.2, 0.2, 0.2)), "batch": 1}
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
    trainer = trainer_of(data, batch=1, augmentation=Augmentation(translate=1, border="zero"))
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
        trainer = trainer_of(data, batch=2, augmentation=Augmentation(mixup=1.0), seed=seed)
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
    trainer = trainer_of(data, batch=1, augmentation=Augmentation(mixup=0.5))
    assert_near(trainer.run(np.arange(COUNT)), losses_of_images(data, data[1]), STEP)
