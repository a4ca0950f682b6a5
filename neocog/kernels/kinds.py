"""All kinds of machine code that neocog can ever ask for, a few dozen.

Every module with kernels has a function ``kinds()`` that yields each kernel with one small spec of
every kind (`compiler.spec`). Functions that Python calls, such as the driver, have no spec.
"""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import neocog.kernels
from neocog.kernels.compiler.jit import Compilable, cache_entry
from neocog.kernels.compiler.kernel_cache import MachineCode
from neocog.kernels.compiler.spec import Kind, kind_of

__all__ = ["KernelKind", "all_kinds", "constants_of"]


@dataclass(frozen=True)
class KernelKind:
    """A kernel for one kind of specs, or a function that Python calls.

    Attributes:
        family: the folder of its module in `neocog.kernels`.
        code: what is compiled.
        spec: one of the kind; None for a function that Python calls.
        name: the kernel's name, and the constants in which its kinds differ, as in
            ``conv2d_forward, vectors=2, places=8``.
    """

    family: str
    code: Compilable
    spec: Any
    name: str

    @property
    def kernel(self) -> str:
        """The kernel's name."""
        return str(self.code.__name__)

    @property
    def difference(self) -> str:
        """The constants in which the kernel's kinds differ; empty where all of these are false."""
        return self.name.partition(", ")[2]

    @property
    def constants(self) -> list[str]:
        """All that the machine code is made for, as in ``["vectors=2", "places=8"]``."""
        return constants_of(self.spec)

    def compiled(self) -> MachineCode | None:
        """Its machine code on the disk, if there is any."""
        return cache_entry(self.code, self.spec)


def all_kinds() -> list[KernelKind]:
    """Every kind once, by families."""
    found: dict[Compilable, dict[Any, Any]] = {}
    for module in pkgutil.walk_packages(neocog.kernels.__path__, "neocog.kernels."):
        kinds = getattr(import_module(module.name), "kinds", None)
        if kinds is not None and kinds.__module__ == module.name:
            for kernel, spec in kinds():
                found.setdefault(kernel, {}).setdefault(kind_of(spec), spec)
    listed = [
        KernelKind(_family(kernel.__module__), kernel, spec, name)
        for kernel, specs in found.items()
        for spec, name in _named(kernel, list(specs.values()))
    ]
    return sorted(listed, key=lambda kind: (kind.family, kind.kernel))


def constants_of(spec: Any) -> list[str]:
    """The constants that machine code is made for, by name."""
    if spec is None:
        return []
    kind = kind_of(spec)
    return kind.named if isinstance(kind, Kind) else [str(kind)]


def _named(kernel: Compilable, specs: list[Any]) -> Iterator[tuple[Any, str]]:
    """Each spec with the kernel's name and what the others have not in common with it."""
    all_constants = [constants_of(spec) for spec in specs]
    common = set.intersection(*map(set, all_constants))
    for spec, constants in zip(specs, all_constants, strict=True):
        yield spec, ", ".join([kernel.__name__, *(one for one in constants if one not in common)])


def _family(module: str) -> str:
    return module.removeprefix("neocog.kernels.").partition(".")[0]
