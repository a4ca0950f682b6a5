"""`Recipe`: the name of a network and how to train it, as plain data in TOML.

The keys of a recipe's file are the settings. Settings that the file leaves out have their defaults;
unknown keys are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from neocog.errors import FormatError, NeocogError, did_you_mean
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.setting import setting
from neocog.settings.toml import parse_toml, read_toml
from neocog.settings.training import TrainingSettings
from neocog.validation import file_path, shown

__all__ = [
    "DEPTHS",
    "INITIALIZATIONS",
    "NORMALIZATIONS",
    "OF_RECIPES",
    "RECIPES",
    "VIEWS",
    "VIEW_SETS",
    "Recipe",
]

#: The recipes that come with neocog.
RECIPES = ("note", "standard", "minute", "best")
#: Ways to initialize weights; see `neocog.training.initialization`.
INITIALIZATIONS = ("torch", "airbench")
NORMALIZATIONS = ("model", "data")
#: Test-time augmentations: the views of an image whose outputs are averaged.
VIEWS = ("flip", "flip+shift")
#: What learns of a network that was trained on other pictures; see `neocog.fine_tune`.
DEPTHS = ("auto", "head", "blocks", "all")
#: Sets of views of the pictures that it learns from; see `neocog.transfer.views`. Which of them
#: suit depends on the pictures: letters have no mirror images, and what is photographed from above
#: has no up and down.
VIEW_SETS = {
    "whole": ("whole",),
    "mirror": ("whole", "mirror"),
    "flips": ("whole", "mirror", "flip", "turn"),
    "crops": ("whole", "mirror", "crop1", "crop2", "crop3", "crop4", "crop5"),
}

_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0}


def _minutes(text: str) -> float:
    unit = _MINUTES.get(text[-1:])
    return float(text[:-1]) * unit if unit else float(text)


@dataclass(frozen=True)
class Recipe(TrainingSettings):
    """Which network is trained, and how; `neocog.fit` takes a recipe as its settings."""

    name: str = setting("", help="name of the recipe")
    about: str = setting("", help="purpose of the recipe, in one line")
    model: str = setting(
        "simple-cnn",
        metavar="NAME",
        help="network by name, my_net.py:make, or a saved one to train further",
    )
    width: float = setting(
        1.0,
        above=0,
        high=1000,
        wanted="above 0 and at most 1000",
        help="factor for the network's numbers of channels",
    )
    initialization: str = setting(
        "torch",
        choices=INITIALIZATIONS,
        option="--init",
        help="initial weights: PyTorch's, or airbench's whitening and identities",
    )
    normalize: str = setting(
        "model",
        choices=NORMALIZATIONS,
        help="normalize pixels by the model's own mean and deviation, or by those of the data",
    )
    tta: str | None = setting(
        None, choices=VIEWS, help="test-time augmentation: views of each image to average"
    )
    transfer: str | None = setting(
        None,
        choices=DEPTHS,
        help="start from a network that has learned other pictures (default for photographs: auto)",
    )
    pretrained: str | None = setting(
        None,
        metavar="NAME|FILE|hf:REPO",
        help="weights for --transfer: a network's package, a .pth, a .safetensors, hf:owner/name",
    )
    transfer_views: str | None = setting(
        None,
        choices=tuple(VIEW_SETS),
        option="--views",
        help="with --transfer, what each picture is also seen in (default: mirror for colors)",
    )
    transfer_minutes: float = setting(
        2.0,
        above=0,
        option="--time",
        text=_minutes,
        metavar="TIME",
        wanted="a number of minutes above 0",
        help="with --transfer, what training may take on two cores, such as 90s, 2m or 1h",
    )
    calibrate: bool = setting(False, help="fit the temperature on the validation images at the end")

    @classmethod
    def load(cls, name_or_path: str) -> Self:
        """Load the recipe with this name, or from a ``.toml`` file.

        Raises:
            FormatError: there is no such recipe, or the file is damaged.
            NeocogError: a setting that is unknown or has a bad value.
        """
        name_or_path = str(file_path("The recipe's name or path", name_or_path, error=FormatError))
        if name_or_path in RECIPES:
            content = (files(__package__) / "recipes" / f"{name_or_path}.toml").read_bytes()
            return cls.from_dict(parse_toml(content), name_or_path)
        path = Path(name_or_path)
        if path.suffix != ".toml":
            hint = did_you_mean(name_or_path, RECIPES)
            raise FormatError(
                f"No recipe is called {shown(name_or_path)}.{hint} Known: {', '.join(RECIPES)}, or "
                "a .toml file of your own."
            )
        description = read_toml(path, "recipe")
        try:
            return cls.from_dict(description, path.stem)
        except NeocogError as error:
            raise NeocogError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], name: str = "") -> Self:
        """The recipe from plain data, as `to_dict` gives it."""
        if isinstance(description, Mapping):
            description = {"name": name, **description}
        return from_plain(cls, description, "A recipe")

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain data, for JSON and run folders."""
        return to_plain(self)


#: Settings that a recipe has besides those of a training by steps.
OF_RECIPES = tuple(
    one.name
    for one in fields(Recipe)
    if one.name not in {other.name for other in fields(TrainingSettings)}
)
