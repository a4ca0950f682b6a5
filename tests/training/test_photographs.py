"""Training with images that are cropped, rotated and changed: what reaches the network."""

import numpy as np
import pytest
from PIL import Image
from trainer_by_torch import (
    BATCH,
    CLASSES,
    COUNT,
    ORDER,
    assert_same,
    losses_of_images,
    near,
    small,
    trainer_of,
)

import neocog
from neocog import SGD, Augmentation
from neocog.errors import DataError

# All that comes before a shift, and what else there is.
EVERYTHING = Augmentation(
    *("random", 1, "reflect", 2, (0.1, 0.2, 0.1), 0.4),
    crop=(0.3, 1.0),
    rotate=20.0,
    trivial_augment=True,
)


def stored(height, width):
    """Data whose images are larger than the network's input of 5 × 6."""
    network, _, labels = small()
    shape = (COUNT, height, width, 3)
    return network, np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8), labels


def resized(images, box=None):
    """By Pillow, rows first."""
    boxed = [Image.fromarray(image).crop(box or (0, 0, *image.shape[1::-1])) for image in images]
    rows = [one.resize((6, one.height), Image.Resampling.BILINEAR) for one in boxed]
    return np.stack([np.asarray(one.resize((6, 5), Image.Resampling.BILINEAR)) for one in rows])


def test_the_whole_of_a_square_is_what_pillow_resizes():
    """All of its area only fits as the whole image."""
    data = stored(13, 13)
    expected = losses_of_images(data, resized(data[1]))
    trainer = trainer_of(data, batch=1, augmentation=Augmentation(crop=(1.0, 1.0)))
    assert near(trainer.run(np.arange(COUNT)), expected).all()
    # A part of it, which the middle of a long image is too: of 30 columns 4 ⁄ 3 · 13 = 17.
    data = stored(13, 30)
    expected = losses_of_images(data, resized(data[1], (6, 0, 23, 13)))
    trainer = trainer_of(data, batch=1, augmentation=Augmentation(crop=(1.0, 1.0)))
    assert near(trainer.run(np.arange(COUNT)), expected).all()


def test_only_images_that_are_cropped_may_be_larger():
    data = stored(9, 9)
    with pytest.raises(DataError, match=r"\[n, 5, 6, 3\] .* not uint8 \[58, 9, 9, 3\]"):
        trainer_of(data, augmentation=Augmentation("random", rotate=3.0))
    gray = data[0], data[1][..., :1], data[2]
    with pytest.raises(DataError, match=r"not uint8 \[58, 9, 9, 1\]"):
        trainer_of(gray, augmentation=Augmentation(crop=(0.5, 1.0)))
    flat = data[0], data[1][:, :0], data[2]
    with pytest.raises(DataError, match=r"not uint8 \[58, 0, 9, 3\]"):
        trainer_of(flat, augmentation=Augmentation(crop=(0.5, 1.0)))


@pytest.mark.thorough
def test_what_is_seen_depends_on_no_threads_and_goes_on_where_it_was():
    how = {"augmentation": EVERYTHING, "seed": 5}
    results = []
    for threads in (2, 1, 3):
        trainer = trainer_of(stored(9, 11), SGD(0.05), threads=threads, **how)
        losses = [trainer.run(ORDER), trainer.run(ORDER[::-1])]
        results.append(({"losses": np.concatenate(losses)}, trainer.state()))
    for result in results[1:]:
        for found, first in zip(result, results[0], strict=True):
            assert_same(found, first)
    assert np.isfinite(results[0][0]["losses"]).all()
    first, again = (trainer_of(stored(9, 11), **how) for _ in range(2))
    seen = [first.run(ORDER) for _ in range(2)]
    assert not np.array_equal(*seen), "each epoch has draws of its own"
    again.epochs = 1
    np.testing.assert_array_equal(again.run(ORDER), seen[1])
    other = trainer_of(stored(9, 11), augmentation=EVERYTHING, seed=6)
    assert not np.array_equal(other.run(ORDER), seen[0])


@pytest.mark.thorough
def test_every_worker_has_its_own_scratch():
    """Of 5 × 6 pixels: pictures of 16 images and one more, in two cache lines each, and 13 rows."""
    data = stored(13, 13)
    cropped, plain = Augmentation(crop=(1.0, 1.0)), Augmentation("random")
    pictures, rows = (16 + 1) * 128, 13 * 6 * 3
    # 13 columns become 6: each is made of 2 · 3 + 1 of them at most.
    taps = 4 * (6 * (2 + 7) + 6 * 3)
    for threads in (1, 2):
        with_scratch = trainer_of(data, threads=threads, augmentation=cropped).memory
        more = with_scratch - trainer_of(small(), threads=threads, augmentation=plain).memory
        least = threads * (pictures + rows + taps)
        assert least <= more <= least + threads * 4 * 127  # behind each of the four


@pytest.mark.thorough
def test_fit_takes_larger_images_if_they_are_cropped():
    network, images, labels = stored(9, 11)
    how = {"epochs": 2, "batch_size": BATCH, "seed": 1, "threads": 2}
    augmentation = Augmentation(crop=(0.5, 1.0), rotate=10, trivial_augment=True, flip="random")
    history = neocog.fit(network, (images, labels), augmentation=augmentation, **how)
    assert np.isfinite(history.losses).all()
    assert network.predict_proba(resized(images)).shape == (COUNT, CLASSES)
    with pytest.raises(DataError, match=r"takes images as uint8 \[n, 5, 6, 3\]"):
        neocog.fit(network, (images, labels), augmentation=Augmentation("random"), **how)
