"""Figures of attributions and of filters hold the numbers that they show."""

import numpy as np
import pytest
from drawn_figures import digits, draw, pictures, said, titled

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
    says = f"Mean probability of {found.class_name} while pixels are covered, reddest first: "
    says += digits(found.deletion)
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
    assert ("Beside each are the parts of images" in said(figure)) == with_data
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
