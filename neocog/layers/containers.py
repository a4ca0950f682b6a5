"""Layers made of layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape
from neocog.validation import shown

__all__ = ["Residual", "Sequential", "all_shapes", "leaves", "shapes_in_a_row"]


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Layer):
    """Layers that feed each other in the order they are named: ``Sequential(conv=…, relu=…)``."""

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
        """What its last layer gives."""
        return list(shapes_in_a_row(self.children(), shape).values())[-1]

    def __repr__(self) -> str:
        return f"Sequential({', '.join(f'{name}={layer!r}' for name, layer in self.layers)})"


@dataclass(frozen=True)
class Residual(Layer):
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
        """What the body gives, which the shortcut must give too."""
        shapes = {
            name: shapes_in_a_row({name: layer}, shape)[name]
            for name, layer in self.children().items()
        }
        through, around = shapes["body"], shapes.get("shortcut", shape)
        if through != around:
            what = "the shortcut gives" if self.shortcut is not None else "its input is"
            raise ArchitectureError(
                f"Residual: the body gives {through} but {what} {around}; both must be the same."
            )
        return through


def _check_children(layer: Layer) -> None:
    for name, child in layer.children().items():
        if not isinstance(child, Layer):
            where = f"{type(layer).__name__}: {name}"
            raise ArchitectureError(f"{where} (={shown(child)}) is not a layer.")


def shapes_in_a_row(layers: Mapping[str, Layer], shape: Shape) -> dict[str, Shape]:
    """The output shape of each of some layers in a row, by name.

    Raises:
        ArchitectureError: beginning with the full name of the layer whose input does not fit.
    """
    shapes: dict[str, Shape] = {}
    for name, layer in layers.items():
        try:
            shape = shapes[name] = layer.output_shape(shape)
        except ArchitectureError as error:
            # What a layer inside this one says begins with that layer's name.
            inner = str(error).partition(":")[0].partition(".")[0] in layer.children()
            raise ArchitectureError(f"{name}{'.' if inner else ': '}{error}") from None
    return shapes


def leaves(layers: Mapping[str, Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers without layers of their own, in order, with names like ``block1.body.conv``."""
    for name, layer in layers.items():
        children = layer.children()
        if children:
            yield from leaves(children, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def all_shapes(layers: Mapping[str, Layer], shape: Shape, prefix: str = "") -> dict[str, Shape]:
    """The output shape of each layer and of each layer within it, by full name.

    Raises:
        ArchitectureError: if an input does not fit, or if two layers have the same full name.
    """
    found: dict[str, Shape] = {}
    for name, output in shapes_in_a_row(layers, shape).items():
        layer = layers[name]
        rows = [layer.children()]
        if isinstance(layer, Residual):  # its children do not feed each other
            rows = [{child: value} for child, value in layer.children().items()]
        inside = [all_shapes(row, shape, f"{prefix}{name}.") for row in rows]
        for shapes in [*inside, {f"{prefix}{name}": output}]:
            if twice := found.keys() & shapes.keys():
                raise ArchitectureError(f"Two layers are called {min(twice)!r}.")
            found |= shapes
        shape = output
    return found
