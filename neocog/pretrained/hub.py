"""Weights from the Hugging Face hub, by its library: ``hf:timm/resnet18.a1_in1k``.

A repository of timm has the weights and a ``config.json``, which names the network and says how
pictures become its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.errors import FormatError, NeocogError, printable
from neocog.files import read_bytes
from neocog.formats.hub_folder import weights_bytes
from neocog.formats.json_text import MOST_BYTES, as_object, json_object
from neocog.hub import cached_file, check_repository
from neocog.layers import Shape, image_shape
from neocog.models import make
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["PREFIX", "Fetched", "fetch"]

#: With which the name of a repository on the hub begins.
PREFIX = "hf:"
#: Our networks by the names of timm's, of which each has the same layers.
ARCHITECTURES = {
    "tf_efficientnet_lite0": "efficientnet-lite0",
    "tf_efficientnet_lite1": "efficientnet-lite1",
    "tf_efficientnet_lite2": "efficientnet-lite2",
    "mobilenetv2_100": "mobilenet-v2",
    "mobilenetv3_small_100": "mobilenet-v3-small",
    "mobilenetv3_large_100": "mobilenet-v3-large",
    "resnet18": "resnet18-224",
    "resnet34": "resnet34-224",
    "resnet50": "resnet50-224",
    "vgg11_bn": "vgg11-bn",
    "densenet121": "densenet121",
    "convnext_atto": "convnext-atto",
}
_FILES = ("model.safetensors", "pytorch_model.bin")
# Classes of the largest usual data set, ImageNet-22k, as far as a file's size is concerned.
_MOST_CLASSES = 22_000


@dataclass(frozen=True)
class Fetched:
    """What a repository has.

    Attributes:
        path: of the file with the weights, on this machine.
        model: the name of our network.
        input_shape: of the images that it was trained on.
        preprocessing: how pictures become its inputs.
    """

    path: Path
    model: str
    input_shape: Shape
    preprocessing: Preprocessing


def fetch(source: str) -> Fetched:
    """Download a repository's weights, or find them among those downloaded before.

    Args:
        source: ``hf:`` and the repository's name.

    Raises:
        NeocogError: there is no such repository, no network to reach it, or the hub's library is
            not installed.
        FormatError: its ``config.json`` is damaged, or it has another network than ours.
    """
    repository = check_repository(source.removeprefix(PREFIX))
    file = cached_file(repository, "config.json", MOST_BYTES)
    try:
        config = json_object(read_bytes(file, MOST_BYTES), "config.json")
        model, shape, preprocessing = _described(config)
    except (NeocogError, OSError) as error:
        raise FormatError(f"{source}: {printable(str(error), 500)}") from None
    most = weights_bytes(make(model, _MOST_CLASSES).graph)
    try:
        path = cached_file(repository, _FILES[0], most)
    except NeocogError as first:
        try:
            path = cached_file(repository, _FILES[1], most)
        except NeocogError:
            raise first from None
    return Fetched(path, model, shape, preprocessing)


def _described(config: Mapping[str, Any]) -> tuple[str, Shape, Preprocessing]:
    """Our network's name, the shape of its images, and their preprocessing."""
    architecture = config.get("architecture")
    cfg = as_object(config.get("pretrained_cfg"), "config.json")
    model = ARCHITECTURES.get(architecture) if isinstance(architecture, str) else None
    if model is None:
        raise FormatError(
            f"{printable(str(architecture))} is none of the networks that there are here: "
            f"{', '.join(ARCHITECTURES)}."
        )
    if (mode := cfg.get("crop_mode", "center")) != "center":
        raise FormatError(f"pictures are cropped by {printable(str(mode))}, which is not known.")
    resize = Resize("crop", cfg.get("interpolation", "bicubic"), cfg.get("crop_pct", 0.875))
    preprocessing = Preprocessing(cfg.get("mean", ()), cfg.get("std", ()), resize)
    return model, image_shape(cfg.get("input_size")), preprocessing
