"""The explored network as a file to download."""

import tempfile
from pathlib import Path

from neocog.data import Data
from neocog.network import Network
from neocog.network_files import save_model
from neocog.trained_on import training_notes

__all__ = ["model_file"]


def model_file(network: Network, data: Data | None, name: str, steps: int) -> tuple[str, bytes]:
    """A file name, and the content of a ``.safetensors`` with the network's parameters.

    Args:
        network: to save.
        data: that it was trained on; None if there are none.
        name: of the network.
        steps: that it was trained for.
    """
    training = {} if data is None else {**training_notes(data), "steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(network, path, training=training)
        content = path.read_bytes()
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    return f"{plain}-{steps}-steps.safetensors", content
