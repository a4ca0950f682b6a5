"""Layers that the page does not show."""

from neocog.explanation.page.views.registry import LayerView, view
from neocog.layers import Dropout, Sequential

__all__ = ["HiddenView"]


@view(Dropout, Sequential)
class HiddenView(LayerView):
    """Dropout drops nothing in a prediction, and of a Sequential its layers are shown."""
