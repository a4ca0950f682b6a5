"""The steps of an explanation's optimizers, packed for the page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.message import Block
from neocog.settings.optimizers import SGD, Adam

__all__ = ["largest", "pack_steps"]

Floats = NDArray[np.float32]

# Numbers of each parameter that are shown, usually and where there are many parameters.
_MOST, _FEW = 48, 8
# Values whose largest one is looked up, to find the largest ones of all.
_PART = 1024


def pack_steps(explanation: Explanation, block: Block, *, few: bool = False) -> dict[str, Any]:
    """For each parameter, the numbers with the largest gradients before and after each step."""
    most = _FEW if few else _MOST
    sgd, adam = explanation.steps["sgd"], explanation.steps["adam"]
    numbers = {}
    for name, gradient in sgd.gradients.items():
        chosen = largest(np.abs(gradient.reshape(-1)), most)
        places = np.unravel_index(chosen, gradient.shape)

        def pack_chosen(array: Floats, chosen: NDArray[np.int64] = chosen) -> dict[str, Any]:
            return block.add(array.reshape(-1)[chosen])

        numbers[name] = {
            "shape": list(gradient.shape),
            "places": [[int(axis[n]) for axis in places] for n in range(len(chosen))],
            "gradient": pack_chosen(gradient),
            "norm": float(np.linalg.norm(gradient.astype(np.float64))),
            "before": pack_chosen(sgd.before[name]),
            "sgd": {
                # Without momentum there is no velocity: it would be the gradient.
                "velocity": pack_chosen(sgd.state.get(f"{name}.velocity", gradient)),
                "after": pack_chosen(sgd.after[name]),
            },
            "adam": {
                "mean": pack_chosen(adam.state[f"{name}.mean"]),
                "square": pack_chosen(adam.state[f"{name}.square"]),
                "after": pack_chosen(adam.after[name]),
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


def largest(values: Floats, count: int) -> NDArray[np.int64]:
    """The indices of the largest values in order, of equal ones the first first.

    Of millions, few are sorted: as many of them as are wanted have at least the value that so many
    parts have as their own largest one.
    """
    candidates = np.arange(len(values))
    if len(values) > count:
        size = min(len(values) // count, _PART)
        of_parts = values[: len(values) // size * size].reshape(-1, size).max(axis=1)
        least = np.partition(of_parts, -count)[-count]
        equal = np.flatnonzero(values == least)[:count]  # which may be all, as where all are 0
        candidates = np.sort(np.concatenate([np.flatnonzero(values > least), equal]))
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
