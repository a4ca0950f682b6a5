"""The explanation of the explored picture, computed again only where something has changed."""

from collections.abc import Mapping

from neocog.data import Data
from neocog.data.images import mixed
from neocog.explanation.explanation import explain
from neocog.explanation.page.message import message
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import top_activation_sprites
from neocog.network import Network
from neocog.web.picture import Picture

__all__ = ["LiveExplanation"]

# Images of the training data that are searched for top activations.
_SAMPLE = 2000


class LiveExplanation:
    """The latest explanation as a binary message, with what it is of.

    Args:
        network: that is explained.
        data: whose training images are searched for top activations; None if there are none.
    """

    def __init__(self, network: Network, data: Data | None) -> None:
        self._network = network
        self._sample = None if data is None else mixed(data.train, _SAMPLE)
        self._latest: tuple[tuple[int, ...], bytes] | None = None
        # The channels that are shown of a picture, by its number.
        self._shown: tuple[int, Mapping[str, list[int]]] = -1, {}

    @property
    def is_first(self) -> bool:
        """Whether nothing was explained yet."""
        return self._latest is None

    def of(self, picture: Picture, loads: int, steps: int, training: bool) -> bytes:
        """The explanation of a picture with the network's parameters.

        Args:
            picture: to explain.
            loads: how often the parameters were replaced.
            steps: that they were trained for since.
            training: whether training runs. It would have to wait for predictions of many images,
                so attributions and top activations are left out.
        """
        key = loads, steps, picture.number, training
        if self._latest is None or self._latest[0] != key:
            self._latest = key, self._explain(picture, steps, training)
        return self._latest[1]

    def _explain(self, picture: Picture, steps: int, training: bool) -> bytes:
        explanation = explain(self._network, picture.image, picture.label)
        # Channels that somebody looks at stay when others come to matter more.
        number, shown = self._shown
        shown = shown if number == picture.number else {}
        activations = {}
        if self._sample is not None and not training:
            activations = top_activation_sprites(explanation, self._sample, shown=shown)
        packed = pack(explanation, attributions=not training, filters=activations, shown=shown)
        of_layers = {layer["name"]: layer["shown"] for layer in packed.structure["layers"]}
        self._shown = picture.number, of_layers
        live = {"steps": steps, "picture": picture.number}
        return message({**packed.structure, "live": live}, packed.block)
