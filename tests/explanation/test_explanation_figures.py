"""Figures of a layer and of an explanation hold the numbers that they show."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_figures import MAKERS, NAMES, bars_by_name, digits, draw, pictures, said, titled
from matplotlib.figure import Figure

import neocog
from neocog.errors import NeocogError
from neocog.explanation.figures.canvas import figure_type

# Layers


@pytest.mark.parametrize("name", MAKERS)
def test_every_layer(explanations, name):
    explanation, drawn = explanations[name], set()
    for key in explanation:
        layer = explanation[key]
        figure = layer.figure()
        looks = layer.type, min(16, len(layer.output))
        if looks not in drawn:  # drawing takes a second, and other numbers fit as well
            draw(figure)
            drawn.add(looks)
        title = said(figure)
        assert title.startswith(f"{key} ({layer.type}) gives {len(layer.output)} ")
        for values in (layer.output, layer.output_gradient):
            assert f"{digits(values.min())} to {digits(values.max())}" in title
        if layer.output.ndim == 3:
            check_maps(figure, layer)
        else:
            check_bars(figure, layer)


def strongest(layer, most):
    flat = (layer.output * layer.output_gradient).reshape(len(layer.output), -1)
    return np.argsort(-np.abs(flat.sum(axis=1)), kind="stable")[:most]


def check_maps(figure, layer):
    drawn = titled(figure, "channel ")
    order = strongest(layer, 16)
    assert [axes.get_title() for axes in drawn] == [f"channel {k}" for k in order] * 2
    for half, values in enumerate((layer.output, layer.output_gradient)):
        limit = np.abs(values[order]).max() or 1
        for axes, channel in zip(drawn[half * len(order) :], order, strict=False):
            (image,) = axes.get_images()
            np.testing.assert_array_equal(image.get_array(), values[channel])
            assert image.get_clim() == pytest.approx((-limit, limit))


def check_bars(figure, layer):
    order = strongest(layer, 16)
    for axes, values in zip(figure.axes, (layer.output, layer.output_gradient), strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        np.testing.assert_allclose(heights, values[order])
        assert [label.get_text() for label in axes.get_xticklabels()] == [str(k) for k in order]


def test_fewer_channels_can_be_asked_for(explanations):
    figure = explanations["simple-cnn"]["conv1"].figure(3)
    assert len(titled(figure, "channel ")) == 6
    assert "gives 16 maps of 32 × 32; shown: the 3 that matter most for the loss." in said(figure)


# An explanation


@pytest.mark.parametrize("name", MAKERS)
def test_explanation(explanations, name):
    explanation = explanations[name]
    figure = draw(explanation.figure())
    title = said(figure)
    best = int(explanation.probabilities.argmax())
    label = explanation.label
    of_best, of_label = (f"{100 * explanation.probabilities[k]:.1f} %" for k in (best, label))
    names = explanation.classes
    says = f"The network predicts {names[best]} ({of_best}); "
    says += f"the label is {names[label]} ({of_label})"
    assert title.startswith(f"{says}. The loss is {digits(explanation.loss)}.")
    assert f"the outputs of its {len(explanation) - 1} layers" in title
    image, *_ = figure.axes
    (shown,) = pictures(image)
    colors = explanation.image.shape[2] == 3
    expected = explanation.image if colors else explanation.image[:, :, 0]
    np.testing.assert_array_equal(shown, expected)
    for key in explanation:
        layer = explanation[key]
        (axes,) = titled(figure, f"{key}\n")
        assert axes.get_title() == f"{key}\n{layer.type}"
        if layer.output.ndim == 1:
            heights = [bar.get_height() for bar in axes.patches]
            np.testing.assert_allclose(heights, layer.output[strongest(layer, 16)])
            continue
        (mosaic,) = pictures(axes)
        order = range(min(4, len(layer.output))) if key == "image" else strongest(layer, 4)
        check_mosaic(np.ma.filled(mosaic, np.nan), layer.output[list(order)])


def check_mosaic(mosaic, maps):
    """Four maps in the corners, each number several times if there are few."""
    times = max(1, 24 // min(maps.shape[1:]))
    maps = maps.repeat(times, axis=1).repeat(times, axis=2)
    height, width = maps.shape[1:]
    corners = [
        mosaic[:height, :width],
        mosaic[:height, -width:],
        mosaic[-height:, :width],
        mosaic[-height:, -width:],
    ]
    for corner, map_ in zip(corners, maps, strict=False):
        np.testing.assert_array_equal(corner, map_)
    assert np.isfinite(mosaic).sum() == maps.size


def test_a_prediction_that_is_right(explanations):
    explanation = explanations["simple-cnn"]
    again = neocog.explain(explanation.network, explanation.image)
    best = again.label
    part = f"{100 * again.probabilities[best]:.1f} %"
    assert said(again.figure()).startswith(
        f"The network predicts {NAMES[best]} ({part}), which is the label. The loss is "
        f"{digits(again.loss)}."
    )


def test_probabilities_of_the_first_ten_and_the_label(explanations):
    explanation = explanations["gray"]
    (axes,) = titled(explanation.figure(), "probabilities")
    found = bars_by_name(axes)
    order = np.argsort(-explanation.probabilities)
    expected = {str(k): explanation.probabilities[k] for k in [*order[:9], explanation.label]}
    assert found == pytest.approx(expected)
    notes = {text.get_text() for text in axes.texts}
    assert notes == {f"{100 * value:.1f} %" for value in expected.values()}


# matplotlib


def test_a_notebook_shows_a_figure(explanations):
    figure = explanations["pairs"].figure()
    assert isinstance(figure, Figure)
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib(explanations, monkeypatch):
    figure_type.cache_clear()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(NeocogError, match=re.escape("pip install 'neocog[figures]'")):
            explanations["simple-cnn"].figure()


def test_matplotlib_waits_until_a_figure_is_asked_for():
    """And pyplot, which keeps figures, is never asked for."""
    code = (
        "import sys, neocog.explanation\n"
        "from neocog.explanation.figures.canvas import new_figure\n"
        "assert 'matplotlib' not in sys.modules\n"
        "new_figure(1, 1, 'One.')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
