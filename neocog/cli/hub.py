"""``neocog push`` and ``neocog pull``."""

import json
from pathlib import Path

from neocog.cli.paths import out_path
from neocog.cli.terminal import say
from neocog.formats import is_hub_folder, training_of
from neocog.formats.hub_folder import files_of
from neocog.hub import check_repository
from neocog.hub import pull as pull_model
from neocog.hub import push as push_model
from neocog.hub_card import files_with_card
from neocog.limits import readable
from neocog.loading import open_saved
from neocog.run_info import run_of_model

__all__ = ["pull", "push"]


def push(
    model: str,
    architecture: str | None,
    repository: str,
    private: bool,
    overwrite: bool,
    json_: bool,
) -> int:
    """Upload a saved network with a model card to the hub; print its address."""
    check_repository(repository)
    network, notes = open_saved(model, architecture)
    for note in notes:
        say(note)
    if Path(model).is_dir() and is_hub_folder(model):
        files = files_of(Path(model))
    else:
        name = repository.partition("/")[2]
        files = files_with_card(network, name, training_of(model), run_of_model(model))
    address = push_model(files, repository, private=private, overwrite=overwrite)
    size = sum(map(len, files.values()))
    if json_:
        print(json.dumps({"repository": repository, "address": address, "size": size}))
    else:
        print(f"{address}: {', '.join(files)}, {readable(size)}")
    return 0


def pull(repository: str, folder: str | None, overwrite: bool, json_: bool) -> int:
    """Download a model from the hub to a folder; print where it is."""
    check_repository(repository)
    place = Path(repository.partition("/")[2]) if folder is None else out_path(folder)
    size = pull_model(repository, place, overwrite=overwrite)
    if json_:
        print(json.dumps({"repository": repository, "path": str(place), "size": size}))
    else:
        print(f"{place}: {repository}, {readable(size)}")
    return 0
