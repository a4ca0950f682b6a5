"""How the page describes each layer: one view for each class, registered with `view`."""

from collections.abc import Mapping

from neocog.errors import NeocogError
from neocog.explanation.page.views.activation import (
    ActivationView,
    ELUView,
    GELUView,
    LeakyReLUView,
    PReLUView,
    ReLUView,
    ScaleView,
    SoftplusView,
)
from neocog.explanation.page.views.channel_copies import ConcatView, ShuffleView, SliceView
from neocog.explanation.page.views.convolution import ConvolutionView
from neocog.explanation.page.views.copies import PaddingView, UpsamplingView
from neocog.explanation.page.views.flatten import FlattenView
from neocog.explanation.page.views.hidden import HiddenView
from neocog.explanation.page.views.image import ImageView
from neocog.explanation.page.views.image_normalization import GroupNormView, LayerNorm2dView
from neocog.explanation.page.views.linear import LinearView
from neocog.explanation.page.views.merging import AdditionView, ProductView
from neocog.explanation.page.views.normalization import NormalizationView
from neocog.explanation.page.views.pooling import AveragePoolingView, MaxPoolingView
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import LAYERS, Layer

__all__ = [
    "ActivationView",
    "AdditionView",
    "AveragePoolingView",
    "ConcatView",
    "ConvolutionView",
    "ELUView",
    "FlattenView",
    "GELUView",
    "GroupNormView",
    "HiddenView",
    "ImageView",
    "LayerNorm2dView",
    "LayerView",
    "LeakyReLUView",
    "LinearView",
    "MaxPoolingView",
    "NormalizationView",
    "PReLUView",
    "PaddingView",
    "ProductView",
    "ReLUView",
    "ScaleView",
    "ShuffleView",
    "SliceView",
    "SoftplusView",
    "UpsamplingView",
    "layers_without_view",
    "view",
    "view_of",
]


def view_of(layer: LayerExplanation) -> LayerView:
    """The view of a layer, or of the image.

    Raises:
        NeocogError: no view is registered for its class.
    """
    if layer.layer is None:
        return ImageView()
    registered = view.of(layer.layer)
    if registered is None:
        raise NeocogError(
            f"{layer.name} cannot be shown: there is no view of {layer.type}. Register one with "
            "@view in neocog/explanation/page/views."
        )
    return registered()


def layers_without_view(layers: Mapping[str, type[Layer]] = LAYERS) -> list[str]:
    """The names of those layers, given by name, that no view is registered for."""
    return sorted(name for name, layer in layers.items() if view.of(layer) is None)
