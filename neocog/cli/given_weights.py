"""What ``--model``, ``--pretrained`` and ``--transfer`` together say that training begins with.

``--pretrained`` says where weights are from, ``--model`` which network they belong to. A network
that neocog saved is both, so either option may name it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.errors import NeocogError, printable
from neocog.files import exists
from neocog.models import PHOTOGRAPHS
from neocog.models.named import is_new
from neocog.pretrained import PACKAGES
from neocog.pretrained.hub import PREFIX
from neocog.pretrained.own import is_own

__all__ = ["settled"]

# None, in Python and on the command line.
_NONE = (None, "none")
# Settings of a training that begins with weights of others, with their options.
_OF_TRANSFER = {
    "pretrained": "--pretrained",
    "transfer_views": "--views",
    "transfer_minutes": "--time",
}


def settled(changes: Mapping[str, Any], depth: str | None = None) -> dict[str, Any]:
    """The settings that were given, such that no two of them say the same.

    Settings of a training that begins with weights ask for one. Files have absolute paths, as
    ``config.toml`` names them.

    Args:
        changes: settings by name.
        depth: of the transfer, by the recipe or the run in which these replace settings.

    Raises:
        NeocogError: they contradict each other.
    """
    found = dict(changes)
    given = [option for name, option in _OF_TRANSFER.items() if found.get(name) not in _NONE]
    if given and found.get("transfer", depth or "auto") in _NONE:
        raise NeocogError(f"{given[0]} goes with --transfer; leave it out, or --transfer none.")
    if given and depth is None:
        found.setdefault("transfer", "auto")
    model, source = found.get("model"), found.get("pretrained")
    if model is not None and model.startswith(PREFIX):
        raise NeocogError(
            f"--model {printable(model)} is where weights are from: say it with --pretrained."
        )
    saved = model if model is not None and not is_new(model) else None
    if source in _NONE:
        return found if saved is None else found | {"model": str(Path(saved).absolute())}
    if saved is not None:
        raise NeocogError(
            f"--model {printable(saved)} has weights, and so has --pretrained {printable(source)}: "
            "leave one of them out."
        )
    if not (source in PACKAGES or source.startswith(PREFIX)) and exists(source):
        found["pretrained"] = str(Path(source).absolute())
        if is_own(Path(source)):
            if model is not None:
                raise NeocogError(
                    f"--pretrained {printable(source)} has its own network: leave --model out."
                )
            return found | {"model": found.pop("pretrained")}
    if model is not None and model not in PHOTOGRAPHS:
        raise NeocogError(
            f"--pretrained has weights of networks for photographs, and --model {printable(model)} "
            f"is none of them: leave it out, or name one of {', '.join(PHOTOGRAPHS)}."
        )
    return found
