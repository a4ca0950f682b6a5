"""Prints what was chosen for training on pictures, one line each, with the options to change it."""

from neocog.cli.terminal import counted, say
from neocog.data.dataset import Data
from neocog.data.finding import Found
from neocog.data.sources.base import NUMBER
from neocog.errors import printable
from neocog.network import Network
from neocog.settings.augmentation import Augmentation
from neocog.settings.recipe import Recipe
from neocog.summary import cost
from neocog.training.balance import is_uneven

__all__ = ["say_choices", "say_held_out", "say_pictures"]


def say_pictures(found: Found) -> None:
    """Print which pictures there are, and the size they are scaled to."""
    channels, height, width = found.shape
    sizes = sorted(set(found.survey.sizes), key=lambda size: size[0] * size[1])
    of = " × ".join(map(str, sizes[0]))
    if len(sizes) > 1:
        of += " to " + " × ".join(map(str, sizes[-1]))
    one = found.survey.one_size == (width, height)
    how = "as they are" if one else f"{found.resize.mode}, {found.resize.interpolation}"
    count = sum(map(len, found.listing.parts.values()))
    say(
        f"Pictures: {count:,} of {of} {_labeled(found)}, made "
        f"{width} × {height} {'gray' if channels == 1 else 'in color'} ({how}) "
        "[--size, --channels, --resize]"
    )


def _labeled(found: Found) -> str:
    """What the pictures have: classes, labels or a number."""
    names = found.listing.classes
    if found.options.labels == NUMBER:
        return f"with a number each ({printable(names[0], 40)})"
    if found.has_targets:
        return f"with {counted(len(names), 'label')}"
    return f"in {len(names):,} classes"


def say_held_out(data: Data, found: Found) -> None:
    """Print which images are held out, and whether the classes are uneven."""
    part, images = data.held_out
    if len(images):
        how = "" if found.is_split else f" ({100 * found.options.validation:g} %) [--validation]"
        say(f"Evaluated on: {counted(len(images), f'{part} image')}{how}")
    counts = found.class_counts
    if counts and is_uneven(counts):
        names = found.listing.classes
        there = [k for k, count in enumerate(counts) if count]
        most, least = (pick(there, key=counts.__getitem__) for pick in (max, min))
        say(
            f"Classes: {printable(names[most], 40)} has {counts[most]:,} pictures, "
            f"{printable(names[least], 40)} {counts[least]:,}; to balance them: "
            "[--balance sample, --balance weight]"
        )


def say_choices(recipe: Recipe, network: Network) -> None:
    """Print how the network is trained."""
    parameters = cost(network).parameters
    say(f"Network: {printable(recipe.model)}, {parameters:,} parameters [--model, --width]")
    many = "" if recipe.epochs == 1 else "s"
    say(
        f"Training: {recipe.epochs:g} epoch{many} in batches of {recipe.batch_size}, rate "
        f"{recipe.optimizer.lr:g} [--epochs, --batch-size, --lr, --recipe]"
    )
    say(f"Augmentation: {_variation(recipe)} [--flip, --translate, --crop, --rotate]")


def _variation(recipe: Recipe) -> str:
    varied = recipe.augmentation or Augmentation()
    found = []
    if varied.crop is not None:
        least, most = (f"{100 * share:g}" for share in varied.crop)
        found.append(f"cropped to {least} to {most} % of their area")
    if varied.translate:
        found.append(f"shifted by up to {counted(varied.translate, 'pixel')}")
    if varied.rotate:
        found.append(f"turned by up to {varied.rotate:g}°")
    if varied.flip:
        found.append("mirrored at random" if varied.flip == "random" else "mirrored in turn")
    if varied.trivial_augment:
        found.append("changed in one random way")
    if any(varied.jitter):
        found.append("changed in color")
    if varied.cutout:
        found.append(f"with a square of {counted(varied.cutout, 'pixel')} cut out")
    if varied.mixup:
        found.append("mixed in pairs")
    return ", ".join(found) or "none"
