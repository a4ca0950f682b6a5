"""Networks from the user's own Python files."""

import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neocog.errors import ArchitectureError, printable
from neocog.files import open_regular
from neocog.layers import Shape
from neocog.network import Network
from neocog.validation import file_path

__all__ = ["load_model_file", "split_python_file"]

# The path may contain colons, as after a drive's letter, and other names that end in .py.
_FILE_AND_FUNCTION = re.compile(r"(.*\.py)(?::([^:/\\]*))?", re.DOTALL)


def split_python_file(model: str) -> tuple[str, str] | None:
    """The path and the function of ``my_net.py`` or ``my_net.py:make``; None for anything else."""
    found = _FILE_AND_FUNCTION.fullmatch(model)
    return (found[1], "make" if found[2] is None else found[2]) if found else None


def load_model_file(
    path: str | Path,
    function: str = "make",
    classes: int = 10,
    *,
    input_shape: Shape | None = None,
) -> Network:
    """Run the Python file at `path` and return the network that its `function` makes.

    The function is called with the number of classes, and with `input_shape` if that is given and
    it has a parameter of this name::

        def make(classes, input_shape=(3, 32, 32)):
            return Network(input_shape=input_shape, …)

    This runs whatever the file contains, as ``python`` does: use only files that you trust. As
    there, files beside it can be imported.

    Raises:
        ArchitectureError: there is no such file or function, either fails (the message has the
            line), or the result is not a network with that number of outputs.
    """
    path = file_path("path", path, error=ArchitectureError)
    if path.suffix != ".py":
        raise ArchitectureError(f"{path}: this is no Python file: its name must end in .py.")
    try:
        open_regular(path).close()  # refuses a pipe, on which reading would block
    except FileNotFoundError:
        raise ArchitectureError(f"{path}: there is no such Python file.") from None
    except OSError as error:
        raise ArchitectureError(f"{path}: {error.strerror or error}.") from None
    with _beside(path):
        make = _function(_run(path), path, function)
        arguments = _arguments(make, path, function, classes, input_shape)
        try:
            network = make(**arguments)
        except (Exception, SystemExit) as error:
            raise _failed(path, f"{function}()", error) from error
    if not isinstance(network, Network):
        raise ArchitectureError(
            f"{path}: {function}() gave {type(network).__name__}, not a neocog.Network."
        )
    if network.output_shape != (classes,):
        raise ArchitectureError(
            f"{path}: {function}({classes}) gave a network that ends in the shape "
            f"{network.output_shape}, not ({classes},)."
        )
    return network


def _run(path: Path) -> dict[str, Any]:
    """The global names that the file defines."""
    name = f"_neocog_model_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ArchitectureError(f"{path}: this is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(path, "running it", error) from error
    return vars(module)


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Make files in the same folder importable, as ``python path`` does."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _function(names: dict[str, Any], path: Path, function: str) -> Callable[..., Any]:
    found = names.get(function)
    if found is None:
        own = [
            name
            for name, value in names.items()
            if inspect.isfunction(value)
            and value.__module__ == names["__name__"]
            and not name.startswith("_")
        ]
        hint = f" It has {', '.join(own)}." if own else " It has no function."
        raise ArchitectureError(f"{path}: there is no {function!r} in it.{hint}")
    if not callable(found):
        raise ArchitectureError(f"{path}: {function!r} is not a function.")
    made: Callable[..., Any] = found
    return made


def _arguments(
    make: Callable[..., Any], path: Path, function: str, classes: int, input_shape: Shape | None
) -> dict[str, Any]:
    try:
        parameters = dict(inspect.signature(make).parameters)
    except (TypeError, ValueError):  # such as for most of Python's own classes
        parameters = {}
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if "classes" not in parameters and not anything:
        raise ArchitectureError(
            f"{path}: {function}() must take the number of classes, as in 'def "
            f"{function}(classes):'."
        )
    arguments: dict[str, Any] = {"classes": classes}
    if input_shape is not None and ("input_shape" in parameters or anything):
        arguments["input_shape"] = tuple(input_shape)
    return arguments


def _failed(path: Path, what: str, error: BaseException) -> ArchitectureError:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path.resolve()
    ]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f" in line {lines[-1]}" if lines and lines[-1] is not None else ""
    return ArchitectureError(
        f"{path}: {what} failed{place}: {type(error).__name__}: {printable(str(error), 1000)}"
    )
