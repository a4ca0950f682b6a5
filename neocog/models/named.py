"""Makes a network from its name, or from a function in a Python file."""

from neocog.errors import NeocogError
from neocog.files import exists
from neocog.models.catalog import MODELS, make
from neocog.models.python_file import load_model_file, split_python_file
from neocog.network import Network

__all__ = ["is_file", "is_new", "make_model"]


def is_file(model: str) -> bool:
    """Whether this names a Python file, possibly with a function, and not a built-in network."""
    return split_python_file(model) is not None


def is_new(model: str) -> bool:
    """Whether this names a network that has no weights yet, and not a saved one."""
    return is_file(model) or model in MODELS or not (exists(model) or "." in model or "/" in model)


def make_model(
    model: str,
    classes: int = 10,
    *,
    width: float = 1.0,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """A built-in network, or one from a Python file: ``my_net.py`` or ``my_net.py:make``."""
    file = split_python_file(model)
    if file is None:
        return make(model, classes, width=width, input_shape=input_shape)
    if width != 1:
        raise NeocogError(f"width (={width}) is for models by name; {model} has its own.")
    path, function = file
    return load_model_file(path, function, classes, input_shape=input_shape)
