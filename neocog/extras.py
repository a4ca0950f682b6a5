"""Modules that need a package which is not always installed: an extra of neocog's."""

from importlib import import_module
from types import ModuleType

from neocog.errors import NeocogError, printable

__all__ = ["module_of_extra"]


def module_of_extra(module: str, what: str, packages: str, extra: str) -> ModuleType:
    """Import a module.

    Args:
        module: its name.
        what: what is asked for, for the message, as in "to_torch()".
        packages: that it needs, in words, as in "PyTorch".
        extra: of neocog's, which installs them.

    Raises:
        NeocogError: a package is missing, or cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise NeocogError(
            f"{what} needs {packages}, which cannot be imported "
            f"({printable(str(error))}): pip install 'neocog[{extra}]'"
        ) from error
