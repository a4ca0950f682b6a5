"""An explanation as an interactive page, one HTML file that needs no other file.

`pack` puts everything that the page shows into plain values and one block of numbers, `views/` has
the sentences and formulas of each kind of layer, and `page` joins them with the program in
``static/``.
"""

from neocog.data.images import Dataset
from neocog.explanation.explanation import Explanation
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import Packed, pack
from neocog.explanation.page.top_activations import top_activation_sprites
from neocog.explanation.page.views import layers_without_view
from neocog.explanation.rendering import render_html

__all__ = ["Packed", "layers_without_view", "pack", "page", "page_of", "top_activation_sprites"]


@render_html.register(Explanation)
def page_of(explanation: Explanation, data: Dataset | None = None) -> str:
    """The page of an explanation; with data, also the images that activate the filters most."""
    filters = None if data is None else top_activation_sprites(explanation, data)
    return page(pack(explanation, filters=filters))
