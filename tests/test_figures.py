"""Figures hold the arrays and the numbers of what they show, and can be drawn."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import neocog
from neocog import models
from neocog.errors import DataError, NeocogError
from neocog.explanation.figures.canvas import figure_type
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
)
from neocog.network import Network

NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def gray():
    """One channel, not square, many classes, one map of one channel."""
    return Network(
        input_shape=(1, 12, 9),
        conv=Conv2d(1, 20, 3, padding=1),
        norm=BatchNorm2d(20),
        gelu=GELU(),
        pool=MaxPool2d(2),
        block=Residual(Conv2d(20, 20, 7, padding=3), Conv2d(20, 20, 1)),
        drop=Dropout(0.5),
        mean=AvgPool2d(2),
        one=Conv2d(20, 1, 1),
        flatten=Flatten(),
        fc1=Linear(6, 30),
        relu=ReLU(),
        fc2=Linear(30, 14),
    )


def of_pairs():
    """Two channels, which are no colors."""
    return Network(
        input_shape=(2, 8, 8),
        conv=Conv2d(2, 3, 3),
        pool=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        fc=Linear(3, 2),
    )


MAKERS = {
    "simple-cnn": models.simple_cnn,
    "gray": gray,
    "pairs": of_pairs,
}


@pytest.fixture(scope="module")
def explanations():
    made = {}
    for name, make in MAKERS.items():
        network = make()
        network.initialize(2)
        if network.output_shape == (10,):
            network.name_classes(NAMES)
        channels, height, width = network.input_shape
        rng = np.random.default_rng(2)
        image = rng.integers(0, 256, (height, width, channels), np.uint8)
        best = network.predict_proba(image[None])[0].argsort()
        # The least likely, so that of many classes it is not among the first ten by itself.
        made[name] = neocog.explain(network, image, int(best[0]))
    return made


def said(figure):
    return " ".join(figure.get_suptitle().split())


def digits(value):
    """Three digits, as a figure has them."""
    return f"{value:#.3g}".rstrip(".").replace("-", "−")


def draw(figure):
    """Draw it, which warns, and so fails, where things do not fit."""
    figure.savefig(io.BytesIO(), dpi=30)
    return figure


def pictures(axes):
    return [np.asarray(image.get_array()) for image in axes.get_images()]


def titled(figure, begin):
    """The axes whose title begins so."""
    return [axes for axes in figure.axes if axes.get_title().startswith(begin)]


# Layers


@pytest.mark.parametrize("name", MAKERS)
def test_every_layer(explanations, name):
    explanation = explanations[name]
    for key in explanation:
        layer = explanation[key]
        figure = draw(layer.figure())
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
    says = (
        f"The network predicts {names[best]} ({of_best}); the label is {names[label]} ({of_label})"
    )
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


def bars_by_name(axes, shift=0.0):
    names = [label.get_text() for label in axes.get_yticklabels()]
    return {
        names[round(bar.get_y() + bar.get_height() / 2 - shift)]: bar.get_width()
        for bar in axes.patches
        if abs((bar.get_y() + bar.get_height() / 2 - shift + 0.5) % 1 - 0.5) < 0.01
    }


def test_probabilities_of_the_first_ten_and_the_label(explanations):
    explanation = explanations["gray"]
    (axes,) = titled(explanation.figure(), "probabilities")
    found = bars_by_name(axes)
    order = np.argsort(-explanation.probabilities)
    expected = {str(k): explanation.probabilities[k] for k in [*order[:9], explanation.label]}
    assert found == pytest.approx(expected)
    notes = {text.get_text() for text in axes.texts}
    assert notes == {f"{100 * value:.1f} %" for value in expected.values()}


# Attributions


@pytest.mark.parametrize("name", ["simple-cnn", "gray"])
@pytest.mark.parametrize("method", ["grad_cam", "gradient_times_input", "occlusion", "chance"])
def test_attribution(explanations, name, method):
    explanation = explanations[name]
    found = getattr(explanation, method)
    found = found if method == "chance" else found()
    chance = None if method == "chance" else explanation.chance
    figure = draw(found.figure(explanation.image, chance))
    alone, over, curves = figure.axes[:3]
    shown = explanation.image if name == "simple-cnn" else explanation.image[:, :, 0]
    np.testing.assert_array_equal(pictures(alone)[0], shown)
    _gray, map_ = pictures(over)
    np.testing.assert_array_equal(map_, found.map)
    expected = [found.deleted, found.inserted]
    title = said(figure)
    says = f"Mean probability while pixels are covered, reddest first: {digits(found.deletion)}"
    if chance is not None:
        expected += [chance.deleted, chance.inserted]
        says += f" ({digits(chance.deletion)} in random order)"
    assert says in title
    assert f"while they are uncovered: {digits(found.insertion)}" in title
    assert f"finds evidence for {explanation.classes[explanation.label]}." in title
    lines = curves.get_lines()
    assert len(lines) == len(expected)
    for line, values in zip(lines, expected, strict=True):
        np.testing.assert_allclose(line.get_xdata(), np.arange(0, 101, 5))
        np.testing.assert_array_equal(line.get_ydata(), values)


# Filters


@pytest.mark.parametrize(
    ("name", "layer"), [("simple-cnn", "conv1"), ("gray", "conv"), ("gray", "block.body")]
)
@pytest.mark.parametrize("with_data", [False, True])
def test_filters(explanations, name, layer, with_data):
    explanation = explanations[name]
    shape = explanation.image.shape
    data = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8) if with_data else None
    found = explanation.filters(layer, data, 2)
    figure = draw(found.figure(most=12))
    out, inputs, kh, kw = found.weight.shape
    assert said(figure).startswith(
        f"The {out} filters of {layer}, {kh} × {kw} of {inputs} input channels each"
    )
    assert (
        "Beside each are the parts of images that activate it most" in said(figure)
    ) == with_data
    drawn = titled(figure, "filter ")
    assert [axes.get_title() for axes in drawn] == [f"filter {k}" for k in range(12)]
    for channel, axes in enumerate(drawn):
        (kernel,) = pictures(axes)
        weight = found.weight[channel]
        limit = np.abs(weight).max()
        if inputs == 3:  # colors, gray for 0
            expected = 0.5 + weight.transpose(1, 2, 0) / (2 * limit)
            np.testing.assert_allclose(kernel, expected, atol=1e-6)
        else:
            sizes = [np.linalg.norm(one) for one in weight]
            np.testing.assert_array_equal(kernel, weight[int(np.argmax(sizes))])
        at = figure.axes.index(axes)
        for place, one in enumerate(found.top_activations[channel] if with_data else ()):
            beside = figure.axes[at + 1 + place]
            assert beside.get_title() == digits(one.value)
            top, left, bottom, right = one.box
            patch = data[one.index, top:bottom, left:right]
            shown = patch if shape[2] == 3 else patch[:, :, 0]
            np.testing.assert_array_equal(pictures(beside)[0], shown)


# A step


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_step_of_a_kernel(explanations, name):
    explanation = explanations["simple-cnn"]
    step = explanation.steps[name]
    figure = draw(step.figure())
    before, after = step.before["conv1.weight"], step.after["conv1.weight"]
    change = after - before
    largest = float(np.abs(change).max())
    label = explanation.label
    then = (100 * step.probabilities_before[label], 100 * step.probabilities[label])
    name = {"sgd": "SGD", "adam": "Adam"}[name]
    kind = f"{name} with a learning rate of {step.optimizer.lr:g}"
    assert said(figure) == (
        f"One step of {kind} takes the loss from {digits(explanation.loss)} to "
        f"{digits(step.loss)}, and the probability of {NAMES[label]} from {then[0]:.1f} % to "
        f"{then[1]:.1f} %. "
        f"conv1.weight changes by at most {digits(largest)}."
    )
    out = int(np.unravel_index(np.abs(change).argmax(), change.shape)[0])
    parts = {"before": before, "gradient": step.gradients["conv1.weight"], "after": after}
    parts["change"] = change
    parts |= {k: step.state[f"conv1.weight.{k}"] for k in state_words(step)}
    columns = [axes for axes in figure.axes if pictures(axes)]
    assert len(columns) == 3 * len(parts)
    names = [axes.get_title().partition(" ")[0] for axes in columns[: len(parts)]]
    assert sorted(names) == sorted(parts)
    for row in range(3):
        for column, part in enumerate(names):
            axes = columns[row * len(parts) + column]
            np.testing.assert_array_equal(pictures(axes)[0], parts[part][out, row])
            power = re.search(r"10\$\^\{(-?\d+)\}", columns[column].get_title())
            unit = 10.0 ** int(power[1]) if power else 1.0
            texts = [float(text.get_text().replace("−", "-")) * unit for text in axes.texts]
            close = 0.0051 * unit
            np.testing.assert_allclose(texts, parts[part][out, row].reshape(-1), rtol=0, atol=close)


def state_words(step):
    return {key.rpartition(".")[2] for key in step.state if key.startswith("conv1.weight.")}


@pytest.mark.parametrize("parameter", ["fc.weight", "fc.bias", "conv1.bias"])
def test_a_step_of_other_parameters(explanations, parameter):
    step = explanations["simple-cnn"].steps["sgd"]
    figure = draw(step.figure(parameter))
    axes, chances = figure.axes
    change = step.after[parameter] - step.before[parameter]
    widths = [bar.get_width() for bar in axes.patches]
    assert len(widths) == min(12, change.size)
    for label, width in zip(axes.get_yticklabels(), widths, strict=True):
        place = tuple(int(i) for i in re.findall(r"\d+", label.get_text()))
        assert width == pytest.approx(change[place], rel=1e-5)
    least = np.sort(np.abs(change).reshape(-1))[-len(widths)]
    assert np.abs(widths).min() == pytest.approx(least, rel=1e-5)
    expected = dict(zip(NAMES, step.probabilities, strict=True))
    assert bars_by_name(chances, 0.2) == pytest.approx(expected)
    expected = dict(zip(NAMES, step.probabilities_before, strict=True))
    assert bars_by_name(chances, -0.2) == pytest.approx(expected)


@pytest.mark.parametrize("lr", [1e20, 1e38])
def test_a_step_to_where_numbers_overflow(explanations, lr):
    explanation = explanations["simple-cnn"]
    step = neocog.explain(explanation.network, explanation.image, lr=lr).steps["sgd"]
    for parameter in ("conv1.weight", "fc.weight"):
        figure = draw(step.figure(parameter))
        assert said(figure).startswith(
            f"One step of SGD with a learning rate of {lr:g} from a loss of "
            f"{digits(step.loss_before)}. Numbers overflow after it"
        )
        expected = dict(zip(NAMES, step.probabilities_before, strict=True))
        assert bars_by_name(figure.axes[0]) == pytest.approx(expected)


def test_a_large_kernel(explanations):
    """Of many input channels the three that change most, without numbers, which were too small."""
    step = explanations["gray"].steps["sgd"]
    figure = draw(step.figure("block.body.weight"))
    change = np.abs(step.after["block.body.weight"] - step.before["block.body.weight"])
    out = int(change.max(axis=(1, 2, 3)).argmax())
    inputs = sorted(np.argsort(-change[out].max(axis=(1, 2)))[:3].tolist())
    drawn = [axes for axes in figure.axes if pictures(axes)]
    assert len(drawn) == 15 and inputs != [0, 1, 2]
    for row, channel in enumerate(inputs):
        first = drawn[5 * row]
        assert first.get_ylabel() == f"input {channel}"
        expected = step.before["block.body.weight"][out, channel]
        np.testing.assert_array_equal(pictures(first)[0], expected)
    assert not any(axes.texts for axes in drawn)


def test_a_parameter_that_there_is_not(explanations):
    says = "no parameter 'conv.weight'. Did you mean 'conv1.weight'? Known: conv1.weight, "
    with pytest.raises(DataError, match=re.escape(says)):
        explanations["simple-cnn"].steps["sgd"].figure("conv.weight")


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
