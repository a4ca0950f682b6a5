"""Explanations to be drawn, and what a figure holds."""

import io

import numpy as np

from neocog import models
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


def bars_by_name(axes, shift=0.0):
    names = [label.get_text() for label in axes.get_yticklabels()]
    return {
        names[round(bar.get_y() + bar.get_height() / 2 - shift)]: bar.get_width()
        for bar in axes.patches
        if abs((bar.get_y() + bar.get_height() / 2 - shift + 0.5) % 1 - 0.5) < 0.01
    }
