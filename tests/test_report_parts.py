"""The parts of a report: pictures side by side, curves, cells with their pictures, tables."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reporting import HOSTILE, MEGABYTE, evaluation, noise, random_evaluation

from neocog.report.confusion import choose_pictures, confusion
from neocog.report.curves import curves, thinned
from neocog.report.tables import fact_rows, setting_rows
from neocog.report.thumbnails import most_that_fit, sheet
from neocog.training.history import Epoch, History, Logged


def picture_of(sheet):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", sheet["src"]).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.format.lower() == kind
    return picture


# Pictures


def test_small_pictures_are_kept_pixel_by_pixel():
    images = noise(50, 9, 7, 3)
    indices = [3, *range(20, 50)]
    found = sheet(images, indices, 64, MEGABYTE)
    pixels = np.asarray(picture_of(found))
    assert found["pixelated"]
    for place, index in enumerate(indices):
        top = place // found["columns"] * found["down"]
        left = place % found["columns"] * found["across"]
        np.testing.assert_array_equal(pixels[top : top + 9, left : left + 7], images[index])


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_shown_in_gray(channels):
    images = noise(2, 8, 8, channels)
    pixels = np.asarray(picture_of(sheet(images, [0, 1], 64, MEGABYTE)))
    np.testing.assert_array_equal(pixels[:, 8:], images[1, :, :, 0])


def test_large_pictures_are_scaled_down():
    images = np.zeros((2, 300, 150, 3), np.uint8)
    images[1] = 200, 10, 30
    found = sheet(images, [0, 1], 64, MEGABYTE)
    assert (found["height"], found["width"], found["pixelated"]) == (64, 32, False)
    pixels = np.asarray(picture_of(found)).astype(int)
    assert np.abs(pixels[:, 32:] - [200, 10, 30]).max() < 8
    assert pixels[:, :32].max() < 8  # no color of a neighbor


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64, 3), (200, 300, 3), (64, 1, 1)])
def test_even_noise_takes_no_more_than_its_bytes(shape):
    count = min(900, most_that_fit(shape, 80, 2_200_000))
    images = noise(count, *shape)
    assert len(sheet(images, range(count), 80, 1_200_000)["src"]) <= 1_600_100


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 4), st.integers(1, 30), st.data())
def test_any_pictures_are_on_their_sheet(height, width, channels, count, data):
    """Each is its own color, so that a picture at another's place would show."""
    shades = np.linspace(0, 255, count).astype(np.uint8)
    images = np.broadcast_to(shades[:, None, None, None], (count, height, width, channels))
    chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=40))
    found = sheet(images, chosen, 80, MEGABYTE)
    pixels = np.asarray(picture_of(found).convert("L")).astype(int)
    assert max(found["height"], found["width"]) <= 80
    for place, index in enumerate(chosen):
        top = place // found["columns"] * found["down"]
        left = place % found["columns"] * found["across"]
        tile = pixels[top : top + found["height"], left : left + found["width"]]
        assert tile.shape == (found["height"], found["width"])
        assert np.abs(tile - shades[index]).max() <= 3


def test_how_many_fit():
    assert most_that_fit((32, 32, 3), 64, 1_400_000) == 1_400_000 // 32**2
    assert most_that_fit((1000, 500, 3), 64, 1_400_000) == 1_400_000 // (64 * 32)
    assert most_that_fit((64, 64), 64, 1) == 1


# Curves


def test_a_curve_of_few_points_is_kept():
    assert thinned([1, 2, 3], [0.5, None, float("inf")]) == {
        "x": [1, 2, 3],
        "y": [0.5, None, None],
    }


def test_a_long_curve_has_means_between_the_least_and_the_most():
    y = np.tile([0.0, 1.0, 5.0, 2.0], 1000)
    found = thinned(np.arange(4000), y)
    assert {len(values) for values in found.values()} == {400}
    assert found["x"][0] == 4.5  # of the first ten
    assert found["y"][0] == pytest.approx(y[:10].mean())
    assert set(found["low"]) == {0.0}
    assert set(found["high"]) == {5.0}


def test_curves_of_a_history():
    history = History(
        logged=[Logged(1, 50, 2.0, 0.1), Logged(1, 100, 1.0, 0.2), Logged(2, 50, 0.5, 0.3)],
        epochs=[Epoch(1, 1.5, 0.2), Epoch(2, 0.5, 0.2)],
    )
    found = curves(history)
    assert found["running"] == {"x": [0.5, 1.0, 1.5], "y": [2.0, 1.0, 0.5]}
    assert found["loss"] == {"x": [1, 2], "y": [1.5, 0.5]}
    assert found["epochs"][1] == [2, 0.5, None, None, None, 0.2]
    assert not {"validation_loss", "validation_accuracy", "lr"} & found.keys()


def test_what_is_known_of_an_epoch_is_shown():
    validated = Epoch(1, 1.5, 0.25, lr=0.01, validation_loss=0.75, validation_accuracy=0.5)
    history = History(epochs=[validated, Epoch(2, 1.0, 0.25)])
    found = curves(history)
    assert found["validation_loss"] == {"x": [1, 2], "y": [0.75, None]}
    assert found["validation_accuracy"]["y"] == [0.5, None]
    assert found["lr"]["y"] == [0.01, None]
    assert found["epochs"][0] == [1, 1.5, 0.75, 0.5, 0.01, 0.25]


def test_rates_of_every_step_go_over_the_epochs():
    history = History(epochs=[Epoch(1, 1.5, 0.2), Epoch(2, 0.5, 0.2)])
    found = curves(history, np.linspace(1, 0, 5))
    assert found["lr"] == {"x": [0, 0.5, 1, 1.5, 2], "y": [1, 0.75, 0.5, 0.25, 0]}


def test_the_table_of_many_epochs_has_the_last():
    history = History(epochs=[Epoch(n + 1, 1.0, 0.1) for n in range(1200)])
    rows = curves(history)["epochs"]
    assert len(rows) <= 500
    assert rows[-1][0] == 1200


def test_no_history_at_all():
    assert curves(History()) == {"epochs": []}


# Confusion


def test_few_classes_are_a_table():
    found = confusion(evaluation([0, 0, 1, 2], [0, 1, 1, 0], [0.5] * 4))
    assert found == {"table": [[1, 1, 0], [0, 1, 0], [1, 0, 0]]}


def test_many_classes_are_pairs():
    labels = [0] * 5 + [1] * 3 + [2] * 2
    predicted = [7, 7, 7, 0, 8, 0, 0, 1, 2, 29]
    found = confusion(evaluation(labels, predicted, [0.5] * 10, classes=30))
    assert found == {"pairs": [[0, 7, 3], [1, 0, 2], [0, 8, 1], [2, 29, 1]], "different": 4}


def test_pictures_are_the_surest_mistakes_and_the_least_sure_of_what_is_right():
    labels = [0, 0, 0, 0, 1, 1, 1]
    predicted = [1, 1, 1, 2, 1, 1, 1]
    confidence = [0.5, 0.9, 0.7, 0.6, 0.9, 0.4, 0.8]
    found = evaluation(labels, predicted, confidence)
    # Every cell's first, that of the largest cell before.
    assert choose_pictures(found, 100) == [1, 3, 2, 0, 5, 6, 4]
    assert choose_pictures(found, 4) == [1, 3, 2, 5]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 100), st.integers(0, 99))
def test_chosen_pictures_are_as_many_as_there_may_be(count, classes, most, seed):
    found = random_evaluation(count, classes, seed=seed)
    chosen = choose_pictures(found, most)
    assert len(chosen) == len(set(chosen)) <= most
    assert len(chosen) > 0
    # No cell has more than its share.
    cells = found.labels[chosen] * classes + found.predicted[chosen]
    assert np.bincount(cells).max() <= 12


def test_every_cell_has_a_picture_before_one_has_two():
    found = random_evaluation(5000, 10)
    chosen = choose_pictures(found, 200)
    cells = set(zip(found.labels[chosen], found.predicted[chosen], strict=True))
    assert len(chosen) == len(set(chosen)) == 200
    assert len(cells) == 100


# Tables


def test_settings_beside_their_defaults():
    optimizer = {"lr": 0.01, "betas": (0.9, 0.99)}
    settings = {"data": "x", "epochs": 5, "optimizer": optimizer, "nesterov": True}
    defaults = {"epochs": 2, "optimizer": {"lr": 0.01, "betas": [0.9, 0.99]}, "nesterov": 1}
    assert setting_rows(settings, defaults) == [
        ["data", "x", ""],
        ["epochs", "5", "2"],
        ["optimizer.lr", "0.01", None],
        ["optimizer.betas", "0.9, 0.99", None],
        ["nesterov", "yes", "1"],
    ]


def test_facts_that_are_not_known_are_left_out():
    facts = {"a": None, "b": 1234567, "c": [], "d": {}, "e": HOSTILE * 1000}
    rows = fact_rows(facts)
    assert rows[:3] == [["b", "1,234,567"], ["c", "none"], ["d", "none"]]
    assert len(rows[3][1]) < 250
    assert "\x1b" not in rows[3][1]


def test_nothing_that_is_nested_deeply_breaks_the_tables():
    deep = {}
    for _ in range(5000):
        deep = {"in": deep}
    row: list = []
    for _ in range(5000):
        row = [row]
    many = dict.fromkeys(range(1000), 1)
    rows = setting_rows({"settings": deep, "row": row, "rows": [deep], "many": many})
    assert len(rows) == 300
    assert max(len(value) for _name, value, _default in rows) < 250
