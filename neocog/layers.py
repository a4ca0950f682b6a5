"""What a network is made of: layers named and parameterised as in ``torch.nn``.

A layer is a frozen description. It knows its parameters' shapes and the shape it gives for a
shape it gets; it holds no numbers and does no arithmetic. `neocog.engine` runs it and
`neocog.reference` has its formula.

Shapes are PyTorch's without the batch: ``(channels, height, width)`` for feature maps and
``(features,)`` after `Flatten`.
"""

from dataclasses import dataclass, fields
from math import prod

from neocog.errors import ArchitectureError

__all__ = ["LAYERS", "Conv2d", "Flatten", "Layer", "Linear", "MaxPool2d", "ReLU", "Shape"]

Shape = tuple[int, ...]


class Layer:
    """The two questions every layer answers."""

    def output_shape(self, shape: Shape) -> Shape:
        """The shape given for an input of `shape`; raises `ArchitectureError` if it cannot be."""
        raise NotImplementedError

    def parameter_shapes(self) -> dict[str, Shape]:
        """The learned arrays by name (``weight``, ``bias``), in PyTorch's shapes and order."""
        return {}


def _pair(layer: object, name: str, least: int) -> None:
    """Turn the field `name` into a (height, width) pair of whole numbers of at least `least`."""
    value = getattr(layer, name)
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or not all(_is_int(v) and v >= least for v in pair):
        raise ArchitectureError(
            f"{type(layer).__name__}: {name} (={value!r}) must be a whole number of at least "
            f"{least}, or two of them (height, width)."
        )
    object.__setattr__(layer, name, pair)


def _positive(layer: object, *names: str) -> None:
    for name in names:
        value = getattr(layer, name)
        if not _is_int(value) or value < 1:
            raise ArchitectureError(
                f"{type(layer).__name__}: {name} (={value!r}) must be a whole number of at least 1."
            )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _feature_map(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ArchitectureError(
            f"{type(layer).__name__} takes feature maps (channels, height, width), but its input "
            f"has the shape {shape}."
        )
    return shape[0], shape[1], shape[2]


@dataclass(frozen=True)
class Conv2d(Layer):
    """Cross-correlation of every input channel with a kernel, summed, plus a bias.

    y[k, i, j] = bias[k] + Σ_c Σ_m Σ_n weight[k, c, m, n] · x[c, i + m − p, j + n − p], with zeros
    outside x. (C, H, W) becomes (out_channels, H + 2p − kernel + 1, W + 2p − kernel + 1).
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    bias: bool = True

    def __post_init__(self) -> None:
        _positive(self, "in_channels", "out_channels")
        _pair(self, "kernel_size", 1)
        _pair(self, "stride", 1)
        _pair(self, "padding", 0)
        if self.stride != (1, 1):
            raise ArchitectureError(f"Conv2d: stride (={self.stride}) must be 1.")

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        assert isinstance(self.kernel_size, tuple)  # noqa: S101  (made so by __post_init__)
        return self.kernel_size

    @property
    def border(self) -> tuple[int, int]:
        """Rows and columns of zeros on each side."""
        assert isinstance(self.padding, tuple)  # noqa: S101  (made so by __post_init__)
        return self.padding

    def output_shape(self, shape: Shape) -> Shape:
        """(in_channels, H, W) → (out_channels, H + 2p − kernel + 1, W + 2p − kernel + 1)."""
        c, h, w = _feature_map(self, shape)
        if c != self.in_channels:
            raise ArchitectureError(
                f"Conv2d: in_channels (={self.in_channels}) must equal its input's channels "
                f"(={c}, of the shape {shape})."
            )
        (kh, kw), (ph, pw) = self.kernel, self.border
        h, w = h + 2 * ph - kh + 1, w + 2 * pw - kw + 1
        if h < 1 or w < 1:
            raise ArchitectureError(
                f"Conv2d: a kernel of {kh} × {kw} with padding {ph}, {pw} does not fit into its "
                f"input of the shape {shape}."
            )
        return self.out_channels, h, w

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` (out, in, kernel height, kernel width) and ``bias`` (out,)."""
        shapes: dict[str, Shape] = {"weight": (self.out_channels, self.in_channels, *self.kernel)}
        if self.bias:
            shapes["bias"] = (self.out_channels,)
        return shapes


@dataclass(frozen=True)
class ReLU(Layer):
    """f(x) = max(0, x), element by element."""

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        return shape


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest value of every 2 × 2 region; an odd last row or column is left out."""

    kernel_size: int = 2

    def __post_init__(self) -> None:
        if self.kernel_size != 2:
            raise ArchitectureError(f"MaxPool2d: kernel_size (={self.kernel_size!r}) must be 2.")

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, H // 2, W // 2)."""
        c, h, w = _feature_map(self, shape)
        if h < 2 or w < 2:
            raise ArchitectureError(
                f"MaxPool2d: regions of 2 × 2 do not fit into its input of the shape {shape}."
            )
        return c, h // 2, w // 2


@dataclass(frozen=True)
class Flatten(Layer):
    """Feature maps laid out as one vector, in PyTorch's order: channel, row, column."""

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C · H · W,)."""
        return (prod(shape),)


@dataclass(frozen=True)
class Linear(Layer):
    """z = W x + b. (in_features,) becomes (out_features,)."""

    in_features: int
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        _positive(self, "in_features", "out_features")

    def output_shape(self, shape: Shape) -> Shape:
        """(in_features,) → (out_features,)."""
        if shape != (self.in_features,):
            hint = " (a Flatten before it is missing)" if len(shape) == 3 else ""
            raise ArchitectureError(
                f"Linear: in_features (={self.in_features}) must equal its input's "
                f"{prod(shape)} numbers, of the shape {shape}{hint}."
            )
        return (self.out_features,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` (out_features, in_features) and ``bias`` (out_features,)."""
        shapes: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.out_features,)
        return shapes


#: Every layer there is, by name. Model files are built from these and from nothing else.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (Conv2d, ReLU, MaxPool2d, Flatten, Linear)
}


def describe(layer: Layer) -> dict[str, object]:
    """The layer as plain data: its ``type`` and its arguments; `build` is the way back."""
    values = {f.name: getattr(layer, f.name) for f in fields(layer)}  # type: ignore[arg-type]
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return {"type": type(layer).__name__, **plain}


def build(description: dict[str, object]) -> Layer:
    """The layer that `describe` described; raises `ArchitectureError` for anything else."""
    arguments = dict(description)
    name = arguments.pop("type", None)
    if not isinstance(name, str) or name not in LAYERS:
        raise ArchitectureError(f"Unknown layer type {name!r}. Known: {', '.join(LAYERS)}.")
    cls = LAYERS[name]
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(arguments) - known):
        raise ArchitectureError(f"{name} has no argument {unknown[0]!r}.")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ArchitectureError(f"{name}: {error}.") from error
