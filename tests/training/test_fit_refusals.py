"""Settings and data that `neocog.fit` refuses, by name and value."""

import numpy as np
import pytest
from fitting import fit, small_data, small_network

from neocog import SGD, Adam
from neocog.data import Dataset
from neocog.errors import ArchitectureError, DataError, NeocogError
from neocog.settings.optimizers import Group


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[("epochs", value) for value in (0, -1, -0.5, True, "2", None, float("inf"))],
        *[("batch_size", value) for value in (0, -4, 4.0, None)],
        *[("threads", value) for value in (0, -1, 257, 2.0)],
        *[("log_every", value) for value in (0, -1, 0.5)],
        *[("seed", value) for value in ("zero", 1.5, None, 2**64, -(2**63) - 1)],
        *[("label_smoothing", value) for value in (-0.1, 1.5, float("nan"), "much")],
        *[("clip_norm", value) for value in (0, -1.0, float("inf"), "short")],
        *[("accumulate", value) for value in (0, 1.5, None)],
        *[("optimizer", value) for value in (0.1, ["sgd"])],
        *[("schedule", value) for value in (0.1, True)],
        *[("averaging", value) for value in (0.999, ["ema"])],
        *[("augmentation", value) for value in ("flip", 2)],
        ("freeze_after", 3),
    ],
)
def test_silly_settings_are_refused_by_name_and_value(setting, value):
    network = small_network()
    with pytest.raises(NeocogError) as caught:
        fit(network, **{setting: value})
    message = str(caught.value)
    assert message.startswith(f"{setting} (={value!r})")
    assert "\n" not in message
    assert not network.initialized


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimizer": "sgdd"},
            r"^Unknown optimizer 'sgdd'\. Did you mean 'sgd'\? Known: sgd",
        ),
        ({"schedule": "cosin"}, r"^Unknown schedule 'cosin'\. Did you mean 'cosine'\?"),
        ({"averaging": "emma"}, r"^Unknown averaging 'emma'\. Did you mean 'ema'\?"),
        (
            {"augmentation": {"flap": "random"}},
            r"^augmentation has no setting 'flap'.* 'flip'\?",
        ),
        ({"label_smooting": 0.1}, r"has no setting 'label_smooting'\. .* 'label_smoothing'\?"),
        ({"learning_rate": 0.1}, "has no setting 'learning_rate'"),
        ({"optimizer": {"type": "sgd", "rl": 0.1}}, r"SGD has no setting 'rl'\. .* 'lr'\?"),
        (
            {"optimizer.betas": (0.9, 0.9)},
            "betas goes with --optimizer adam or adamw, not",
        ),
    ],
)
def test_names_that_are_not_known_are_refused_with_the_nearest(changes, message):
    network = small_network()
    with pytest.raises(NeocogError, match=message):
        fit(network, **changes)
    assert not network.initialized


@pytest.mark.parametrize(
    ("make", "named"),
    [
        *[(lambda lr=lr: SGD(lr), "lr") for lr in (0, -0.1, float("nan"), float("inf"))],
        *[(lambda m=m: SGD(0.1, m), "momentum") for m in (-0.1, 1, 2, float("nan"))],
        *[(lambda lr=lr: Adam(lr), "lr") for lr in (0, -0.1, float("nan"), float("inf"))],
        *[(lambda b=b: Adam(betas=b), "betas") for b in ((1, 0.9), (0.9, -1), (0.9,))],
        *[(lambda e=e: Adam(eps=e), "eps") for e in (0, -1, float("nan"), float("inf"))],
    ],
)
def test_optimizers_refuse_silly_settings(make, named):
    with pytest.raises(NeocogError, match=rf"^(SGD|Adam): {named} \(=.*\) must be"):
        make()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weights": [1, 2, 3]}, "class_weights must be 4 numbers"),
        ({"class_weights": [1, 2, 3, 0]}, "must be positive"),
        ({"class_weights": [1, 2, 3, float("nan")]}, "must be positive"),
        ({"class_weights": "abcd"}, "must be numbers"),
        ({"sample_weights": [1] * 41}, "sample_weights must be 42 numbers, one for each image"),
        ({"sample_weights": [[1] * 42]}, "sample_weights must be 42 numbers, one for each image"),
        ({"sample_weights": [1] * 41 + [-1]}, r"sample_weights\[41\] \(=-1.0\) must be"),
        ({"sample_weights": [float("nan")] * 42}, r"sample_weights\[0\] \(=nan\) must be"),
        ({"sample_weights": [1e39] * 42}, r"sample_weights\[0\] \(=inf\) must be"),
        ({"sample_weights": [0] * 42}, "are all 0: at least one image must count"),
        ({"sample_weights": ["1"] * 42}, r"sample_weights \(=.*\) must be numbers"),
        (
            {"freeze_after": {"conv9.*": 1}},
            "no parameter is called 'conv9.\\*'. There are: conv1.w",
        ),
        ({"freeze_after": {"conv1.bias": 0}}, r"freeze_after\['conv1.bias'\] \(=0\)"),
        ({"optimizer": SGD(0.1, groups=(Group("no.*", frozen=True),))}, "no parameter is called"),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(settings, message):
    network = small_network()
    with pytest.raises(NeocogError, match=message):
        fit(network, **settings)
    assert not network.initialized


def with_labels(low: int, high: int) -> Dataset:
    data = small_data()
    labels = data.labels.copy()
    labels[5], labels[6] = low, high
    return Dataset(data.images, labels)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (small_data(0), DataError, "no images to train on"),
        (Dataset(np.zeros((4, 9, 8, 3), np.uint8), np.zeros(4, int)), DataError, "9"),
        (Dataset(np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, int)), DataError, "1"),
        (with_labels(0, 4), DataError, "labels go from 0 to 4, but the network has 4 classes"),
        (with_labels(-1, 3), DataError, "labels go from -1 to 3, but the network has 4 classes"),
    ],
    ids=["none", "size", "channels", "label above", "label below"],
)
def test_data_that_do_not_fit_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        fit(small_network(), data)


def test_class_names_that_do_not_fit_are_refused():
    with pytest.raises(ArchitectureError, match="5 classes"):
        fit(small_network(), classes=tuple("abcde"))
