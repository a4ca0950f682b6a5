"""How the page describes each layer: one view for each class, registered with `view`."""

from neocog.explanation.page.views.activation import (
    ActivationView,
    GELUView,
    LeakyReLUView,
    ReLUView,
    ScaleView,
)
from neocog.explanation.page.views.addition import AdditionView
from neocog.explanation.page.views.convolution import ConvolutionView
from neocog.explanation.page.views.flatten import FlattenView
from neocog.explanation.page.views.hidden import HiddenView
from neocog.explanation.page.views.image import ImageView
from neocog.explanation.page.views.linear import LinearView
from neocog.explanation.page.views.normalization import NormalizationView
from neocog.explanation.page.views.pooling import AveragePoolingView, MaxPoolingView
from neocog.explanation.page.views.registry import LayerView, layers_without_view, view, view_of

__all__ = [
    "ActivationView",
    "AdditionView",
    "AveragePoolingView",
    "ConvolutionView",
    "FlattenView",
    "GELUView",
    "HiddenView",
    "ImageView",
    "LayerView",
    "LeakyReLUView",
    "LinearView",
    "MaxPoolingView",
    "NormalizationView",
    "ReLUView",
    "ScaleView",
    "layers_without_view",
    "view",
    "view_of",
]
