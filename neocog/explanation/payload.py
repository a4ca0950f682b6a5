"""What the page shows, as one structure of plain values and one block of float32.

An array is ``{"at": n, "shape": […]}`` in the structure: its first number's place in the block.
Equal arrays are kept once. Maps are whole; of large weights and of large networks' gradients only
the channels that are shown, ``"rows"`` saying which, so that a page stays small.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.attribution import chosen_layer, is_large
from neocog.explanation.captions import caption, describe
from neocog.explanation.explanation import Explanation, LayerExplanation
from neocog.explanation.message import Block
from neocog.explanation.sprite import png
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Residual,
    Scale,
)
from neocog.models import name_of
from neocog.settings.optimizers import SGD, Adam

__all__ = ["Packed", "pack"]

Floats = NDArray[np.float32]

#: Channels that are shown of a layer with more.
SHOWN = 16
# Numbers of all maps and weights beyond which gradients are kept for shown channels only.
_LARGE = 1_000_000
# Numbers of one weight that are kept whole.
_WHOLE = 100_000
# Numbers of one parameter whose step is shown.
_STEPPED = 48
# Kernels of a large network whose gradients are kept.
_GRADIENTS = 4


@dataclass(frozen=True)
class Packed:
    """The structure, and the block that it points into, float32 in little-endian bytes."""

    structure: dict[str, Any]
    block: bytes


def pack(
    explanation: Explanation,
    *,
    attributions: bool = True,
    filters: Mapping[str, Any] | None = None,
    shown: Mapping[str, Sequence[int]] | None = None,
) -> Packed:
    """What the page shows of an explanation.

    Args:
        explanation: whose numbers they are.
        attributions: whether to compute what the network looks at, which takes some hundred
            predictions.
        filters: by layer, what excites its channels, as `neocog.explanation.top_activations` gives
            it.
        shown: by layer, the channels that are shown; without it `shown_channels`.
    """
    block, network = Block(), explanation.network
    numbers = sum(layer.output.size for layer in explanation.layers.values())
    numbers += sum(
        p.size for layer in explanation.layers.values() for p in layer.parameters.values()
    )
    large = numbers > _LARGE
    structure = {
        "name": name_of(network) or "a network",
        "parameters": network.parameter_count(),
        "classes": list(explanation.classes),
        "label": explanation.label,
        "predicted": int(explanation.probabilities.argmax()),
        "image": {
            "src": png(explanation.image),
            "height": explanation.image.shape[0],
            "width": explanation.image.shape[1],
            "mean": list(network.preprocessing.mean),
            "std": list(network.preprocessing.std),
        },
        "pixels": block.add(explanation.image.transpose(2, 0, 1)),
        "layers": [
            _layer(explanation, layer, block, large, list((shown or {}).get(name, ())))
            for name, layer in explanation.layers.items()
        ],
        "lanes": ["image", *_lanes(network.layers, "", explanation)],
        "loss": explanation.loss,
        "scores": block.add(explanation.scores),
        "probabilities": block.add(explanation.uncalibrated),
        "calibrated": _calibrated(explanation),
        "delta": block.add(explanation.delta),
        "steps": _steps(explanation, block),
        "attributions": _attributions(explanation, block) if attributions else None,
        "filters": dict(filters or {}),
    }
    return Packed(structure, block.bytes())


def _calibrated(explanation: Explanation) -> dict[str, float] | None:
    """What a temperature makes of the most probable class; None of a network without one."""
    temperature = explanation.network.temperature
    if temperature == 1:
        return None
    return {"temperature": temperature, "probability": float(explanation.probabilities.max())}


def _lanes(layers: Mapping[str, Layer], prefix: str, known: Iterable[str]) -> list[Any]:
    """The layers in a row; of a sum both lanes, each a row of its own."""
    names = set(known)
    row: list[Any] = []
    for name, layer in layers.items():
        full = f"{prefix}{name}"
        if isinstance(layer, Residual):
            lanes = [
                _lanes({part: child}, f"{full}.", names) for part, child in layer.children().items()
            ]
            row.append({"sum": full, "lanes": [*lanes, []][:2]})
        elif layer.children():
            row += _lanes(layer.children(), f"{full}.", names)
        elif full in names:  # dropout drops nothing here and is no step
            row.append(full)
    return row


def shown_channels(layer: LayerExplanation, most: int = SHOWN) -> list[int]:
    """The channels that matter most: of the largest sum of |number · gradient|, that first."""
    if layer.output.ndim != 3 or layer.type == "Image":
        return list(range(len(layer.output))) if layer.output.ndim == 3 else [0]
    best = np.argsort(-layer.importance(), kind="stable")
    return [int(channel) for channel in best[:most]]


def _layer(
    explanation: Explanation, layer: LayerExplanation, block: Block, large: bool, shown: list[int]
) -> dict[str, Any]:
    shown = shown or shown_channels(layer)
    forward, backward = caption(explanation, layer)
    found: dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "kind": _kind(layer),
        "text": describe(layer),
        "reads": list(layer.reads),
        "shape": list(layer.output.shape),
        "parameters": sum(value.size for value in layer.parameters.values()),
        "how": _how(explanation, layer, block),
        "shown": shown,
        "output": block.add(layer.output),
        "caption": {"forward": forward, "backward": backward},
        "gradient": _rows(block, layer.output_gradient, shown if large else None),
    }
    if "weight" in layer.parameters and isinstance(layer.layer, Conv2d | Linear):
        weight, gradient = layer.parameters["weight"], layer.gradients["weight"]
        rows = shown if isinstance(layer.layer, Conv2d) else list(range(min(SHOWN, len(weight))))
        some = weight.size > _WHOLE or large
        found["weight"] = _rows(block, weight, rows if some else None)
        found["weightGradient"] = _rows(block, gradient, rows[:_GRADIENTS] if some else None)
    if "bias" in layer.parameters:
        found["bias"] = block.add(layer.parameters["bias"])
        found["biasGradient"] = block.add(layer.gradients["bias"])
    return found


def _rows(block: Block, array: Floats, rows: Sequence[int] | None) -> dict[str, Any]:
    """An array whole, or some of its first axis, ``rows`` saying which."""
    if rows is None or array.ndim == 1 or len(rows) >= len(array):
        return block.add(array)
    return {**block.add(array[list(rows)]), "rows": list(rows)}


_KINDS = {
    "Image": "image",
    "Conv2d": "convolution",
    "Linear": "linear",
    "Flatten": "flatten",
    "BatchNorm2d": "normalization",
    "MaxPool2d": "pooling",
    "AvgPool2d": "pooling",
    "AdaptiveMaxPool2d": "pooling",
    "AdaptiveAvgPool2d": "pooling",
    "Residual": "sum",
}


def _kind(layer: LayerExplanation) -> str:
    """By what view the page shows it."""
    return _KINDS.get(layer.type, "activation")


def _how(explanation: Explanation, layer: LayerExplanation, block: Block) -> dict[str, Any]:
    """What its formula needs beside numbers of maps and parameters."""
    match layer.layer:
        case Conv2d() as conv:
            return {
                "kernel": conv.kernel,
                "stride": conv.steps,
                "dilation": conv.spread,
                "before": conv.before,
                "after": conv.after,
                "groups": conv.groups,
            }
        case MaxPool2d() | AvgPool2d() as pool:
            padded = isinstance(pool, AvgPool2d) and pool.count_include_pad
            how = {"kernel": pool.kernel, "stride": pool.steps, "before": pool.before}
            return {**how, "most": isinstance(pool, MaxPool2d), "padded": padded}
        case AdaptiveMaxPool2d() | AdaptiveAvgPool2d() as pool:
            whole = layer.input.shape[1:]
            most = isinstance(pool, AdaptiveMaxPool2d)
            return {"kernel": whole, "stride": whole, "before": (0, 0), "most": most}
        case BatchNorm2d() as norm:
            state = explanation.network.state_dict()
            ones = np.ones(norm.num_features, np.float32)
            return {
                "mean": block.add(state[f"{layer.name}.running_mean"]),
                "variance": block.add(state[f"{layer.name}.running_var"]),
                "weight": block.add(layer.parameters.get("weight", ones)),
                "bias": block.add(layer.parameters.get("bias", 0 * ones)),
                "eps": norm.eps,
            }
        case LeakyReLU() as leaky:
            return {"function": "LeakyReLU", "slope": leaky.negative_slope}
        case GELU() as gelu:
            return {"function": "GELU", "tanh": gelu.approximate == "tanh"}
        case Scale() as scale:
            return {"function": "Scale", "factor": scale.factor}
        case Linear():
            return {"map": list(layer.input.shape)}
        case _:
            return {"function": layer.type}


def _steps(explanation: Explanation, block: Block) -> dict[str, Any]:
    """One step of each optimizer: for every parameter the numbers with the largest gradients."""
    sgd, adam = explanation.steps["sgd"], explanation.steps["adam"]
    numbers = {}
    for name, gradient in sgd.gradients.items():
        flat = np.abs(gradient.reshape(-1))
        best = _largest(flat, _STEPPED)
        places = np.unravel_index(best, gradient.shape)

        def chosen(array: Floats, best: NDArray[np.int64] = best) -> dict[str, Any]:
            return block.add(array.reshape(-1)[best])

        numbers[name] = {
            "shape": list(gradient.shape),
            "places": [[int(axis[n]) for axis in places] for n in range(len(best))],
            "gradient": chosen(gradient),
            "norm": float(np.linalg.norm(gradient.astype(np.float64))),
            "before": chosen(sgd.before[name]),
            "sgd": {
                "velocity": chosen(sgd.state.get(f"{name}.velocity", gradient)),
                "after": chosen(sgd.after[name]),
            },
            "adam": {
                "mean": chosen(adam.state[f"{name}.mean"]),
                "square": chosen(adam.state[f"{name}.square"]),
                "after": chosen(adam.after[name]),
            },
        }
    results: dict[str, dict[str, Any]] = {
        name: {"loss": step.loss, "probabilities": block.add(step.probabilities)}
        for name, step in explanation.steps.items()
    }
    match sgd.optimizer, adam.optimizer:
        case SGD() as first, Adam() as second:
            results["sgd"] |= {"lr": first.lr, "momentum": first.momentum}
            results["adam"] |= {"lr": second.lr, "betas": second.betas, "eps": second.eps}
    return {"numbers": numbers, **results}


def _largest(values: Floats, count: int) -> NDArray[np.int64]:
    """Where the largest are, the first of equal ones first; all need not be sorted for it."""
    if len(values) > count:
        least = np.partition(values, -count)[-count]
        candidates = np.flatnonzero(values >= least)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]


def _cam_layers(explanation: Explanation) -> list[str]:
    """The layers that Grad-CAM can be asked for: those with places, a few spread evenly."""
    maps = explanation.layers
    most = 3 if is_large(explanation.network) else 6
    spatial = [
        name
        for name, layer in maps.items()
        if layer.type != "Image" and layer.output.ndim == 3 and min(layer.output.shape[1:]) >= 2
    ]
    best = chosen_layer(explanation.score_maps)
    if len(spatial) > most:
        ends = [n for n in spatial if not explanation.layers[n].type.startswith(("Conv", "Batch"))]
        pool = ends if len(ends) >= most else spatial
        spatial = [pool[round(k * (len(pool) - 1) / (most - 1))] for k in range(most)]
    if best not in spatial:
        spatial.append(best)
    return [name for name in maps if name in spatial]


def _attributions(explanation: Explanation, block: Block) -> dict[str, Any]:
    def curves(found: Any) -> dict[str, Any]:
        return {
            "deleted": block.add(found.deleted),
            "inserted": block.add(found.inserted),
            "deletion": found.deletion,
            "insertion": found.insertion,
        }

    cams = {}
    for name in _cam_layers(explanation):
        cam = explanation.grad_cam(name)
        weights = np.zeros(0) if cam.weights is None else cam.weights
        cams[name] = {"weights": block.add(weights), "map": block.add(cam.map), **curves(cam)}
    product, occluded = explanation.gradient_times_input(), explanation.occlusion()
    return {
        "gradCam": {"chosen": chosen_layer(explanation.score_maps), "layers": cams},
        "gradientTimesInput": {"map": block.add(product.map), **curves(product)},
        "occlusion": {"map": block.add(occluded.map), **curves(occluded)},
        "chance": curves(explanation.chance),
    }
