"""A recipe: all settings of a training but the data, the seed and the machine; plain data on disk.

A recipe's file is TOML, with the fields of `Recipe` as its keys. What a file leaves out has its
default, and what no field is called is refused.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from neocog import models
from neocog.data.dataset import Data
from neocog.data.images import mixed
from neocog.errors import FormatError, NeocogError, did_you_mean, printable
from neocog.evaluation import check_views
from neocog.files import read_bytes
from neocog.models import load_model_file, split_python_file
from neocog.network import Network
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import Averaging
from neocog.training.initialization import INITIALIZATIONS, initialize, normalize
from neocog.training.optimizers import SGD, Optimizer
from neocog.training.schedules import Schedule
from neocog.training.settings import (
    check_balance,
    check_freezing,
    check_parts,
    check_settings,
)
from neocog.validation import choice, file_path, instance, real, refuse, shown

__all__ = ["RECIPES", "Recipe", "is_file", "make_model"]

#: The recipes that come with neocog.
RECIPES = ("note", "standard", "minute", "best")

NORMALIZATIONS = ("model", "data")
# A recipe with every setting has 1.5 kB. Python's reader of TOML takes a time that grows with the
# square of the parts of a dotted key, so these are few, too.
_MOST_BYTES = 65_536
_MOST_DOTS = 100
# As many images as first weights are made of.
_LOOKED_AT = 5000
_WIDTH = "above 0 and at most 1000"


def is_file(model: str) -> bool:
    """Whether it names a Python file, and perhaps a function in it, rather than a known model."""
    return split_python_file(model) is not None


def make_model(
    model: str,
    classes: int = 10,
    *,
    width: float = 1.0,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """The network called `model`, or that of a Python file: ``my_net.py`` or ``my_net.py:make``."""
    file = split_python_file(model)
    if file is None:
        return models.make(model, classes, width=width, input_shape=input_shape)
    if width != 1:
        raise NeocogError(f"width (={width}) is for models by name; {model} has its own.")
    path, function = file
    return load_model_file(path, function, classes, input_shape=input_shape)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; what `neocog.fit` takes, and the network itself.

    Args:
        name: of the recipe.
        about: what it is for, in a line.
        model: a network's name, or a Python file: ``my_net.py`` or ``my_net.py:make``.
        width: what the network's channels are multiplied by.
        initialization: "torch" or "airbench"; see `neocog.training.initialization`.
        normalize: "model" for the network's own preprocessing, "data" for the mean and deviation of
            the training images' channels.
        epochs, batch_size, optimizer, schedule, averaging, augmentation, label_smoothing,
        clip_norm, accumulate, freeze_after, balance: as for `neocog.fit`.
        tta: the views whose scores are averaged in the evaluation, as for `neocog.evaluate`.
    """

    name: str = ""
    about: str = ""
    model: str = "simple-cnn"
    width: float = 1.0
    initialization: str = "torch"
    normalize: str = "model"
    epochs: float = 5
    batch_size: int = 4
    optimizer: Optimizer = field(default_factory=lambda: SGD(0.001, momentum=0.9))
    schedule: Schedule | None = None
    averaging: Averaging | None = None
    augmentation: Augmentation | None = None
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    freeze_after: Mapping[str, int] = field(default_factory=dict)
    balance: str | None = None
    tta: str | None = None

    def __post_init__(self) -> None:
        values: dict[str, Any] = {
            "initialization": choice("initialization", self.initialization, INITIALIZATIONS),
            "normalize": choice("normalize", self.normalize, NORMALIZATIONS),
            "width": real("width", self.width, above=0, most=1000, wanted=_WIDTH),
            "freeze_after": check_freezing(self.freeze_after),
        }
        for name in ("name", "about", "model"):
            if not isinstance(getattr(self, name), str):
                raise refuse(name, getattr(self, name), "a text")
        check_views(self.tta)
        check_balance(self.balance)
        check_parts(self.optimizer, self.schedule, self.averaging, self.augmentation)
        numbers = check_settings(
            self.epochs,
            self.batch_size,
            None,
            1,
            label_smoothing=self.label_smoothing,
            clip_norm=self.clip_norm,
            accumulate=self.accumulate,
        )
        known = {f.name for f in fields(self)}
        values |= {key: value for key, value in numbers._asdict().items() if key in known}
        if self.optimizer is None:
            values["optimizer"] = SGD(0.001, momentum=0.9)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def load(cls, name_or_path: str) -> "Recipe":
        """The recipe called so, or that of a ``.toml`` file.

        Raises:
            FormatError: there is none, or the file is damaged.
            NeocogError: settings that cannot be.
        """
        name_or_path = str(file_path("The recipe's name or path", name_or_path, error=FormatError))
        if name_or_path in RECIPES:
            text = (files(__package__) / f"{name_or_path}.toml").read_text(encoding="utf-8")
            return cls.from_dict(tomllib.loads(text), name_or_path)
        path = Path(name_or_path)
        if path.suffix != ".toml":
            hint = did_you_mean(name_or_path, RECIPES)
            raise FormatError(
                f"No recipe is called {shown(name_or_path)}.{hint} Known: {', '.join(RECIPES)}, or "
                "a .toml file of your own."
            )
        try:
            description = _parse(read_bytes(path, _MOST_BYTES))
        except OSError as error:
            raise FormatError(f"{path}: {error.strerror or error}.") from error
        except (ValueError, RecursionError) as error:
            why = printable(str(error), 500)
            raise FormatError(f"{path} is no recipe: {why.removesuffix('.')}.") from error
        try:
            return cls.from_dict(description, path.stem)
        except NeocogError as error:
            raise NeocogError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], name: str = "") -> "Recipe":
        """The recipe of plain data, as `to_dict` gives it."""
        instance("The recipe", description, dict, "settings by name")
        known = [f.name for f in fields(cls)]
        if unknown := [key for key in description if key not in known]:
            raise NeocogError(
                f"A recipe has no setting {shown(unknown[0])}. Known: {', '.join(known)}."
            )
        values = {"name": name, **description}
        for key, kind in (
            ("optimizer", Optimizer),
            ("schedule", Schedule),
            ("averaging", Averaging),
            ("augmentation", Augmentation),
        ):
            if values.get(key) is not None:
                values[key] = kind.from_dict(values[key])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain data, for JSON and run folders."""
        parts = ("optimizer", "schedule", "averaging", "augmentation")
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found |= {key: found[key].to_dict() for key in parts if found[key] is not None}
        return {**found, "freeze_after": dict(self.freeze_after)}

    def fit_settings(self) -> dict[str, Any]:
        """What `neocog.fit` is to be called with, beside the network, data, seed and threads."""
        names = (
            *("epochs", "batch_size", "optimizer", "schedule", "averaging", "augmentation"),
            *("label_smoothing", "clip_norm", "accumulate", "balance"),
        )
        return {
            **{name: getattr(self, name) for name in names},
            "freeze_after": dict(self.freeze_after) or None,
        }

    def network(self, data: Data, seed: int = 0) -> Network:
        """The network for these images and classes.

        It has its first weights unless they are PyTorch's, which `neocog.fit` gives it: then they
        and the order of images are those of one seed, as in a script.
        """
        images = data.train.images
        height, width, channels = images.shape[1:]
        shape = (channels, height, width)
        network = make_model(self.model, len(data.classes), width=self.width, input_shape=shape)
        if self.normalize == "data" and len(images) and network.input_shape == shape:
            normalize(network, images)
        if self.initialization != "torch":
            initialize(network, self.initialization, mixed(data.train, _LOOKED_AT).images, seed)
        return network


def _parse(content: bytes) -> dict[str, Any]:
    """What TOML says; raises `ValueError` or `RecursionError` if it is none."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16; save it as UTF-8")
    text = content.decode("utf-8-sig")  # some editors on Windows begin a file with a mark
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)
