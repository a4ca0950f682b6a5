"""From a recipe and data to the network that is trained."""

from neocog.data.dataset import Data
from neocog.data.images import mixed
from neocog.models.named import is_new, make_model
from neocog.network import Network
from neocog.network_files import load
from neocog.settings.recipe import Recipe
from neocog.training.initialization import initialize, normalize

__all__ = ["make_network"]

# As many images as first weights are made of.
_LOOKED_AT = 5000


def make_network(recipe: Recipe, data: Data) -> Network:
    """The network of a recipe for these images and classes.

    It has its first weights unless they are PyTorch's, which `neocog.fit` gives it: then they
    and the order of images are those of one seed, as in a script. Where the recipe names a saved
    network, it has that one's weights and preprocessing.
    """
    if not is_new(recipe.model):
        return load(recipe.model)
    images = data.train.images
    height, width, channels = images.shape[1:]
    shape = (channels, height, width)
    network = make_model(recipe.model, len(data.classes), width=recipe.width, input_shape=shape)
    if recipe.normalize == "data" and len(images) and network.input_shape == shape:
        normalize(network, images)
    if recipe.initialization != "torch":
        few = mixed(data.train, _LOOKED_AT).images
        initialize(network, recipe.initialization, few, recipe.seed)
    return network
