"""Layers that contain layers, and how they expand into a graph."""

from collections.abc import Mapping
from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape
from neocog.layers.graph import Container, Expansion, output_shape_of
from neocog.layers.merging import Add
from neocog.validation import shown

__all__ = ["Residual", "Sequential"]


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Container):
    """Layers in a chain, in the order in which they are named: ``Sequential(conv=…, relu=…)``."""

    layers: tuple[tuple[str, Layer], ...]

    def __init__(self, /, **layers: Layer) -> None:
        object.__setattr__(self, "layers", tuple(layers.items()))
        if not layers:
            raise ArchitectureError("Sequential: it needs at least one layer.")
        _check_children(self)

    def children(self) -> Mapping[str, Layer]:
        """Its layers by name."""
        return dict(self.layers)

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape of its last layer."""
        return output_shape_of(self, shape)

    def expand(self, into: Expansion, prefix: str, source: int) -> int:
        """Add its layers, one after another."""
        for name, layer in self.layers:
            source = into.add(f"{prefix}{name}", layer, (source,))
        return source

    def __repr__(self) -> str:
        return f"Sequential({', '.join(f'{name}={layer!r}' for name, layer in self.layers)})"


@dataclass(frozen=True)
class Residual(Container):
    """y = body(x) + shortcut(x), or body(x) + x without a shortcut (K. He et al., 2015)."""

    body: Layer
    shortcut: Layer | None = None

    def __post_init__(self) -> None:
        _check_children(self)

    def children(self) -> Mapping[str, Layer]:
        """``body``, and ``shortcut`` if there is one."""
        both = {"body": self.body}
        return both | {"shortcut": self.shortcut} if self.shortcut is not None else both

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape of the body, which must be that of the shortcut, too."""
        return output_shape_of(self, shape)

    def expand(self, into: Expansion, prefix: str, source: int) -> int:
        """Add its body, its shortcut, and their sum, which has the block's own name."""
        through = into.add(f"{prefix}body", self.body, (source,))
        around = source
        if self.shortcut is not None:
            around = into.add(f"{prefix}shortcut", self.shortcut, (source,))
        if into.shape(through) != into.shape(around):
            where = f"{prefix.removesuffix('.')}: " if prefix else ""
            what = "the shortcut gives" if self.shortcut is not None else "its input is"
            raise ArchitectureError(
                f"{where}Residual: the body gives {into.shape(through)} but {what} "
                f"{into.shape(around)}; both must be the same."
            )
        return into.compute(prefix.removesuffix("."), Add(), (through, around))


def _check_children(layer: Layer) -> None:
    for name, child in layer.children().items():
        if not isinstance(child, Layer):
            where = f"{type(layer).__name__}: {name}"
            raise ArchitectureError(f"{where} (={shown(child)}) is not a layer.")
