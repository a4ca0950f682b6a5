"""Copies a state dict into a program's memory and back, between all layouts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.ops import ConvolutionOp, DepthwiseOp, Op, PointwiseOp
from neocog.engine.program import Program
from neocog.kernels.layout import FeatureMap
from neocog.layers import BatchNorm2d
from neocog.preprocessing import Preprocessing

__all__ = ["fill_preprocessing", "read_state", "write_scales", "write_state"]

Floats = NDArray[np.float32]
State = Mapping[str, NDArray[Any]]


def write_state(program: Program, ops: Sequence[Op], state: State) -> None:
    """Write a state dict into a program's memory."""

    def put(name: str, value: Floats) -> None:
        program.memory.array(name, np.float32)[: len(value)] = value

    for op in ops:
        values = {p.name: state.get(p.name) for p in op.parameters()}
        if isinstance(op, ConvolutionOp | DepthwiseOp) and op.folded_norm is not None:
            values = _fold(op, op.folded_norm, state)
        for parameter in op.parameters():
            value = values[parameter.name]
            assert value is not None  # noqa: S101
            put(parameter.name, parameter.pack(value))
    write_scales(program, ops, state)
    program.refresh()


def write_scales(program: Program, ops: Sequence[Op], state: State) -> None:
    """Write the scales and shifts of batch normalizations into a program's memory."""
    for op in ops:
        if isinstance(op, PointwiseOp) and op.norm is not None:
            _write_norm(program, op, op.norm, state)


def _fold(
    op: ConvolutionOp | DepthwiseOp, norm: BatchNorm2d, state: State
) -> dict[str, Floats | None]:
    """The convolution's weight and bias with the following batch normalization folded in."""
    scale, shift = _scale_and_shift(op.folded, norm, state)
    weight = state[f"{op.name}.weight"]
    bias = state[f"{op.name}.bias"] if op.layer.bias else 0.0
    return {
        f"{op.name}.weight": (weight * scale[:, None, None, None]).astype(np.float32),
        f"{op.name}.bias": (bias * scale + shift).astype(np.float32),
    }


def _scale_and_shift(
    name: str, norm: BatchNorm2d, state: State
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = state[f"{name}.running_mean"].astype(np.float64)
    scale = 1 / np.sqrt(state[f"{name}.running_var"].astype(np.float64) + norm.eps)
    if not norm.affine:
        return scale, -mean * scale
    scale = scale * state[f"{name}.weight"]
    return scale, state[f"{name}.bias"] - mean * scale


def _write_norm(program: Program, op: PointwiseOp, norm: BatchNorm2d, state: State) -> None:
    buffers = program.plan.buffers
    scale, _ = _scale_and_shift(op.name, norm, state)
    variance = state[f"{op.name}.running_var"].astype(np.float64)
    invstd = 1 / np.sqrt(variance + norm.eps)
    for parameter, key, value in (
        *((p, p.name, state[p.name]) for p in op.statistics()),
        (op.statistics()[0], f"{op.name}.mean", state[f"{op.name}.running_mean"]),
        (op.statistics()[0], f"{op.name}.scale", scale.astype(np.float32)),
        (op.statistics()[0], f"{op.name}.invstd", invstd.astype(np.float32)),
    ):
        if key in buffers:
            program.memory.array(key, np.float32)[:] = parameter.pack(value)


def read_state(
    program: Program, ops: Sequence[Op], names: Iterable[str], batches: int
) -> dict[str, NDArray[Any]]:
    """The state dict of a program in training, in the order of its names.

    `batches` is how many its running statistics have seen.
    """
    found: dict[str, NDArray[Any]] = {}
    for op in ops:
        kept = list(op.parameters())
        if isinstance(op, PointwiseOp):
            kept += op.statistics()
        for parameter in kept:
            array = program.memory.array(parameter.name, np.float32)
            found[parameter.name] = parameter.unpack(array)
    return {name: found[name] if name in found else np.array(batches, np.int64) for name in names}


def fill_preprocessing(
    program: Program, input_shape: tuple[int, int, int], preprocessing: Preprocessing
) -> None:
    """Write the preprocessing as one row of pixels wants it."""
    channels, height, width = input_shape
    pixel = FeatureMap(height, width, channels, dense=True).pixel
    for name, values in (
        ("scale", preprocessing.scale),
        ("shift", preprocessing.shift),
    ):
        row = np.tile(np.pad(np.array(values, np.float32), (0, pixel - channels)), width)
        program.memory.array(name, np.float32)[:] = row
