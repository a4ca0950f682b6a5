"""Rules of ONNX's operators that make maps larger."""

import math

import numpy as np

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator
from neocog.formats.onnx.reading.signals import Signal
from neocog.layers import Conv2d, Upsample

__all__: list[str] = []

# Where a number of the larger map lies in the smaller one, by centers of pixels.
_CENTERS = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
# How a row or column is found whose nearest is repeated, for whole factors.
_NEAREST = {
    ("asymmetric", "floor"),
    *((mode, rounding)
      for mode in _CENTERS
      for rounding in ("round_prefer_floor", "round_prefer_ceil")),
}  # fmt: skip


@onnx_operator("Resize", "Upsample")
def _resize(call: Call) -> Results:
    x = call.map()
    old = call.operation.operator == "Upsample" or len(call.operation.inputs) == 2
    call.ignore("cubic_coeff_a", "extrapolation_value", "exclude_outside", "antialias")
    call.ignore("keep_aspect_ratio_policy")
    mode = call.text("mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise call.refuse("mode", "nearest or linear")
    where = call.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = call.text("nearest_mode", "floor" if old else "round_prefer_floor")
    axes = call.integers("axes") or (0, 1, 2, 3)
    if not all(-4 <= axis < 4 for axis in axes):
        raise call.refuse("axes", "those of a map, 0 to 3")
    given = x.axes(call.batch)
    if call.given(3):
        sizes = call.row(3)
        scales = [size / given[axis] for size, axis in zip(sizes, axes, strict=False)]
    else:
        at = 1 if old else 2
        numbers = call.attribute("scales", tuple, None)
        if numbers and not all(isinstance(one, float | int) for one in numbers):
            raise call.refuse("scales", "numbers")
        scales = list(numbers) if numbers and not call.given(at) else _scales(call, at)
    factors = [1.0] * 4
    for factor, axis in zip(scales, axes, strict=False):
        factors[axis % 4] = factor
    if factors[:2] != [1, 1] or any(one < 1 or one % 1 for one in factors):
        raise call.refused(f"its scales {scales} must be whole, of rows and columns alone")
    if factors == [1.0] * 4:
        return x
    scale = (int(factors[2]), int(factors[3]))
    larger = call.made(Upsample, scale_factor=scale)
    if mode == "linear":
        if where not in _CENTERS:
            raise call.refused(f"places are found by {where}, which is no layer")
        return _smoothed(call, call.add(larger, x), scale)
    if (where, rounding) not in _NEAREST:
        raise call.refused(f"the nearest is found by {where} and {rounding}, which is no layer")
    return call.add(larger, x)


def _smoothed(call: Call, x: Signal, scale: tuple[int, int]) -> Signal:
    """Linear interpolation of what was repeated: the mean over as many numbers as each was.

    A window as long as a repeated number, around the center of each place, has parts of two of
    them, in the proportion of their distances; where it is even it begins and ends in half a place.
    """
    c, sides = x.shape[0], tuple(size // 2 for size in scale)
    call.importing.check_computed(4 * c * math.prod(2 * side + 1 for side in sides))
    rows, columns = (np.ones(size + 1 - size % 2, np.float32) / size for size in scale)
    for row, size in ((rows, scale[0]), (columns, scale[1])):
        if size % 2 == 0:
            row[[0, -1]] /= 2
    kernel = np.outer(rows, columns)
    mean = call.made(Conv2d, c, c, kernel.shape, padding=sides, groups=c, bias=False,
                     padding_mode="replicate")  # fmt: skip
    return call.add(mean, x, state={"weight": np.tile(kernel, (c, 1, 1, 1))})


def _scales(call: Call, at: int) -> list[float]:
    found = call.constant(at)
    if found.dtype.kind != "f" or found.size > 4 or not np.isfinite(found).all():
        raise call.refused(f"input {at} is no row of scales")
    return [float(one) for one in found.reshape(-1)]
