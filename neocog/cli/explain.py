"""``neocog explain``."""

import json
import re
import webbrowser
from pathlib import Path

import numpy as np

from neocog.cli.paths import out_path
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.data import Data
from neocog.data.images import mixed
from neocog.engine import announced
from neocog.errors import DataError, NeocogError, printable
from neocog.explanation import explain as explain_network
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import top_activation_sprites
from neocog.files import write_bytes
from neocog.loading import open_network
from neocog.losses import check_classifier
from neocog.write_errors import why_not_written

__all__ = ["explain"]

_OF_DATA = re.compile(r"(train|validation|test):(\d{1,12})")


def explain(
    model: str,
    image: str,
    label: str | None,
    data: str | None,
    out: str | None,
    open_: bool,
    json_: bool,
    architecture: str | None = None,
) -> int:
    """Write the page for one image; print its path and the prediction."""
    given = out_path(out) if out else None  # a bad path is reported before any work is done
    opened = open_network(model, data, loading_progress(), architecture)
    check_classifier(opened.network.loss, "Explaining")
    for note in opened.notes:
        say(note)
    network = opened.network
    if not network.initialized:
        raise NeocogError(
            f"{model} is a network without weights: there is nothing to explain yet. Train it "
            f"first, as in: neocog train --model {model}"
        )
    pixels, shows, name = _image(image, opened.data)
    chosen = _label(label, network.classes) if label is not None else shows
    with announced(say_compiling):
        explanation = explain_network(network, pixels, chosen)
        top_activations = {}
        if opened.data is not None:
            top_activations = top_activation_sprites(explanation, mixed(opened.data.train, 2000))
    if opened.data is None:
        say("To see which images activate the filters, name the data with --data.")
    path = given or Path(f"{name}-explained.html")
    try:
        write_bytes(path, page(pack(explanation, filters=top_activations)).encode())
    except OSError as error:
        raise NeocogError(why_not_written(path, error)) from error
    best = int(explanation.probabilities.argmax())
    if json_:
        found = {
            "page": str(path),
            "label": explanation.classes[explanation.label],
            "loss": explanation.loss,
            "probabilities": dict(
                zip(explanation.classes, map(float, explanation.probabilities), strict=True)
            ),
        }
        print(json.dumps(found))
    else:
        sure = 100 * explanation.probabilities[best]
        print(f"{image}: {explanation.classes[best]} {sure:.1f} %")
        print(f"Page: {path}")
    if open_:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _image(image: str, data: Data | None) -> tuple["np.ndarray | str", int | None, str]:
    """The image, its label if the data have one, and a name for files."""
    wanted = _OF_DATA.fullmatch(image)
    if wanted is None:
        return image, None, Path(image).stem
    if data is None:
        raise DataError(f"{image} is an image of the data: name them with --data.")
    part, index = data.parts[wanted[1]], int(wanted[2])
    if not len(part):
        some = ", ".join(name for name, images in data.parts.items() if len(images))
        raise DataError(f"{image}: {printable(data.name)} has no such part. It has: {some}.")
    if index >= len(part):
        raise DataError(
            f"{image}: there are {len(part):,} {wanted[1]} images, 0 to {len(part) - 1}."
        )
    return part.images[index], int(part.labels[index]), f"{wanted[1]}-{index}"


def _label(label: str, classes: tuple[str, ...] | None) -> int | str:
    """A class by its name, or by its number if no class has that name."""
    return int(label) if label.isdecimal() and label not in (classes or ()) else label
