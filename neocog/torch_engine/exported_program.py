"""Networks as PyTorch's exported programs, which ``torch.export.save`` writes to a ``.pt2``."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neocog.formats.metadata import gives_probabilities, metadata_of
from neocog.formats.parts import ModelParts
from neocog.settings.training import LOSSES
from neocog.torch_engine.module import to_torch

__all__ = ["exported_program", "runtime"]

# Images of the example that the program is traced with; PyTorch takes 1 for a fixed number.
_EXAMPLE = 2


class _Whole(nn.Module):  # type: ignore[misc]
    """A network with what comes before and after its layers."""

    def __init__(
        self, network: nn.Module, parts: ModelParts, pictures: bool, softmax: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.pictures, self.softmax, self.loss = pictures, softmax, parts.loss
        self.temperature = parts.temperature
        look = parts.preprocessing
        for name, values in (("scale", look.scale), ("shift", look.shift)):
            self.register_buffer(name, torch.tensor(values).reshape(-1, 1, 1), persistent=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the program gives for the images that it takes."""
        x = images
        if self.pictures:
            x = images.permute(0, 3, 1, 2).float() * self.scale + self.shift
        scores = self.network(x)
        if not self.softmax:
            return scores
        scores = scores / self.temperature
        return torch.sigmoid(scores) if self.loss == LOSSES[1] else torch.softmax(scores, 1)


def exported_program(
    parts: ModelParts, *, pictures: bool = True, softmax: bool = True
) -> tuple[bytes, Callable[[NDArray[Any]], dict[str, NDArray[np.float32]]]]:
    """The content of a ``.pt2``, and a function that runs it and names what it gives.

    It takes any number of images at once, and its ``extra_files`` are those of `metadata_of`.
    Weights have the names of ``network.state_dict()``, behind ``network.`` unless the program is
    nothing but the layers.

    Args:
        parts: of the network.
        pictures: take uint8 pictures [batch, height, width, channels] and preprocess them; else
            float32 [batch, channels, height, width].
        softmax: give probabilities; else scores.
    """
    softmax = gives_probabilities(parts.loss, softmax)
    module = to_torch(parts.graph)
    state = {name: torch.from_numpy(value.copy()) for name, value in parts.state.items()}
    module.load_state_dict(state)
    if pictures or softmax:
        module = _Whole(module, parts, pictures, softmax)
    channels, height, width = parts.graph.input_shape
    example = (
        torch.zeros(_EXAMPLE, height, width, channels, dtype=torch.uint8)
        if pictures
        else torch.zeros(_EXAMPLE, channels, height, width)
    )
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        program = torch.export.export(
            module.eval(), (example,), dynamic_shapes=({0: batch},), strict=False
        )
    file = BytesIO()
    entries: Mapping[str, str] = metadata_of(parts, pictures=pictures, softmax=softmax)
    torch.export.save(program, file, extra_files=dict(entries))
    content = file.getvalue()
    loaded = torch.export.load(BytesIO(content)).module()

    def run(images: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        with torch.no_grad():
            found = loaded(torch.from_numpy(images)).numpy()
        return {"probabilities" if softmax else "scores": found}

    return content, run


def runtime() -> str:
    """PyTorch, with its version."""
    return f"PyTorch {torch.__version__}"
