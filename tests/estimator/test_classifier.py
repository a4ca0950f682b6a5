"""`ImageClassifier` trains as `neocog.fit` does, with weights, in parts, and any model."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import neocog
from neocog import SGD, Flatten, Linear, NeocogError, Network
from neocog.settings import schedules
from neocog.settings.training import TrainingSettings
from neocog.training.history import History

pytest.importorskip("sklearn")

from classifiers import digits, small
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

from neocog import ImageClassifier


def same_weights(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(np.array_equal(one[name], other[name]) for name in one)


def trained(data, epochs=2, network=None, **settings):
    """By `neocog.fit`, with what `small` asks for."""
    network = network or neocog.models.simple_cnn(10, input_shape=(1, 8, 8))
    how = {
        "batch_size": 32,
        "optimizer": SGD(0.02, momentum=0.9, nesterov=True),
        "schedule": schedules.Cosine(),
        "seed": 3,
    }
    neocog.fit(network, data, epochs=epochs, **how | settings)
    return network


def test_digits_as_scikit_learn_has_them():
    flat = train_test_split(*load_digits(return_X_y=True), random_state=4)
    train, test, labels, expected = flat
    classifier = ImageClassifier(image_shape=(8, 8, 1), pixel_range=(0, 16), random_state=0)
    assert classifier.fit(train, labels).score(test, expected) > 0.97
    assert classifier.n_features_in_ == 64
    assert classifier.image_shape_ == (8, 8, 1)
    assert len(classifier.history_.epochs) == 20
    found = classifier.predict_proba(test)
    assert found.shape == (450, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(found.argmax(axis=1), classifier.predict(test))


def test_it_trains_as_fit_does():
    images, labels = digits()
    classifier = small().fit(images, labels)
    network = trained((images, labels))
    assert same_weights(classifier.network_, network)
    assert classifier.network_.classes == tuple("0123456789")
    np.testing.assert_allclose(
        classifier.predict_proba(images), network.predict_proba(images), rtol=1e-6
    )


def test_one_class_is_learned_at_once():
    images, _ = digits(10)
    classifier = small().fit(images, ["only"] * 10)
    assert set(classifier.predict(images)) == {"only"}
    np.testing.assert_array_equal(classifier.predict_proba(images), np.ones((10, 1)))


# Weights


def test_images_of_weight_zero_are_left_out():
    images, labels = digits()
    weights = np.random.default_rng(0).integers(0, 3, len(labels))
    assert len(np.unique(labels[weights > 0])) == 10
    classifier = small().fit(images, labels, sample_weight=weights)
    kept = weights > 0
    expected = trained((images[kept], labels[kept]), sample_weights=weights[kept])
    assert same_weights(classifier.network_, expected)
    assert not same_weights(small().fit(images, labels).network_, expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(119), "inconsistent numbers of samples"),
        (np.ones((120, 1)), r"sample_weight must be \[n\], not \[120, 1\]"),
        (-np.ones(120), "Negative values in data passed to sample_weight"),
        (np.full(120, np.nan), "sample_weight contains NaN"),
        (np.zeros(120), "must have a number that is not zero"),
    ],
)
def test_weights_that_cannot_be(weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*digits(), sample_weight=weights)


def test_weights_of_classes():
    images, labels = digits()
    letters = np.array(list("abcdefghij"))[labels]
    classifier = small(class_weight={"b": 3.0, "j": 0.5}).fit(images, letters)
    expected = [1, 3, 1, 1, 1, 1, 1, 1, 1, 0.5]
    assert same_weights(classifier.network_, trained((images, labels), class_weights=expected))
    images, labels = images[:70], labels[:70] % 7 % 5  # some more often than others
    classifier = small(class_weight="balanced").fit(images, labels)
    network = neocog.models.simple_cnn(5, input_shape=(1, 8, 8))
    expected = trained((images, labels), network=network, balance="weight")
    assert same_weights(classifier.network_, expected)
    for wrong in ("even", {"x": 1}, {0: -1.0}):
        with pytest.raises((ValueError, NeocogError)):
            small(class_weight=wrong).fit(images, labels)


# Training on


def test_partial_fit_goes_on():
    images, labels = digits()
    classifier = small()
    for first in (0, 60):
        part = slice(first, first + 60)
        classifier.partial_fit(images[part], labels[part], classes=np.arange(10))
    network = None
    for first in (0, 60):
        data = images[first : first + 60], labels[first : first + 60]
        network = trained(data, 1, network, schedule=None)
    assert same_weights(classifier.network_, network)
    before = classifier.network_
    classifier.partial_fit(images, labels, sample_weight=np.ones(120))
    assert classifier.network_ is before, "later calls go on in the same network"
    classifier.fit(images, labels)
    assert same_weights(classifier.network_, trained((images, labels))), "fit begins anew"


def test_partial_fit_is_told_the_classes():
    images, labels = digits(40)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(images, labels)
    with pytest.raises(ValueError, match="y has the label 3, which is none of the classes"):
        classifier = small()
        classifier.partial_fit(images, labels, classes=[0, 1, 2])
    assert not hasattr(classifier, "network_"), "the next call is still the first"
    classifier = small().partial_fit(images, labels % 3, classes=[2, 1, 0, 7])
    np.testing.assert_array_equal(classifier.classes_, [0, 1, 2, 7])
    with pytest.raises(ValueError, match=r"classes \(=\[0, 1\]\) must be those of the first call"):
        classifier.partial_fit(images, labels % 3, classes=[0, 1])
    with pytest.raises(ValueError, match=r"class_weight \(='balanced'\) must be weights by class"):
        small(class_weight="balanced").partial_fit(images, labels, classes=range(10))


def test_the_random_state():
    images, labels = digits(40)
    one, other = (small().fit(images, labels).network_ for _ in range(2))
    assert same_weights(one, other)
    assert not same_weights(one, small(random_state=4).fit(images, labels).network_)
    drawn = np.random.RandomState(0)
    one, other = (small(random_state=drawn).fit(images, labels).network_ for _ in range(2))
    assert not same_weights(one, other)
    again = small(random_state=np.random.RandomState(0)).fit(images, labels).network_
    assert same_weights(one, again)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        small(random_state="chance").fit(images, labels)


# Models


def linear(classes, input_shape):
    count = input_shape[0] * input_shape[1] * input_shape[2]
    return Network(input_shape=input_shape, flatten=Flatten(), fc=Linear(count, classes))


def test_models_by_name_by_a_function_and_as_they_are():
    images, labels = digits(40)
    wide = small(model="simple-cnn", width=2).fit(images, labels).network_
    assert wide.layers["conv1"].out_channels == 32
    assert "conv1" not in small(model=linear).fit(images, labels).network_.layers
    begun = linear(10, (1, 8, 8))
    begun.initialize(9)
    before = begun.copy()
    found = small(model=begun, epochs=1, optimizer=SGD(1e-30)).fit(images, labels).network_
    assert found is not begun
    assert same_weights(begun, before)
    np.testing.assert_allclose(found.state_dict()["fc.weight"], before.state_dict()["fc.weight"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "simple-ccn"}, "Did you mean 'simple-cnn'"),
        ({"model": linear, "width": 2}, r"width \(=2\) is for models with a name"),
        ({"model": 3}, r"model \(=3\) must be a name of neocog.models"),
        ({"model": lambda classes, input_shape: None}, "must be a name of neocog.models"),
        ({"model": linear(3, (1, 8, 8))}, r"gives \(3,\), but .* \(1, 8, 8\) of 10 classes"),
        ({"epochs": 0}, r"epochs \(=0\) must be"),
        ({"batch_size": None}, r"batch_size \(=None\) must be"),
        ({"optimizer": "sdg"}, "optimizer.*'sdg'.*Did you mean 'sgd'"),
        ({"label_smoothing": 2}, r"label_smoothing \(=2\) must be"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(NeocogError, match=message):
        small(**settings).fit(*digits(40))


def test_every_way_to_train_is_a_parameter():
    """But for the loss, and for what a run's folder, its validation and its processes need."""
    other_names = {"class_weights": "class_weight", "balance": "class_weight"}
    other_names |= {"seed": "random_state"}
    of_runs = {"sync_batch_norm", "log_every", "monitor", "patience", "min_delta"}
    of_runs |= {"checkpoint_minutes", "checkpoint_steps", "keep_checkpoints"}
    parameters = set(small().get_params(deep=False))
    assert set(other_names.values()) <= parameters
    of_losses = {"loss", "pos_weight", "standardize_targets"}
    assert set(TrainingSettings.names()) - set(other_names) - of_runs - of_losses <= parameters


# Use


def test_it_is_the_same_after_pickling_and_in_threads():
    images, labels = digits()
    classifier = small().fit(images, labels)
    expected = classifier.predict_proba(images)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(images), expected)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: again.predict_proba(images), range(12)):
            np.testing.assert_array_equal(found, expected)


def test_before_it_is_fitted():
    with pytest.raises(NotFittedError):
        small().predict(digits()[0])


def test_an_interrupt_ends_what_it_is_a_part_of(monkeypatch):
    def interrupted(network, data, settings, **how):
        network.initialize(0)
        return History(interrupted=True)

    monkeypatch.setattr("neocog.classifier.fit", interrupted)
    classifier = small()
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*digits())
    assert classifier.history_.interrupted
    assert len(classifier.predict(digits()[0])) == 120


def test_without_scikit_learn():
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "import neocog\n"
        "from neocog import *\n"
        "try:\n"
        "    neocog.ImageClassifier\n"
        "except neocog.NeocogError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("which is not installed: pip install 'neocog[sklearn]'")


def test_pytorch_as_the_engine():
    pytest.importorskip("torch")
    x, y = digits()
    model = small(engine="torch", epochs=1).fit(x, y)
    assert model.history_.engine.endswith("as engine='torch' asks for it")
