"""Figures of a step of a parameter hold the numbers that they show."""

import re

import numpy as np
import pytest
from drawn_figures import NAMES, bars_by_name, digits, draw, pictures, said

import neocog
from neocog.errors import DataError


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
