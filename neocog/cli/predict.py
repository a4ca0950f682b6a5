"""``neocog predict``."""

import json

import numpy as np

from neocog.cli.evaluate import open_model
from neocog.data.picture import read_picture
from neocog.errors import NeocogError

__all__ = ["predict"]


def predict(model: str, images: list[str], architecture: str | None, top: int, json_: bool) -> int:
    """Print the most probable classes of each image."""
    if top < 1:
        raise NeocogError(f"--top (={top}) must be at least 1.")
    network = open_model(model, architecture)
    channels, height, width = network.input_shape
    pictures = np.stack([read_picture(path, (channels, height, width)) for path in images])
    probabilities = network.predict_proba(pictures)
    if not np.isfinite(probabilities).all():
        raise NeocogError(
            f"{model} gives NaN or infinite outputs: its weights are damaged, or come from a "
            "training that diverged."
        )
    names = network.classes or tuple(str(k) for k in range(probabilities.shape[1]))
    found = [
        [(names[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top]]
        for row in probabilities
    ]
    if json_:
        listed = [
            {"image": path, "top": [{"label": n, "probability": p} for n, p in best]}
            for path, best in zip(images, found, strict=True)
        ]
        print(json.dumps(listed))
        return 0
    for path, best in zip(images, found, strict=True):
        print(f"{path}: " + ", ".join(f"{name} {100 * p:.1f} %" for name, p in best))
    return 0
