"""A process that helps another one to compile; see `engine.compilation`.

It imports what kernels need and no more, because it is waited for.
"""

import pickle
import sys
from importlib import import_module

from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.jit import compile_unclaimed

__all__ = ["help_compiling"]


def help_compiling() -> None:
    """Compile what the parent process has written to the standard input."""
    # Only `engine.compilation` writes this input.
    folder, named = pickle.load(sys.stdin.buffer)  # noqa: S301
    if kernel_cache.cache_folder() != folder:
        sys.exit("The sources of neocog's kernels were changed, or another Numba was found.")
    for module, name, spec in named:
        compile_unclaimed(getattr(import_module(module), name), spec)
