"""The description of augmentation: what it refuses, and plain data."""

import json
from dataclasses import asdict
from math import inf, nan

import pytest

from neocog.errors import NeocogError
from neocog.kernels.input.augmented import Augment
from neocog.settings.augmentation import Augmentation
from neocog.settings.codec import from_plain, to_plain

FULL = Augmentation("alternating", 2, "zero", 12, (0.1, 0.2, 0.3), 0.4, (0.3, 0.9), 15.0, True)


@pytest.mark.parametrize("augmentation", [Augmentation(), FULL])
def test_plain_data_and_back(augmentation):
    data = json.loads(json.dumps(to_plain(augmentation)))
    assert from_plain(Augmentation, data, "augmentation") == augmentation


def test_what_is_left_out_has_its_default():
    assert from_plain(Augmentation, {}, "augmentation") == Augmentation()
    assert from_plain(
        Augmentation, {"translate": 2, "jitter": [1, 0, 0]}, "augmentation"
    ) == Augmentation(translate=2, jitter=(1.0, 0.0, 0.0))


def test_files_from_before_crops_are_read():
    old = {"flip": "random", "translate": 2, "border": "zero", "cutout": 0}
    found = from_plain(Augmentation, {**old, "jitter": [0, 0, 0], "mixup": 0.0}, "augmentation")
    assert found == Augmentation("random", 2, "zero")
    assert (found.crop, found.rotate, found.trivial_augment) == (None, 0, False)


def test_the_kernels_take_the_same_fields():
    augment = Augment(**asdict(FULL))
    assert {name: getattr(augment, name) for name in to_plain(FULL)} == asdict(FULL)
    # Text and tuples are only read while a kernel is emitted, numbers also by it.
    assert augment.alternating
    assert not augment.reflected
    assert (augment.brightness, augment.contrast, augment.saturation) == FULL.jitter
    assert (augment.least_area, augment.most_area) == FULL.crop


@pytest.mark.parametrize(
    "change",
    [
        {"flip": "random"},
        {"translate": 1},
        {"cutout": 1},
        {"jitter": (0.0, 0.0, 0.1)},
        {"mixup": 1},
        {"crop": (0.5, 1)},
        {"rotate": 0.5},
        {"trivial_augment": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_images(change):
    assert Augmentation(**change).changes


@pytest.mark.parametrize("nothing", [{}, {"border": "zero"}])
def test_what_changes_nothing(nothing):
    assert not Augmentation(**nothing).changes


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"flip": "vertical"},
            "flip (='vertical') must be one of 'random', 'alternating' or N",
        ),
        ({"flip": True}, "flip (=True) must be"),
        ({"border": "wrap"}, "border (='wrap') must be one of 'reflect', 'zero'."),
        ({"translate": -1}, "translate (=-1) must be a whole number of pixels"),
        ({"translate": 1.0}, "translate (=1.0)"),
        ({"translate": True}, "translate (=True)"),
        ({"cutout": 10**9}, "cutout (=1000000000)"),
        ({"jitter": 0.2}, "jitter (=0.2) must be three numbers"),
        ({"jitter": (0.1, 0.2)}, "jitter (=(0.1, 0.2))"),
        ({"jitter": (0.1, -0.2, 0)}, "jitter (=(0.1, -0.2, 0))"),
        ({"jitter": (0.1, nan, 0)}, "jitter (=(0.1, nan, 0))"),
        ({"jitter": "abc"}, "jitter (='abc')"),
        ({"mixup": -0.1}, "mixup (=-0.1) must be a number of at least 0"),
        ({"mixup": inf}, "mixup (=inf)"),
        ({"mixup": "1"}, "mixup (='1')"),
        ({"crop": 0.35}, "crop (=0.35) must be two fractions of the image's area from 0.0001 to 1"),
        ({"crop": (0, 1)}, "crop (=(0, 1))"),
        ({"crop": (0.5, 1.5)}, "crop (=(0.5, 1.5))"),
        ({"crop": (0.6, 0.5)}, "crop (=(0.6, 0.5)) must be two fractions"),
        ({"crop": (nan, 1)}, "crop (=(nan, 1))"),
        ({"crop": "ab"}, "crop (='ab')"),
        ({"rotate": -1}, "rotate (=-1) must be a number of degrees, from 0 to 180."),
        ({"rotate": 200}, "rotate (=200)"),
        ({"rotate": True}, "rotate (=True)"),
        ({"trivial_augment": 1}, "trivial_augment (=1) must be true or false."),
    ],
)
def test_what_is_refused(wrong, text):
    with pytest.raises(NeocogError) as raised:
        Augmentation(**wrong)
    assert f"Augmentation: {text}" in str(raised.value)


def test_names_that_are_not_known():
    with pytest.raises(NeocogError, match=r"has no setting 'rotation'\. Did you mean 'rotate'"):
        from_plain(Augmentation, {"rotation": 3}, "augmentation")
    with pytest.raises(NeocogError, match=r"\(=\[1\]\) must be settings by name"):
        from_plain(Augmentation, [1], "augmentation")
