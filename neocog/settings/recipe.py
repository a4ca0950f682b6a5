"""`Recipe`: a network by its name and how to train it; plain data in TOML.

A recipe's file has the settings as its keys. What a file leaves out has its default, and what is no
setting is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from neocog.errors import FormatError, NeocogError, did_you_mean
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.setting import setting
from neocog.settings.toml import parse_toml, read_toml
from neocog.settings.training import TrainingSettings
from neocog.validation import file_path, shown

__all__ = ["INITIALIZATIONS", "NORMALIZATIONS", "RECIPES", "VIEWS", "Recipe"]

#: The recipes that come with neocog.
RECIPES = ("note", "standard", "minute", "best")
#: First weights; `neocog.training.initialization` has what they are.
INITIALIZATIONS = ("torch", "airbench")
NORMALIZATIONS = ("model", "data")
#: Views of each image that an evaluation averages.
VIEWS = ("flip", "flip+shift")


@dataclass(frozen=True)
class Recipe(TrainingSettings):
    """How a network is trained, and which one; `neocog.fit` takes it as its settings."""

    name: str = setting("", help="of the recipe")
    about: str = setting("", help="what it is for, in a line")
    model: str = setting("simple-cnn", metavar="NAME", help="network by name, or my_net.py:make")
    width: float = setting(
        1.0,
        above=0,
        high=1000,
        wanted="above 0 and at most 1000",
        help="what its channels are multiplied by",
    )
    initialization: str = setting(
        "torch",
        choices=INITIALIZATIONS,
        option="--init",
        help="first weights: PyTorch's, or whitening and identities",
    )
    normalize: str = setting(
        "model",
        choices=NORMALIZATIONS,
        help="pixels by the model's mean and deviation, or the data's",
    )
    tta: str | None = setting(
        None, choices=VIEWS, help="views of each image that the evaluation averages"
    )
    calibrate: bool = setting(
        False, help="fit the temperature of the probabilities on the validation images in the end"
    )

    @classmethod
    def load(cls, name_or_path: str) -> Self:
        """The recipe called so, or that of a ``.toml`` file.

        Raises:
            FormatError: there is none, or the file is damaged.
            NeocogError: settings that cannot be.
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
        """The recipe of plain data, as `to_dict` gives it."""
        if isinstance(description, Mapping):
            description = {"name": name, **description}
        return from_plain(cls, description, "A recipe")

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain data, for JSON and run folders."""
        return to_plain(self)
