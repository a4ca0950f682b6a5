"""``neocog predict``."""

import json

import numpy as np
from numpy.typing import NDArray

from neocog.cli.evaluate import open_model
from neocog.cli.terminal import say, say_compiling
from neocog.data.picture import read_picture
from neocog.engine import announced
from neocog.errors import DataError, NeocogError

__all__ = ["predict"]


def predict(model: str, images: list[str], architecture: str | None, top: int, json_: bool) -> int:
    """Print the most probable classes of each image; 1 if some could not be read.

    Those are told of on stderr, and as {"image", "error"} in the place of {"image", "top"} in the
    JSON; the others have their results.
    """
    if top < 1:
        raise NeocogError(f"--top (={top}) must be at least 1.")
    network = open_model(model, architecture)
    pictures: dict[int, NDArray[np.uint8]] = {}
    listed: list[dict[str, object]] = []
    for index, path in enumerate(images):
        try:
            pictures[index] = read_picture(path, network.input_shape, network.preprocessing.resize)
            listed.append({"image": path})
        except DataError as error:
            say(f"neocog: {error}")
            listed.append({"image": path, "error": str(error)})
    if pictures:
        with announced(say_compiling):
            probabilities = network.predict_proba(np.stack(list(pictures.values())))
        if not np.isfinite(probabilities).all():
            raise NeocogError(
                f"{model} gives NaN or infinite outputs: its weights are damaged, or come from a "
                "training that diverged."
            )
        names = network.classes or tuple(str(k) for k in range(probabilities.shape[1]))
        for index, row in zip(pictures, probabilities, strict=True):
            best = [(names[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top]]
            listed[index]["top"] = [{"label": name, "probability": p} for name, p in best]
            if not json_:
                shown = ", ".join(f"{name} {100 * p:.1f} %" for name, p in best)
                print(f"{images[index]}: {shown}")
    if json_:
        print(json.dumps(listed))
    return 0 if len(pictures) == len(images) else 1
