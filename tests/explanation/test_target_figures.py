"""Figures of explanations of several labels and of numbers: what they say."""

import pytest
from target_networks import IMAGE, LOSSES, TRUTH, network_of

import neocog

pytest.importorskip("matplotlib")


def texts(figure):
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("loss", LOSSES)
def test_they_speak_of_what_the_network_gives(loss):
    found = neocog.explain(network_of(loss), IMAGE, "old", targets=TRUTH[loss])
    attribution = found.grad_cam()
    figures = found.figure(), found.steps["sgd"].figure(), attribution.figure(IMAGE, found.chance)
    value = found.probabilities[1]
    said = f"{value:.6g}".replace("-", "−") if loss == "mse" else f"{100 * value:.1f} %"
    for figure in figures:
        assert ("probabilit" in texts(figure)) == (loss != "mse")
    for figure in figures[:2]:
        assert said in texts(figure)
    assert "explained is old" in texts(figures[0])
    low, high = figures[2].axes[2].get_ylim()
    assert all(low <= one <= high for one in (*attribution.deleted, *attribution.inserted))


def test_without_a_true_number_there_is_no_loss():
    assert "The loss is" not in texts(neocog.explain(network_of("mse"), IMAGE).figure())
