"""Classes made to count alike: which images an epoch shows, and what their losses weigh."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neocog
from neocog import Flatten, Linear, NeocogError, Network
from neocog.engine import Trainer
from neocog.random.torch_stream import TorchStream
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.training.balance import balanced_order, balancing_weights, is_uneven

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(
    lambda labels: np.array(labels, np.int64)
)


def small_network(classes: int = 3) -> Network:
    return Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, classes))


def uneven_data(counts=(12, 3, 1)):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    return images, labels


@given(LABELS, st.integers(0, 2**32 - 1))
def test_each_class_is_shown_equally_often(labels, seed):
    order = balanced_order(TorchStream(seed), labels)
    assert len(order) == len(labels)
    shown = Counter(labels[order].tolist())
    assert shown.keys() == set(labels.tolist())
    assert max(shown.values()) - min(shown.values()) <= 1
    for label in shown:
        images = np.flatnonzero(labels == label)
        times = [int((order == image).sum()) for image in images]
        # Nobody is shown again before all of the class were.
        assert max(times) - min(times) <= 1


@given(LABELS, st.integers(0, 2**32 - 1))
def test_the_order_is_the_one_that_is_described(labels, seed):
    """Image by image, as the module's words say it."""
    stream = TorchStream(seed)
    order, slots = stream.epoch_order(len(labels)), stream.epoch_order(len(labels))
    there = sorted(set(labels.tolist()))
    waiting = {label: [n for n in order if labels[n] == label] for label in there}
    expected = []
    for slot in slots:
        of_class = waiting[there[slot % len(there)]]
        expected.append(of_class[0])
        of_class.append(of_class.pop(0))
    drawn = TorchStream(seed)
    np.testing.assert_array_equal(balanced_order(drawn, labels), expected)
    # Both went on alike.
    np.testing.assert_array_equal(drawn.epoch_order(5), stream.epoch_order(5))


def test_fit_shows_balanced_orders_of_the_networks_stream(monkeypatch):
    shown = []
    start = Trainer.start

    def started(self, order, *arguments, **where):
        shown.append(np.array(order))
        return start(self, order, *arguments, **where)

    monkeypatch.setattr(Trainer, "start", started)
    data = uneven_data()
    neocog.fit(small_network(), data, epochs=2, batch_size=4, seed=3, balance="sample", threads=1)
    stream = TorchStream(3)
    stream.initial_state(small_network().graph)
    for order in shown:
        np.testing.assert_array_equal(order, balanced_order(stream, data[1]))
    assert len(shown) == 2
    assert Counter(data[1][shown[0]].tolist()) == {0: 6, 1: 5, 2: 5}


def test_a_balanced_training_goes_on_where_it_ended():
    data, settings = uneven_data(), {"batch_size": 4, "seed": 1, "balance": "sample"}
    settings["optimizer"] = neocog.SGD(0.01)
    whole, parts = small_network(), small_network()
    neocog.fit(whole, data, epochs=2, **settings)
    neocog.fit(parts, data, epochs=1, **settings)
    neocog.fit(parts, data, epochs=1, **settings)
    np.testing.assert_array_equal(whole.state_dict()["fc.weight"], parts.state_dict()["fc.weight"])


def test_weights_are_those_of_the_formula():
    _images, labels = uneven_data((12, 3, 1))
    # 16 images in 3 classes: 16 / (3 · 12), 16 / (3 · 3), 16 / (3 · 1).
    np.testing.assert_allclose(balancing_weights(labels, 3), [4 / 9, 16 / 9, 16 / 3], rtol=1e-6)
    # A class that nobody has takes no part.
    np.testing.assert_allclose(balancing_weights(labels, 4)[3], 1)


def test_fit_by_weight_is_fit_with_these_class_weights():
    data = uneven_data((12, 3, 1))
    networks = []
    for how in ({"balance": "weight"}, {"class_weights": [4 / 9, 16 / 9, 16 / 3]}, {}):
        network = small_network()
        neocog.fit(network, data, epochs=1, batch_size=4, optimizer=neocog.SGD(0.1), **how)
        networks.append(network.state_dict()["fc.weight"])
    np.testing.assert_array_equal(networks[0], networks[1])
    assert not np.array_equal(networks[0], networks[2])


def test_what_cannot_be_is_refused():
    data = uneven_data()
    with pytest.raises(NeocogError, match=r"balance \(='both'\).*'sample', 'weight'"):
        neocog.fit(small_network(), data, balance="both")
    with pytest.raises(NeocogError, match="give one or the other"):
        neocog.fit(small_network(), data, balance="weight", class_weights=[1, 1, 1])
    for balance in ("weight", "sample"):
        with pytest.raises(NeocogError, match="labels go from 0 to 2, but the network has 2"):
            neocog.fit(small_network(2), data, balance=balance)
    with pytest.raises(NeocogError, match="balance"):
        Recipe(balance="none")


def test_recipes_know_it():
    recipe = override(Recipe(), balance="sample")
    assert recipe.balance == "sample"
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert override(recipe, balance="none").balance is None
    assert override(recipe, epochs=3).balance == "sample"


@pytest.mark.parametrize(
    ("counts", "uneven"),
    [((30, 10), False), ((31, 10), True), ((31, 0, 31), False), ((), False), ((0, 0), False)],
)
def test_what_is_uneven(counts, uneven):
    assert is_uneven(counts) is uneven
