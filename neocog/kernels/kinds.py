"""All kinds of machine code that neocog can ever ask for, a few dozen.

Every module with kernels has a function ``kinds()`` that yields each kernel with one small spec of
every kind (`compiler.spec`). What Python itself calls, such as the driver, is listed too.
"""

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import neocog.kernels
from neocog.kernels.compiler.jit import Kernel, PythonFunction, cache_entry, python_functions
from neocog.kernels.compiler.kernel_cache import MachineCode
from neocog.kernels.compiler.spec import kind_of

__all__ = ["KernelKind", "all_kinds"]


@dataclass(frozen=True)
class KernelKind:
    """A kernel for one kind of specs, or a function that Python calls.

    Attributes:
        family: the folder of its module in `neocog.kernels`.
        code: what is compiled.
        spec: one of the kind; None for a function that Python calls.
    """

    family: str
    code: Kernel | PythonFunction
    spec: Any

    @property
    def kernel(self) -> str:
        """The kernel's name."""
        code = self.code
        return str((code if isinstance(code, Kernel) else code.dispatcher).__name__)

    @property
    def constants(self) -> str:
        """What the machine code is made for, as in ``vectors=2, places=8``."""
        return "" if self.spec is None else str(kind_of(self.spec))

    @property
    def name(self) -> str:
        """The kernel's name and its constants."""
        return ", ".join(filter(None, (self.kernel, self.constants)))

    def compiled(self) -> MachineCode | None:
        """Its machine code on the disk, if there is any."""
        return cache_entry(self.code, self.spec)


def all_kinds() -> list[KernelKind]:
    """Every kind once, by families."""
    found: dict[Any, KernelKind] = {}
    for module in pkgutil.walk_packages(neocog.kernels.__path__, "neocog.kernels."):
        kinds = getattr(import_module(module.name), "kinds", None)
        if kinds is not None and kinds.__module__ == module.name:
            for kernel, spec in kinds():
                key = kernel, kind_of(spec)
                found.setdefault(key, KernelKind(_family(kernel.__module__), kernel, spec))
    for function, declared in python_functions.items():
        found[function] = KernelKind(_family(function.__module__), declared, None)
    return sorted(found.values(), key=lambda kind: (kind.family, kind.kernel))


def _family(module: str) -> str:
    return module.removeprefix("neocog.kernels.").partition(".")[0]
