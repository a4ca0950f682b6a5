"""Built-in networks, at any width and for any image size, and networks from Python files."""

from neocog.models.airbench import airbench
from neocog.models.catalog import (
    MODELS,
    PHOTOGRAPHS,
    REACHED,
    SMALL_IMAGES,
    make,
    name_of,
    recognize,
)
from neocog.models.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from neocog.models.lenet import lenet5
from neocog.models.python_file import load_model_file, split_python_file
from neocog.models.resnet import resnet8, resnet18, resnet20
from neocog.models.simple import simple_cnn
from neocog.models.vgg import vgg_small

__all__ = [
    "MODELS",
    "PHOTOGRAPHS",
    "REACHED",
    "SMALL_IMAGES",
    "airbench",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "lenet5",
    "load_model_file",
    "make",
    "name_of",
    "recognize",
    "resnet8",
    "resnet18",
    "resnet20",
    "simple_cnn",
    "split_python_file",
    "vgg_small",
]
