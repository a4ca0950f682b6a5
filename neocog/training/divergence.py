"""Where a training that diverged first went wrong, and what to try.

A step whose loss is not finite changes no parameter. So the batch is computed again from the
weights before the step, layer by layer by the formulas of `reference` in float32: the images as
they are, without augmentation and dropout, and for a large network only as many as take some
seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import TrainingDivergedError
from neocog.layers import Dropout, Graph, Layer
from neocog.reference import layer_forward, preprocess
from neocog.settings.schedules import Constant
from neocog.settings.training import TrainingSettings
from neocog.summary import cost
from neocog.training.run import TrainingRun

__all__ = ["Cause", "explained", "find_cause"]

# Multiply-adds and images that are computed again at most.
_MOST_WORK, _MOST_IMAGES = 8e9, 64
# Inputs of sound preprocessing are of size 1; from here on it is what is wrong.
_LARGE_INPUT = 1e4
_FLOAT32_ENDS = float(np.finfo(np.float32).max)

Array = NDArray[Any]


@dataclass(frozen=True)
class Cause:
    """Where numbers were first not finite.

    Attributes:
        kind: "weight", "layer" or "loss"; "unknown" where all is finite without augmentation.
        name: of the parameter, the running statistic or the layer.
        reach: the largest absolute value of the layer's outputs, or of the scores for a loss, as
            float64 has it; NaN where there is none.
        inputs: the largest absolute value of the network's input.
    """

    kind: str
    name: str = ""
    reach: float = float("nan")
    inputs: float = 0.0

    @property
    def words(self) -> str:
        """What to say of it behind a place, with a comma before it; empty for an unknown one."""
        if self.kind == "weight":
            return f", where {self.name} is no longer finite"
        if self.kind == "layer":
            reach = f"{self.reach:.1e}" if isfinite(self.reach) else "infinity"
            over = "" if self.reach < _FLOAT32_ENDS else ", where float32 ends at 3.4e+38"
            return f", first in layer {self.name}, whose outputs reach {reach}{over}"
        if self.kind == "loss":
            return f", first in the loss itself, of scores that reach {self.reach:.1e}"
        return ""


def explained(error: TrainingDivergedError, run: TrainingRun) -> TrainingDivergedError:
    """The error of a run that has just diverged, with the cause and what to try."""
    cause = find_cause(run)
    return TrainingDivergedError(
        f"{error}{cause.words}. Training has stopped; the results up to the epoch before are kept. "
        f"{_advice(run, cause)}"
    )


def find_cause(run: TrainingRun) -> Cause:
    """Where the numbers of the batch that failed are first not finite."""
    state = run.trainer.state()
    graph = run.network.graph
    # Running statistics change in a step that failed, too, and no step of a training reads them.
    names = graph.state_shapes if run.epoch_is_done else graph.parameter_shapes
    for name in names:
        if not np.isfinite(state[name]).all():
            return Cause("weight", name)
    images = _as_input(run.data.images[run.images_of(run.batch + 1)], graph, run.settings)
    if images is None or not len(images):
        return Cause("unknown")
    preprocessing = run.network.preprocessing
    with np.errstate(all="ignore"):
        x = preprocess(images, preprocessing.mean, preprocessing.std, np.float32)
        try:
            return _first_layer(graph, state, x)
        except MemoryError:
            return Cause("unknown", inputs=_reach(x))


def _first_layer(graph: Graph, state: Mapping[str, Array], x: Array) -> Cause:
    """Compute layer after layer until one gives what is not finite."""
    values = {-1: x}
    for index, node in enumerate(graph.nodes):
        inputs = [values[source] for source in graph.sources[index]]
        values[index] = _forward(node.layer, node.name, state, inputs, np.float32)
        if not np.isfinite(values[index]).all():
            precise = _forward(node.layer, node.name, state, inputs, np.float64)
            return Cause("layer", node.name, _reach(precise), _reach(x))
    scores = _reach(values[len(graph.nodes) - 1])
    return Cause("loss" if scores > _LARGE_INPUT else "unknown", "", scores, _reach(x))


def _forward(
    layer: Layer, name: str, state: Mapping[str, Array], inputs: list[Array], dtype: type
) -> Array:
    parts = (*layer.parameter_shapes(), *layer.buffer_shapes())
    own = {part: _as(state[f"{name}.{part}"], dtype) for part in parts}
    training = not isinstance(layer, Dropout)
    return layer_forward(layer, own, *(_as(x, dtype) for x in inputs), training=training)


def _as(array: Array, dtype: type) -> Array:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _reach(array: Array) -> float:
    """The largest absolute value of what is not NaN."""
    known = np.abs(array[~np.isnan(array)])
    return float(known.max()) if known.size else float("nan")


def _as_input(
    images: NDArray[np.uint8], graph: Graph, settings: TrainingSettings
) -> NDArray[np.uint8] | None:
    """The images that are computed again; the middle of those that training crops."""
    most = int(min(_MOST_IMAGES, _MOST_WORK // max(1, cost(graph).multiply_adds)))
    images = images[: max(2, most)]
    height, width = graph.input_shape[1:]
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    if settings.augmentation.crop is not None and min(top, left) < 0:
        return None
    return images[:, top : top + height, left : left + width]


def _advice(run: TrainingRun, cause: Cause) -> str:
    """What to try, by the cause."""
    settings = run.settings
    if cause.inputs > _LARGE_INPUT:
        std = min(run.network.preprocessing.std)
        return (
            f"The network's inputs reach {cause.inputs:.1e}: set its preprocessing, whose least "
            f"std is {std:g}, to that of the data, which is usually about 0.25."
        )
    if run.steps == 0:
        return (
            "No step was taken before, so the learning rate is not the cause. The weights it began "
            "with are too large: initialize the network anew, or load others."
        )
    clip = settings.clip_norm
    tries = [
        f"a learning rate of {settings.optimizer.lr / 10:.3g} (a tenth)",
        "clip_norm=1" if clip is None else f"a smaller clip_norm than {clip:g}",
    ]
    if isinstance(settings.schedule, Constant):
        tries.append("a schedule with a warm-up")
    elif getattr(settings.optimizer, "momentum", 0):
        tries.append("a smaller momentum")
    return f"Try {', '.join(tries[:-1])} or {tries[-1]}."
