"""``neocog explain``."""

import json
import re
import webbrowser
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.answers import text_of
from neocog.cli.own_pictures import own_pictures
from neocog.cli.paths import page_path
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.data import Data
from neocog.data.images import mixed
from neocog.engine import announced
from neocog.errors import DataError, NeocogError, printable
from neocog.explanation import explain as explain_network
from neocog.explanation.page.bounds import MOST_PHOTOGRAPH_SIDE
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import sample_size, top_activation_sprites
from neocog.explanation.photograph import read_photograph
from neocog.files import write_bytes
from neocog.loading import open_network, without_weights
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
    pictures: str | None = None,
) -> int:
    """Write the page for one image; print its path and the prediction."""
    given = page_path(out) if out else None  # a bad path is reported before any work is done
    opened = open_network(model, data, loading_progress(), architecture, pretrained=True)
    for note in opened.notes:
        say(note)
    network = opened.network
    if not network.initialized:
        raise NeocogError(without_weights(model))
    pixels, shows, name = _image(image, opened.data)
    targets = shows if isinstance(shows, np.ndarray) else None
    sample = None
    if pictures is not None:
        sample = own_pictures(pictures, network)
    elif opened.data is not None:
        sample = mixed(opened.data.train, sample_size(network.input_shape))
    chosen: int | str | None = shows if isinstance(shows, int) else None
    if label is not None:
        chosen = _label(label, network.classes)
    with announced(say_compiling):
        explanation = explain_network(network, pixels, chosen, targets=targets)
        photograph = None
        if isinstance(pixels, str):
            resize = network.preprocessing.resize
            photograph = read_photograph(pixels, network.input_shape, resize, MOST_PHOTOGRAPH_SIDE)
        top_activations = {}
        if sample is not None:
            layers = loading_progress("layers")
            top_activations = top_activation_sprites(explanation, sample, progress=layers)
        packed = pack(
            explanation,
            filters=top_activations,
            photograph=photograph,
            progress=loading_progress("maps"),
        )
    if sample is None:
        say("To see what activates the filters, name data with --data or a folder with --pictures.")
    if packed.structure["partial"]:
        say(
            "The page has some channels of each layer, so that it stays small. To see all: "
            f"neocog explore {model}"
        )
    path = given or Path(f"{name}-explained.html")
    try:
        write_bytes(path, page(packed).encode())
    except OSError as error:
        raise NeocogError(why_not_written(path, error)) from error
    probabilities = explanation.probabilities
    if json_:
        found = {
            "page": str(path),
            "label": explanation.classes[explanation.label],
            "loss": explanation.loss,
            "values" if explanation.of_numbers else "probabilities": dict(
                zip(explanation.classes, map(float, probabilities), strict=True)
            ),
        }
        print(json.dumps(found))
    else:
        answer = text_of(probabilities, explanation.classes, network.loss, network.threshold)
        print(f"{image}: {answer}")
        print(f"Page: {path}")
    if open_:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _image(
    image: str, data: Data | None
) -> tuple["np.ndarray | str", int | NDArray[np.float32] | None, str]:
    """The image, its label or targets if the data have them, and a name for files."""
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
    shows = part.labels[index]
    return part.images[index], shows if shows.ndim else int(shows), f"{wanted[1]}-{index}"


def _label(label: str, classes: tuple[str, ...] | None) -> int | str:
    """A class by its name, or by its number if no class has that name."""
    return int(label) if label.isdecimal() and label not in (classes or ()) else label
