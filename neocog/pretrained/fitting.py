"""Puts the tensors of a file into a network, each at its place, and says what does not fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, printable
from neocog.layers import Graph, Shape
from neocog.pretrained.names import spellings

__all__ = ["Fit", "fit_weights", "head_of", "outputs_of", "program_of"]

Arrays = Mapping[str, NDArray[Any]]

_MOST_NAMED = 4
# PyTorch counts batches since 0.4.1; neocog's predictions do not depend on it.
_COUNT = "num_batches_tracked"


@dataclass(frozen=True)
class Fit:
    """The tensors of a file that have a place in a network.

    Attributes:
        program: whose names the file's tensors have.
        state: arrays by our names; those of the last layer are missing if it does not fit.
        head: the last layer, if its weights are missing for that reason.
    """

    program: str
    state: dict[str, NDArray[Any]]
    head: str | None


def head_of(graph: Graph) -> str:
    """The last layer with parameters, which has an output for each class."""
    return list(graph.parameter_shapes)[-1].rpartition(".")[0]


def program_of(arrays: Arrays, model: str, graph: Graph) -> tuple[str, int]:
    """The program whose names for the network's tensors most of these have, and how many have one.

    Only those count whose shapes fit.
    """

    def fitting(translated: Mapping[str, str]) -> int:
        return sum(
            theirs in arrays and _shaped(arrays[theirs], graph.state_shapes[ours]) is not None
            for ours, theirs in translated.items()
        )

    found = {one: fitting(names) for one, names in spellings(model, graph).items()}
    best = max(found, key=lambda one: found[one])
    return best, found[best]


def outputs_of(arrays: Arrays, model: str, graph: Graph) -> int | None:
    """How many outputs the last layer has in a file; None if the file has no such layer."""
    names = spellings(model, graph)[program_of(arrays, model, graph)[0]]
    head = f"{head_of(graph)}."
    given = [
        arrays[name] for ours, name in names.items() if ours.startswith(head) and name in arrays
    ]
    return len(given[0]) if given and given[0].ndim else None


def fit_weights(arrays: Arrays, model: str, graph: Graph) -> Fit:
    """Find the network's tensors among those of a file.

    The last layer may have other outputs than the network's, or be missing; any other tensor that
    is missing, has another shape or no place, or holds numbers that cannot be weights is an error.

    Args:
        arrays: the file's tensors by name.
        model: the network's name.
        graph: the network.

    Raises:
        FormatError: the message has what does not fit.
    """
    program, _count = program_of(arrays, model, graph)
    names = spellings(model, graph)[program]
    head = head_of(graph)
    theirs_of_head = {ours: name for ours, name in names.items() if ours.startswith(f"{head}.")}
    state, missing, wrong = {}, [], []
    for ours, theirs in names.items():
        shape = graph.state_shapes[ours]
        if theirs not in arrays:
            if ours.endswith(f".{_COUNT}"):
                state[ours] = np.zeros((), np.int64)
            elif ours not in theirs_of_head:
                missing.append(theirs)
        elif (array := _shaped(arrays[theirs], shape)) is not None:
            state[ours] = _checked(theirs, array)
        elif ours not in theirs_of_head or not _of_other_outputs(arrays[theirs], shape):
            wrong.append(f"{theirs} is {arrays[theirs].shape}, not {shape}")
    extra = [name for name in arrays if name not in names.values()]
    _refuse(model, program, missing, wrong, extra)
    whole = all(ours in state for ours in theirs_of_head)
    if not whole:
        state = {ours: array for ours, array in state.items() if ours not in theirs_of_head}
    return Fit(program, state, None if whole else head)


def _shaped(array: NDArray[Any], shape: Shape) -> NDArray[Any] | None:
    """The array in the shape, also if its rows are only described otherwise; else None.

    Linear layers may be stored as convolutions of 1 × 1, and factors of channels as vectors.
    """
    if array.shape == shape:
        return array
    if array.ndim and shape and array.ndim != len(shape) and array.shape[0] == shape[0]:
        return array.reshape(shape) if array.size == np.prod(shape) else None
    return None


def _of_other_outputs(array: NDArray[Any], shape: Shape) -> bool:
    return array.ndim > 0 and _shaped(array, (len(array), *shape[1:])) is not None


def _checked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array, whose numbers can be those of a trained network."""
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{name} holds {array.dtype}, not numbers.")
    if not np.isfinite(array).all():
        raise FormatError(f"{name} holds numbers that are not finite: the file is damaged.")
    if name.endswith("running_var") and (array < 0).any():
        raise FormatError(f"{name} holds a negative variance: the file is damaged.")
    return array


def _refuse(
    model: str, program: str, missing: list[str], wrong: list[str], extra: list[str]
) -> None:
    said = [
        f"{what} {_some(names)}"
        for what, names in (("it lacks", missing), ("of another shape:", wrong),
                            ("without a place:", extra))
        if names
    ]  # fmt: skip
    if said:
        raise FormatError(
            f"these are not the weights of {model}, by {program}'s names: {'; '.join(said)}."
        )


def _some(names: list[str]) -> str:
    names = sorted(names, key=lambda name: [int(part) if part.isdigit() else part
                                            for part in re.split(r"(\d+)", name)])  # fmt: skip
    shown = ", ".join(printable(one) for one in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" * (len(names) > _MOST_NAMED))
