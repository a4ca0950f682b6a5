"""The options that change a setting of a recipe."""

import argparse

__all__ = ["OPTIMIZERS", "SCHEDULES", "TTA", "VIEWS", "add_recipe_options", "number"]

#: The names of `neocog.training.optimizers` and `.schedules`, which to import takes too long here.
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "muon")
SCHEDULES = ("constant", "step", "cosine", "linear", "one-cycle", "warm-up")
#: What `--tta` takes, and what it says.
VIEWS = ("none", "flip", "flip+shift")
TTA = "views of each image that the evaluation averages"
_CROP = "show parts of images, of this share of the area or more, such as 0.35; 0: all of it"


def number(text: str) -> float:
    """A whole number as such, so that what is made of it is one, too."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def add_recipe_options(p: argparse.ArgumentParser) -> None:
    """The settings of a recipe, each instead of the recipe's own."""
    g = p.add_argument_group("settings, in the place of the recipe's")
    add = g.add_argument
    add("--model", default=None, help="network by name, or my_net.py:make")
    add("--width", type=number, default=None, help="what its channels are multiplied by")
    add(
        "--init",
        dest="initialization",
        choices=("torch", "airbench"),
        default=None,
        help="first weights: PyTorch's, or whitening and identities",
    )
    add(
        "--normalize",
        choices=("model", "data"),
        default=None,
        help="pixels by the model's mean and deviation, or the data's",
    )
    add("--epochs", type=number, default=None, help="passes over the data, such as 5 or 9.5")
    add("--batch-size", type=int, default=None, help="images a batch")
    add("--accumulate", type=int, default=None, help="batches a step of the optimizer")
    add("--optimizer", choices=OPTIMIZERS, default=None, help="how weights move")
    add("--lr", type=float, default=None, help="learning rate")
    add("--momentum", type=float, default=None, help="of sgd, rmsprop and muon")
    add("--weight-decay", type=float, default=None, help="how much weights shrink")
    add(
        "--nesterov",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="momentum that looks ahead",
    )
    add("--schedule", choices=SCHEDULES, default=None, help="how the learning rate goes")
    add("--clip-norm", type=float, default=None, help="largest norm of the gradient; 0: any")
    add("--ema", type=float, default=None, help="decay of the weights' average; 0: no average")
    add("--label-smoothing", type=float, default=None, help="part of a label for all classes")
    add("--crop", type=float, default=None, metavar="LEAST", help=_CROP)
    add(
        "--rotate",
        type=float,
        default=None,
        metavar="DEGREES",
        help="most degrees that images are turned",
    )
    add(
        "--trivial-augment",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="one random change of each image, of TrivialAugment's",
    )
    add(
        "--flip",
        choices=("none", "random", "alternating"),
        default=None,
        help="show images mirrored, at random or in turn",
    )
    add("--translate", type=int, default=None, help="most pixels that images are shifted")
    add(
        "--border",
        choices=("reflect", "zero"),
        default=None,
        help="what images have beyond an edge",
    )
    add("--cutout", type=int, default=None, help="side of a square that is left out")
    add(
        "--jitter",
        type=float,
        nargs=3,
        metavar=("BRIGHTNESS", "CONTRAST", "SATURATION"),
        default=None,
        help="strengths of changes of color",
    )
    add("--mixup", type=float, default=None, help="α of mixtures of two images")
    add(
        "--balance",
        choices=("none", "sample", "weight"),
        default=None,
        help="have classes count alike: show each equally often, or weigh its losses",
    )
    add("--tta", choices=VIEWS, default=None, help=TTA)
