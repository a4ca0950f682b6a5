"""What functions give back: it can be pickled and copied, and its text is short."""

import copy
import pickle
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import neocog
from neocog import Augmentation, Group, Recipe, schedules
from neocog.data.dataset import Data
from neocog.data.images import Dataset
from neocog.network import Network
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.optimizers import OPTIMIZERS, SGD
from neocog.settings.schedules import SCHEDULES


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    data = Dataset(images, np.arange(8))
    network = neocog.models.simple_cnn()
    history = neocog.fit(network, data, epochs=2, batch_size=4, log_every=1, threads=1)
    explanation = neocog.explain(network, images[0], 3)
    return {
        "Dataset": data,
        "Data": Data("mine", data, data[:2], tuple("0123456789")),
        "Network": network,
        "History": history,
        "Evaluation": neocog.evaluate(network, data, threads=1),
        "Cost": neocog.cost(network),
        "Explanation": explanation,
        "LayerExplanation": explanation["conv1"],
        "Step": explanation.steps["sgd"],
        "Attribution": explanation.grad_cam(),
        "Filters": explanation.filters("conv1"),
        "Recipe": Recipe.load("best"),
        "Augmentation": Augmentation("random", 2),
        "Group": Group("*.bias"),
        "Preprocessing": network.preprocessing,
        **{name: make() for name, make in {**OPTIMIZERS, **SCHEDULES}.items()},
        "SGD": SGD(0.1, groups=(Group("*.bias", frozen=True),)),
        "Warmup": schedules.Warmup(0.1, then=schedules.OneCycle()),
        "EMA": EMA(),
        "Lookahead": Lookahead(),
    }


def assert_equal(one, other, where="it"):
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, where)
    elif isinstance(one, Network):
        assert_equal(one.state_dict(), other.state_dict(), where)
        assert dict(one.layers) == dict(other.layers)
    elif is_dataclass(one):
        for field in fields(one):
            name = field.name
            assert_equal(getattr(one, name), getattr(other, name), f"{where}.{name}")
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}[{key!r}]")
    elif isinstance(one, tuple | list):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}[{place}]")
    else:
        assert one == other, where


def test_they_are_pickled_and_copied(results):
    for name, result in results.items():
        assert_equal(pickle.loads(pickle.dumps(result)), result, name)
        assert_equal(copy.deepcopy(result), result, name)
        assert_equal(copy.copy(result), result, name)


def test_an_explanation_can_be_asked_behind_a_pickle(results):
    explanation = results["Explanation"]
    twin = pickle.loads(pickle.dumps(explanation))
    assert_equal(twin.grad_cam(), explanation.grad_cam())
    assert twin.to_html() == explanation.to_html()


def test_they_are_compared_without_a_word_of_arrays(results):
    for result in results.values():
        assert result == result
        assert (result == copy.deepcopy(result)) in (True, False)
        assert result != 3


def test_their_texts_are_short(results):
    for name, result in results.items():
        text = repr(result)
        assert len(text) < (1500 if name == "Recipe" else 700), name
        assert "array(" not in text, name
        assert text.count("\n") < 10, name


def test_what_their_texts_say(results):
    texts = {name: repr(result) for name, result in results.items()}
    assert texts["Dataset"] == "<Dataset of 8 images of [32, 32, 3]>"
    assert texts["Data"].startswith("<Data 'mine': 10 classes, train=<Dataset of 8 images")
    assert texts["History"].startswith("<History of 4 steps: 2 epochs, 4 losses, loss=")
    assert texts["Evaluation"].startswith("<Evaluation of 8 images in 10 classes: accuracy=")
    assert texts["Cost"] == "<Cost of 5 layers: 41418 parameters, 483328 multiply-adds>"
    assert texts["Explanation"].startswith("<Explanation of an image [32, 32, 3] as '3': prob")
    assert texts["LayerExplanation"] == (
        "<LayerExplanation of conv1, Conv2d: [3, 32, 32] → [16, 32, 32]>"
    )
    assert texts["Step"].startswith("<Step of SGD(lr=0.001): loss ")
    assert texts["Filters"] == "<Filters of conv1 [16, 3, 3, 3], 0 images each>"
    assert texts["Attribution"].startswith("<Attribution by ")
