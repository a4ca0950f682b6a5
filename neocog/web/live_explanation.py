"""The explanation of the explored picture, computed again only where something has changed."""

from collections.abc import Mapping

from neocog.data import Data
from neocog.data.images import Dataset, mixed
from neocog.explanation.explanation import Explanation, explain
from neocog.explanation.page.message import message
from neocog.explanation.page.one_channel import pack_channel
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import sample_size, top_activation_sprites
from neocog.http.refusal import RefusedError
from neocog.network import Network
from neocog.web.picture import Picture

__all__ = ["LiveExplanation"]

# Multiply-adds to spend on the search for top activations, while somebody waits.
_WORK = 40_000_000_000


class LiveExplanation:
    """The latest explanation as a binary message, with what it is of.

    Args:
        network: that is explained.
        data: whose training images are searched for top activations; None if there are none.
        pictures: which are searched instead; None for those of the data.
    """

    def __init__(
        self, network: Network, data: Data | None, pictures: Dataset | None = None
    ) -> None:
        self._network = network
        self._sample = pictures
        if pictures is None and data is not None:
            self._sample = mixed(data.train, sample_size(network.input_shape))
        self._latest: tuple[tuple[int, ...], bytes] | None = None
        # What the latest is of, and how many there were; a page that has only some maps asks for
        # more, and must get those of the same one.
        self._explanation: Explanation | None = None
        self._serial = 0
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
        self._explanation = None  # so that there is only one at a time
        explanation = explain(self._network, picture.image, picture.label, targets=picture.targets)
        self._explanation, self._serial = explanation, self._serial + 1
        # Channels that somebody looks at stay when others come to matter more.
        number, shown = self._shown
        shown = shown if number == picture.number else {}
        activations = {}
        if self._sample is not None and not training:
            activations = top_activation_sprites(explanation, self._sample, shown=shown, work=_WORK)
        packed = pack(
            explanation,
            attributions=not training,
            filters=activations,
            shown=shown,
            photograph=picture.photograph,
        )
        of_layers = {layer["name"]: layer["shown"] for layer in packed.structure["layers"]}
        self._shown = picture.number, of_layers
        live = {"steps": steps, "picture": picture.number}
        structure = {**packed.structure, "live": live, "serial": self._serial}
        return message(structure, packed.block)

    def channel(self, layer: str, channel: int, output: int) -> bytes:
        """What a channel of the latest explanation is shown with, as a binary message.

        Raises:
            DataError: there is no such layer.
            RefusedError: there is no such channel, or nothing was explained yet.
        """
        if self._explanation is None:
            raise RefusedError("Nothing is explained yet: get /api/explanation first.", 409)
        try:
            packed = pack_channel(self._explanation, layer, channel, output)
        except IndexError as error:
            raise RefusedError(str(error)) from None
        return message({**packed.structure, "serial": self._serial}, packed.block)
