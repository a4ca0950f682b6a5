"""The files of a network for the hub, with a card that knows its design."""

from collections.abc import Mapping
from typing import Any

from neocog.formats.hub_folder import hub_files
from neocog.formats.model_card import model_card
from neocog.models import name_of
from neocog.network import Network

__all__ = ["files_with_card"]


def files_with_card(
    network: Network,
    name: str,
    notes: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """The content of each file, by its name.

    Args:
        network: with weights.
        name: of the model, for the card.
        notes: on the training, which `neocog.formats.training_of` returns.
        run: what the ``run.json`` of the training says, for the card.

    Raises:
        ArchitectureError: the network has no weights, or cannot be described in a file.
    """
    parts, architecture = network.parts(notes), name_of(network)
    return hub_files(parts, model_card(parts, name, architecture, run), architecture)
