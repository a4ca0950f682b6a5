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
from neocog.models.convnext import convnext_atto
from neocog.models.densenet import densenet121
from neocog.models.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from neocog.models.lenet import lenet5
from neocog.models.mobilenet_v2 import mobilenet_v2
from neocog.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from neocog.models.python_file import load_model_file, split_python_file
from neocog.models.resnet import resnet8, resnet18, resnet20
from neocog.models.resnet_224 import resnet18_224, resnet34_224, resnet50_224
from neocog.models.simple import simple_cnn
from neocog.models.squeezenet import squeezenet1_1
from neocog.models.vgg import vgg_small
from neocog.models.vgg11 import vgg11_bn

__all__ = [
    "MODELS",
    "PHOTOGRAPHS",
    "REACHED",
    "SMALL_IMAGES",
    "airbench",
    "convnext_atto",
    "densenet121",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "lenet5",
    "load_model_file",
    "make",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "name_of",
    "recognize",
    "resnet8",
    "resnet18",
    "resnet18_224",
    "resnet20",
    "resnet34_224",
    "resnet50_224",
    "simple_cnn",
    "split_python_file",
    "squeezenet1_1",
    "vgg11_bn",
    "vgg_small",
]
