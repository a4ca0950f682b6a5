"""Winograd's algorithm for a stage's convolutions 3 × 3: forward, and both gradients.

Fewer multiplications, more additions and more memory: worth it from some channels on.
"""

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Group, Instruction, Scope
from neocog.engine.tensor import Tensor
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd import winograd_forward
from neocog.kernels.winograd_gradient import (
    WinogradGradient,
    winograd_backward_weight,
    winograd_outer,
    winograd_reduce,
    winograd_transform_gradient,
    winograd_transform_input,
)
from neocog.kernels.winograd_tiling import Winograd
from neocog.kernels.winograd_weight import (
    WinogradWeight,
    winograd_weight,
    winograd_weight_turned,
)
from neocog.layers import Conv2d

__all__ = [
    "winograd_convolve",
    "winograd_input_gradient",
    "winograd_suits",
    "winograd_weight_gradient",
]

_NONE = FeatureMap(1, 1, 1)

# Fewer channels than this do not pay for the transforms.
_LEAST_CHANNELS = 16

# Of one image alone, so few places do not pay for a U of so many bytes: it comes from memory and is
# four times as large as the weight, for a single use.
_FEW_PLACES = 64
_FAR_BYTES = 2 * 1024 * 1024

# Products of channels up to which each shard of images has a sum of its own.
_SHARDED = 64 * 64


def winograd_suits(layer: Conv2d, x: Tensor, *, alone: bool) -> bool:
    """Whether it can compute this convolution, and is the faster way, for one image or more."""
    plain = (layer.kernel, layer.steps, layer.spread, layer.groups) == ((3, 3), (1, 1), (1, 1), 1)
    largest = max(*layer.before, *layer.after) <= 2
    channels = min(layer.in_channels, layer.out_channels)
    if alone and x.height * x.width <= _FEW_PLACES:
        far = 4 * 36 * layer.in_channels * layer.out_channels >= _FAR_BYTES
        largest = largest and not far
    return plain and largest and not x.dense and channels >= _LEAST_CHANNELS


def winograd_convolve(
    b: Builder, name: str, layer: Conv2d, x: Tensor, y: Tensor, *, bias: str | None, relu: bool
) -> None:
    """y from x, and the transformed weight after each update."""
    has_bias = bias is not None
    stage = Winograd(x.map, y.map, *layer.before, bias=has_bias, relu=relu, parts=b.alone)
    u = b.floats(f"{name}.weight.points", stage.u_size)
    scratch = b.scratch("winograd", stage.scratch_size)
    operands = (x.name, u, bias, y.name, None, scratch)
    if b.alone:
        b.emit_parts(winograd_forward, stage, operands, name, stage.tiles)
    else:
        b.emit(winograd_forward, stage, operands, name)
    points = WinogradWeight(stage)
    weight = Instruction(winograd_weight, points, (f"{name}.weight", u), name)
    b.refresh(weight, stage.w.blocks)


def winograd_input_gradient(
    b: Builder, name: str, layer: Conv2d, x: Tensor, dy: str, dy_map: FeatureMap
) -> None:
    """x's gradient: the convolution of dy with the turned kernel."""
    dx, adds = b.write_gradient(x, can_add=not x.shut)
    top, left = (2 - side for side in layer.before)
    stage = Winograd(
        dy_map,
        x.gradient_map,
        top,
        left,
        bias=False,
        accumulate=adds,
        gated=x.shut,
        gate=x.map if x.shut else _NONE,
    )
    u = b.floats(f"{name}.weight.turned_points", stage.u_size)
    scratch = b.scratch("winograd", stage.scratch_size)
    b.emit(winograd_forward, stage, (dy, u, None, dx, x.name, scratch), name)
    if not adds:
        b.add_gradient(x, dx)
    points = WinogradWeight(stage)
    turn = Instruction(winograd_weight_turned, points, (f"{name}.weight", u), name)
    b.refresh(turn, stage.w.blocks)


def winograd_weight_gradient(
    b: Builder, name: str, layer: Conv2d, x: Tensor, dy: str, dy_map: FeatureMap
) -> tuple[list[Instruction], int]:
    """The instructions behind the images that give the weight's gradient, and their items.

    They are none where a group of its own, behind the images' next cut, gives it already.
    """
    small = layer.in_channels * layer.out_channels <= _SHARDED
    shard, images = (b.shard, 0) if small else (0, b.batch)
    top, left = layer.before
    stage = WinogradGradient(x.map, dy_map, top, left, bias=layer.bias, shard=shard, images=images)
    gradient = f"{name}.weight.gradient"
    of_bias = f"{name}.bias.gradient" if layer.bias else None
    if small:
        sums = b.floats(f"{name}.weight.shards", stage.s_size * b.shards)
        shards = b.floats(f"{name}.bias.shards", dy_map.pixel * b.shards)
        scratch = b.scratch("winograd", stage.scratch_size)
        b.emit(winograd_backward_weight, stage, (x.name, dy, sums, shards, scratch), name)
        reduced = (sums, shards, gradient, of_bias, "step")
        return [Instruction(winograd_reduce, stage, reduced, name)], stage.w.blocks
    v = b.scratch("winograd.v", stage.v_size, Scope.SHARED)
    w = b.scratch("winograd.w", stage.w_size, Scope.SHARED)
    b.emit(winograd_transform_input, stage, (x.name, v), name)
    biases = b.plan.map(f"{name}.bias.images", dy_map.pixel * FLOAT) if layer.bias else None
    b.emit(winograd_transform_gradient, stage, (dy, w, biases), name)
    scratch = b.scratch("winograd", stage.scratch_size)
    operands = (v, w, biases, gradient, of_bias, "step", scratch)
    outer = Instruction(winograd_outer, stage, operands, name)
    b.after_cut(Group([outer], stage.items, barrier=True))
    return [], stage.w.blocks
