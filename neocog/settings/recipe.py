"""`Recipe`: a network by its name and how to train it; plain data in TOML."""

from dataclasses import dataclass

from neocog.settings.setting import setting
from neocog.settings.training import TrainingSettings

__all__ = ["INITIALIZATIONS", "NORMALIZATIONS", "VIEWS", "Recipe"]

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
