"""Checks of arguments: what is taken for a number, what comes out, and the one form of messages."""

import json
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

from neocog import schedules
from neocog.errors import ArchitectureError, NeocogError
from neocog.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Scale,
    describe,
)
from neocog.models import make, simple_cnn
from neocog.network import Network
from neocog.preprocessing import Preprocessing
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.codec import to_plain
from neocog.settings.optimizers import SGD, Adagrad, Adam, Group, Muon, RMSprop
from neocog.settings.recipe import Recipe
from neocog.settings.setting import Settings
from neocog.settings.training import TrainingSettings
from neocog.validation import as_real, as_row, as_whole, flag, real, shown, whole


class Lazy:
    """A whole number by what Python asks for one, and by nothing else."""

    def __index__(self):
        return 7


@pytest.mark.parametrize(
    "value",
    [
        7,
        np.int8(7),
        np.uint64(7),
        np.array(7),
        np.array(7, np.uint8),
        Lazy(),
    ],
)
def test_whole_numbers(value):
    assert as_whole(value) == 7
    assert type(as_whole(value)) is int


@pytest.mark.parametrize(
    "value",
    [True, np.True_, np.array(True), 7.0, np.float64(7), "7", None, [7], np.array([7]), b"7", 7j],
)
def test_no_whole_numbers(value):
    assert as_whole(value) is None


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, float])
def test_a_real_number_is_what_is_written(kind):
    assert as_real(kind(0.29)) == 0.29
    assert type(as_real(kind(0.29))) is float
    assert as_real(np.array(kind(0.29))) == 0.29
    assert np.float32(as_real(np.float32(1 / 3))) == np.float32(1 / 3)


@pytest.mark.parametrize("value", [3, np.int16(3), np.array(3), Fraction(3), np.uint8(3)])
def test_whole_numbers_are_real(value):
    assert as_real(value) == 3.0
    assert type(as_real(value)) is float


@pytest.mark.parametrize(
    "value",
    [
        *(True, np.False_, None, "0.5", [0.5], np.array([0.5]), 1j, np.complex64(1)),
        *(math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, np.datetime64("2000-01-01")),
    ],
)
def test_no_real_numbers(value):
    assert as_real(value) is None


def test_numbers_of_pytorch():
    torch = pytest.importorskip("torch")
    assert as_whole(torch.tensor(3)) == 3
    assert as_real(torch.tensor(0.5)) == 0.5
    for kind in (torch.float16, torch.float32, torch.float64):
        assert as_real(torch.tensor(0.3, dtype=kind)) == 0.3
        assert as_real(torch.tensor(0.3, dtype=kind, requires_grad=True)) == 0.3
    rounded = torch.tensor(0.3, dtype=torch.bfloat16)
    assert as_real(rounded) == float(rounded)
    assert flag("a", torch.tensor(True)) is True
    assert as_whole(torch.tensor(True)) is None
    assert as_real(torch.tensor([0.5])) is None
    assert [as_whole(one) for one in as_row(torch.tensor([1, 2]))] == [1, 2]


def test_rows():
    assert as_row([1, 2]) == as_row((1, 2)) == as_row(np.array([1, 2])) == (1, 2)
    for value in ("12", 12, {1, 2}, {1: 2}, None, np.zeros((2, 2)), iter([1]), np.ndarray):
        assert as_row(value) is None


def test_messages_have_one_form_and_one_line():
    with pytest.raises(NeocogError, match=r"^n \(=np.int64\(0\)\) must be a whole number from 1"):
        whole("n", np.int64(0), 1, 5)
    with pytest.raises(NeocogError, match=r"^x \(=2\) must be a number from 0 to 1\.$"):
        real("x", 2, 0, 1)
    with pytest.raises(ArchitectureError, match=r"^yes \(=1\) must be true or false\.$"):
        flag("yes", 1, error=ArchitectureError)
    for value in (np.zeros((100, 100)), "x" * 1000, list(range(1000)), 10**5000, 10**100):
        with pytest.raises(NeocogError) as caught:
            whole("n", value, 1, 5)
        assert len(str(caught.value)) < 120
        assert "\n" not in str(caught.value)
    assert shown(10**5000) == "an object of type int"


# Everything that takes numbers: NumPy's in one column, Python's in the other.

ONE, TWO, THREE = np.int64(1), np.uint8(2), np.int32(3)
PAIRS = [
    (
        Conv2d(
            np.array(4), np.int16(6), [THREE, TWO], [TWO, ONE], np.array([1, 0]), TWO, TWO, False
        ),
        Conv2d(4, 6, (3, 2), (2, 1), (1, 0), 2, 2, False),
    ),
    (Conv2d(THREE, TWO, THREE, padding=np.str_("same")), Conv2d(3, 2, 3, padding="same")),
    (Linear(np.prod((16, 16, 16)), THREE), Linear(4096, 3)),
    (BatchNorm2d(TWO, np.float32(1e-3), np.float64(0.2)), BatchNorm2d(2, 1e-3, 0.2)),
    (MaxPool2d([3, 3], TWO, ONE), MaxPool2d(3, 2, 1)),
    (
        AvgPool2d(np.array([2, 3]), count_include_pad=np.False_),
        AvgPool2d((2, 3), count_include_pad=False),
    ),
    (LeakyReLU(np.float32(0.2)), LeakyReLU(0.2)),
    (Dropout(np.float16(0.25)), Dropout(0.25)),
    (Scale(TWO), Scale(2.0)),
    (Preprocessing(np.float32([0.49, 0.48]), [0.25, TWO]), Preprocessing((0.49, 0.48), (0.25, 2))),
    (SGD(np.float32(0.01), np.float32(0.9), ONE), SGD(0.01, 0.9, 1)),
    (SGD(groups=[Group("a", np.float32(0.1))]), SGD(groups=(Group("a", 0.1),))),
    (Adam(betas=np.array([0.8, 0.9])), Adam(betas=(0.8, 0.9))),
    (RMSprop(alpha=np.float32(0.5)), RMSprop(alpha=0.5)),
    (Adagrad(eps=np.float32(0.5)), Adagrad(eps=0.5)),
    (
        Muon(ns_coefficients=[3, -4, TWO], ns_steps=THREE),
        Muon(ns_coefficients=(3, -4, 2), ns_steps=3),
    ),
    (EMA(np.float32(0.99)), EMA(0.99)),
    (Lookahead(THREE, power=TWO), Lookahead(3, power=2)),
    (
        Augmentation("random", TWO, jitter=np.float32([0.1, 0.2, 0.3]), mixup=ONE),
        Augmentation("random", 2, jitter=(0.1, 0.2, 0.3), mixup=1.0),
    ),
    (schedules.Step(np.int64(7), np.float32(0.5)), schedules.Step(7, 0.5)),
    (schedules.Step(np.float32(0.29)), schedules.Step(0.29)),
    (schedules.Linear(ONE, np.float32(0.1), np.int64(5)), schedules.Linear(1, 0.1, 5)),
    (schedules.OneCycle(np.float32(0.3)), schedules.OneCycle(0.3)),
    (schedules.Warmup(np.int64(1)), schedules.Warmup(1)),
    (schedules.Cosine(np.float64(0.1)), schedules.Cosine(0.1)),
    (
        Recipe(width=TWO, epochs=np.int64(3), batch_size=TWO, freeze_after={"a": THREE}),
        Recipe(width=2, epochs=3, batch_size=2, freeze_after={"a": 3}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), PAIRS, ids=[type(pair[1]).__name__ for pair in PAIRS])
def test_numpys_numbers_give_what_pythons_give(given, wanted):
    assert given == wanted
    # The text is a part of what kernels are compiled for, and what lies in files.
    assert repr(given) == repr(wanted)
    assert pickle.dumps(given) == pickle.dumps(wanted)
    if not isinstance(given, Recipe):
        assert hash(given) == hash(wanted)
    if isinstance(given, Settings):
        assert json.dumps(to_plain(given)) == json.dumps(to_plain(wanted))
    elif not isinstance(given, Preprocessing):
        assert json.dumps(describe(given)) == json.dumps(describe(wanted))


def test_networks_of_numpys_numbers(tmp_path):
    labels = np.array([0, 1, 2, 1])
    network = simple_cnn(labels.max() + 1, width=np.float32(0.5), input_shape=np.array([1, 8, 8]))
    assert network.input_shape == (1, 8, 8)
    assert [type(n) for n in network.input_shape] == [int] * 3
    assert dict(network.layers) == dict(simple_cnn(3, width=0.5, input_shape=(1, 8, 8)).layers)
    assert network.output_shape == (3,)
    assert make("lenet5", labels.max(), input_shape=[1, 28, 28]).output_shape == (2,)
    network.initialize(np.int64(3))
    network.save(tmp_path / "net.safetensors")
    other = simple_cnn(3, width=0.5, input_shape=(1, 8, 8))
    other.initialize(3)
    other.save(tmp_path / "other.safetensors")
    files = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("net", "other")]
    assert files[0] == files[1]


def test_numbers_of_a_training():
    given = {
        "epochs": (np.float32(0.5), 0.5),
        "batch_size": (np.int64(2), 2),
        "threads": (np.uint8(3), 3),
        "log_every": (np.array(4), 4),
        "label_smoothing": (np.float32(0.1), 0.1),
        "clip_norm": (np.int64(1), 1.0),
        "accumulate": (TWO, 2),
        "class_weights": (np.array([1, 2]), (1.0, 2.0)),
        "freeze_after": ({"a": THREE}, {"a": 3}),
        "min_delta": (np.float32(0.1), 0.1),
        "patience": (THREE, 3),
    }
    found = TrainingSettings(**{name: numpys for name, (numpys, _) in given.items()})
    for name, (_, wanted) in given.items():
        assert repr(getattr(found, name)) == repr(wanted), name
    epochs = TrainingSettings(epochs=np.int64(3)).epochs
    assert (epochs, type(epochs)) == (3, int)


@pytest.mark.parametrize(
    "shape", ["abc", (3, 32), (3, 32, 32.0), (3, True, 1), None, 5, (3, 2**40, 1)]
)
def test_shapes_of_images_that_cannot_be(shape):
    with pytest.raises(ArchitectureError, match=r"^input_shape \(=.*must be \(channels, height"):
        Network(input_shape=shape, a=Scale(1))
