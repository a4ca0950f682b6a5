"""A network's state between its named arrays and a program's memory, in every layout there is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.program import Program
from neocog.engine.stages import ConvolutionStage, DepthwiseStage, PointwiseStage, Stage
from neocog.kernels.layout import FeatureMap
from neocog.layers import BatchNorm2d
from neocog.preprocessing import Preprocessing

__all__ = ["fill_preprocessing", "read_state", "write_scales", "write_state"]

Floats = NDArray[np.float32]
State = Mapping[str, NDArray[Any]]


def write_state(program: Program, stages: Sequence[Stage], state: State) -> None:
    """Write a state dict into a program's memory."""

    def put(name: str, value: Floats) -> None:
        program.memory.array(name, np.float32)[: len(value)] = value

    for stage in stages:
        values = {p.name: state.get(p.name) for p in stage.parameters()}
        if isinstance(stage, ConvolutionStage | DepthwiseStage) and stage.folded_norm is not None:
            values = _fold(stage, stage.folded_norm, state)
        for parameter in stage.parameters():
            value = values[parameter.name]
            assert value is not None  # noqa: S101
            put(parameter.name, parameter.pack(value))
    write_scales(program, stages, state)
    program.refresh()


def write_scales(program: Program, stages: Sequence[Stage], state: State) -> None:
    """Write what batch normalisations compute with, from their weights and running statistics."""
    for stage in stages:
        if isinstance(stage, PointwiseStage) and stage.norm is not None:
            _write_norm(program, stage, stage.norm, state)


def _fold(
    stage: ConvolutionStage | DepthwiseStage, norm: BatchNorm2d, state: State
) -> dict[str, Floats | None]:
    """The convolution's weight and bias with a batch normalisation behind it taken in."""
    scale, shift = _scale_and_shift(stage.folded, norm, state)
    weight = state[f"{stage.name}.weight"]
    bias = state[f"{stage.name}.bias"] if stage.layer.bias else 0.0
    return {
        f"{stage.name}.weight": (weight * scale[:, None, None, None]).astype(np.float32),
        f"{stage.name}.bias": (bias * scale + shift).astype(np.float32),
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


def _write_norm(program: Program, stage: PointwiseStage, norm: BatchNorm2d, state: State) -> None:
    buffers = program.plan.buffers
    scale, _ = _scale_and_shift(stage.name, norm, state)
    variance = state[f"{stage.name}.running_var"].astype(np.float64)
    invstd = 1 / np.sqrt(variance + norm.eps)
    for parameter, key, value in (
        *((p, p.name, state[p.name]) for p in stage.statistics()),
        (stage.statistics()[0], f"{stage.name}.mean", state[f"{stage.name}.running_mean"]),
        (stage.statistics()[0], f"{stage.name}.scale", scale.astype(np.float32)),
        (stage.statistics()[0], f"{stage.name}.invstd", invstd.astype(np.float32)),
    ):
        if key in buffers:
            program.memory.array(key, np.float32)[:] = parameter.pack(value)


def read_state(
    program: Program, stages: Sequence[Stage], names: Iterable[str], batches: int
) -> dict[str, NDArray[Any]]:
    """The state dict of a program in training, in the order of its names.

    `batches` is how many its running statistics have seen.
    """
    found: dict[str, NDArray[Any]] = {}
    for stage in stages:
        kept = list(stage.parameters())
        if isinstance(stage, PointwiseStage):
            kept += stage.statistics()
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
