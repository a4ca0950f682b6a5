"""A recipe for pictures of which nobody has said how to train on them.

What is chosen follows from how many pictures there are and what the network costs for each, so
that a training takes about a minute or two on two cores, whatever the data:

    epochs = work / (images · multiply-adds of an image), from 4 to 60

The settings are those of the recipe "standard", whose rate goes with the size of the batch.
"""

from dataclasses import replace

from neocog.layers import BatchNorm2d, GroupNorm, LayerNorm2d
from neocog.network import Network
from neocog.settings.augmentation import Augmentation
from neocog.settings.recipe import Recipe
from neocog.summary import cost

__all__ = ["MODEL", "choose_recipe"]

#: The network, where nobody has said which: small, for any size of images, and one that learns
#: fast, as it has batch normalization.
MODEL = "resnet8"

# Multiply-adds of a training on their way forward: about 80 s on two cores of a small server.
_WORK = 3e12
_LEAST_EPOCHS, _MOST_EPOCHS = 4, 60
# An epoch has at least so many batches, as far as they have images enough to be normalized.
_BATCHES = 8
_LEAST_BATCH, _MOST_BATCH = 8, 64
# Rates for a batch of 128. Without normalization large ones diverge.
_RATE, _RATE_WITHOUT_NORM = 0.1, 0.02
# What the rate is multiplied by for a network that has learned already.
_FINE_TUNING = 0.1
_NORMALIZING = (BatchNorm2d, GroupNorm, LayerNorm2d)
# Images are shifted by this part of their side.
_SHIFT = 1 / 16


def choose_recipe(network: Network, images: int, model: str = MODEL, width: float = 1.0) -> Recipe:
    """The settings for a network and so many training images.

    Colors are of photographs, which look the same from left to right; what is gray may be letters
    or digits, which do not, and so it is not mirrored.

    Args:
        network: of the images' shape.
        images: to train on.
        model: the network, as a recipe names it.
        width: what its channels are multiplied by.
    """
    channels, height, width_ = network.input_shape
    batch = _MOST_BATCH
    while batch > _LEAST_BATCH and batch * _BATCHES > images:
        batch //= 2
    work = max(1, cost(network).multiply_adds) * max(1, images)
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(_WORK / work)))
    normalized = any(isinstance(layer, _NORMALIZING) for layer in network.leaves.values())
    rate = (_RATE if normalized else _RATE_WITHOUT_NORM) * batch / 128
    if network.initialized:
        rate *= _FINE_TUNING
    base = Recipe.load("standard")
    return replace(
        base,
        name="chosen",
        about="What was chosen for the pictures.",
        model=model,
        width=width,
        epochs=epochs,
        batch_size=batch,
        optimizer=replace(base.optimizer, lr=rate),
        augmentation=Augmentation(
            flip="random" if channels == 3 else None,
            translate=max(1, round(_SHIFT * min(height, width_))),
        ),
    )
