"""What is seen at a layer, in sentences, with its own numbers."""

import math

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation, LayerExplanation
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
)

__all__ = ["caption", "describe", "number"]

# Of a number's own size: float32 keeps it no better.
_ROUNDING = 2.0**-24

Floats = NDArray[np.float32]


def number(value: float) -> str:
    """All of a short decimal, three digits that count of any other; a minus sign that is one."""
    text = f"{value:.5g}"
    if not math.isclose(float(text), value, rel_tol=_ROUNDING):
        text = f"{value:.3g}"
    if "e" in text:
        mantissa, _, power = text.partition("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        ten = f"10{raised}"
        text = mantissa.replace("1", ten) if mantissa in ("1", "-1") else f"{mantissa}·{ten}"
    return text.replace("-", "−")


def describe(layer: LayerExplanation) -> str:
    """The layer in a few words: ``3 × 3, 3 → 16 channels, padding 1``."""
    match layer.layer:
        case Conv2d() as conv:
            words = [
                _by(conv.kernel),
                f"{conv.in_channels} → {_count(conv.out_channels, 'channel')}",
            ]
            if conv.steps != (1, 1):
                words.append(f"stride {_one(conv.steps)}")
            if conv.before != (0, 0) or conv.after != (0, 0):
                same = conv.before == conv.after
                words.append(f"padding {_one(conv.before)}" if same else "padding same")
            if conv.spread != (1, 1):
                words.append(f"dilation {_one(conv.spread)}")
            if conv.groups != 1:
                words.append(f"{conv.groups} groups")
            return ", ".join(words)
        case Linear() as linear:
            return f"{linear.in_features:,} → {linear.out_features:,}"
        case MaxPool2d() | AvgPool2d() as pool:
            stride = "" if pool.steps == pool.kernel else f", stride {_one(pool.steps)}"
            return _by(pool.kernel) + stride
        case _:
            return ""


def _count(number_of: int, noun: str) -> str:
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def _by(pair: tuple[int, int]) -> str:
    return f"{pair[0]} × {pair[1]}"


def _one(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else _by(pair)


def caption(explanation: Explanation, layer: LayerExplanation) -> tuple[str, str]:
    """What is seen on the way forward, and on the way back."""
    return _forward(explanation, layer), _backward(explanation, layer)


def _forward(explanation: Explanation, layer: LayerExplanation) -> str:
    y = layer.output
    match layer.layer:
        case None:
            means = ", ".join(number(m) for m in explanation.network.preprocessing.mean)
            stds = ", ".join(number(s) for s in explanation.network.preprocessing.std)
            return (
                f"The image as the network gets it: every byte is divided by 255, less the mean "
                f"({means}), divided by the deviation ({stds}). Its numbers go from "
                f"{number(y.min())} to {number(y.max())}."
            )
        case Conv2d() as conv:
            channel, row, column = _place(y)
            inputs, (kh, kw) = layer.parameters["weight"].shape[1], conv.kernel
            return (
                f"{_count(len(y), 'kernel')} of {kh} × {kw} × {inputs} slide over "
                f"{_count(len(layer.input), 'channel')}, so each number is a sum of "
                f"{kh * kw * inputs:,} products. The strongest answer is {_signed(y)} in channel "
                f"{channel}, row {row}, column {column}."
            )
        case BatchNorm2d():
            return (
                f"Every channel is shifted and scaled by four numbers of its own. Its input has "
                f"means from {number(_means(layer.input).min())} to "
                f"{number(_means(layer.input).max())} a channel, its output from "
                f"{number(_means(y).min())} to {number(_means(y).max())}."
            )
        case ReLU():
            zeros = float((layer.input <= 0).mean())
            return (
                f"Negative numbers become zero: {100 * zeros:.0f} % of {y.size:,}. "
                f"{100 * (1 - zeros):.0f} % pass as they are."
            )
        case MaxPool2d() | AdaptiveMaxPool2d():
            return (
                f"Of each region only the largest number goes on: {y.size:,} of "
                f"{layer.input.size:,}. The map becomes {_by(y.shape[1:])}."
            )
        case AvgPool2d() | AdaptiveAvgPool2d():
            return (
                f"Each region gives its mean: {layer.input.size:,} numbers become {y.size:,}. The "
                f"map becomes {_by(y.shape[1:])}."
            )
        case Flatten():
            c, h, w = (*layer.input.shape, 1, 1)[:3]
            return (
                f"The numbers stay as they are and stand in one row: {c} × {h} × {w} = {y.size:,}, "
                "channel after channel, row after row."
            )
        case Linear():
            scores = y.reshape(-1)
            best = int(scores.argmax())
            last = layer.name == list(explanation)[-1]
            what = explanation.classes[best] if last else f"output {best}"
            return (
                f"Each of {_count(len(scores), 'output')} is a sum of "
                f"{_count(layer.input.size, 'product')}. The largest is {what} with "
                f"{number(scores[best])}."
            )
        case Residual():
            around = layer.input if layer.addend is None else layer.addend
            ways = [float(np.abs(part).mean()) for part in (layer.input, around)]
            return (
                f"The two lanes are added, number by number. Numbers of the first are "
                f"{number(ways[0])} on average without their signs, those of the second "
                f"{number(ways[1])}."
            )
        case Scale(factor):
            return f"Every number is multiplied by {number(factor)}."
        case _:
            return (
                f"{layer.type} bends every number on its own: from {number(layer.input.min())} … "
                f"{number(layer.input.max())} to {number(y.min())} … {number(y.max())}."
            )


def _backward(explanation: Explanation, layer: LayerExplanation) -> str:
    g, label = layer.output_gradient, explanation.classes[explanation.label]
    size = float(np.abs(g).max())
    if size == 0:
        return "The loss does not depend on any number here: every gradient is zero."
    match layer.layer:
        case None:
            _, row, column = _place(g)
            return (
                f"How the loss would change with each pixel. The largest gradient is "
                f"{_signed(g)}, at row {row}, column {column}: there the image matters most to "
                f"how {label} fares."
            )
        case Conv2d():
            dw = layer.gradients["weight"]
            norms = np.sqrt((dw.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
            return (
                f"A weight meets the input at {_count(g[0].size, 'place')}; its gradient is the "
                f"sum of input × gradient over all of them. Kernel {int(norms.argmax())} learns "
                f"most: the norm of its gradient is {number(norms.max())}."
            )
        case BatchNorm2d():
            return (
                "The mean and the variance stand still, so each channel's gradient is multiplied "
                "by one number, weight / √(variance + eps)."
            )
        case ReLU():
            before = layer.input_gradient
            if before is None:
                return "Nothing before this layer learns."
            blocked = float(((layer.input <= 0) & (g != 0)).sum() / max(1, (g != 0).sum()))
            return (
                f"Where the input was not positive the gradient ends: {100 * blocked:.0f} % of "
                f"{int((g != 0).sum()):,} gradients that arrive are set to zero."
            )
        case MaxPool2d() | AdaptiveMaxPool2d():
            return (
                f"Each gradient goes to the number that won its region, and to no other: of "
                f"{layer.input.size:,} numbers before, at most {g.size:,} get one."
            )
        case AvgPool2d() | AdaptiveAvgPool2d():
            return "Each gradient is shared out evenly among the numbers of its region."
        case Flatten():
            return "The gradients go back to the places that the numbers came from."
        case Linear():
            if layer.name == list(explanation)[-1]:
                return (
                    f"The gradient of every score is δ = y − t: for {label} it is "
                    f"{number(float(g.reshape(-1)[explanation.label]))}. A weight's gradient is "
                    f"its output's δ times its input."
                )
            return "A weight's gradient is its output's gradient times its input."
        case Residual():
            return "A sum hands its gradient on to both lanes, unchanged."
        case Scale(factor):
            return f"The gradient is multiplied by {number(factor)} too."
        case _:
            return (
                f"Each gradient is multiplied by the slope of {layer.type} at its input. The "
                f"largest that arrives is {number(size)}."
            )


def _place(maps: Floats) -> tuple[int, ...]:
    """Where the largest magnitude is: (channel, row, column)."""
    return tuple(int(n) for n in np.unravel_index(int(np.abs(maps).argmax()), maps.shape))


def _signed(maps: Floats) -> str:
    return number(float(maps[_place(maps)]))


def _means(maps: Floats) -> Floats:
    means: Floats = maps.mean(axis=(1, 2))
    return means
