"""The values that a network's predictions depend on besides its layers."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError
from neocog.layers import Graph, Shape, state_dtype
from neocog.preprocessing import Preprocessing
from neocog.validation import instance

if TYPE_CHECKING:
    from neocog.engines import Chosen, Predicts

__all__ = ["Trained", "Values", "changing", "copied_state", "size_of"]

_lock = threading.Lock()


def _let_go() -> None:
    """Make a new lock in a forked process, which has no thread that would release the old one."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def changing() -> threading.Lock:
    """The lock that is held while a network's values are replaced by values derived from them."""
    return _lock


@dataclass(frozen=True)
class Trained:
    """The state of a network's random numbers, for `neocog.fit` to continue.

    Attributes:
        seed: the seed of training.
        epochs: number of epochs that were trained.
        stream: state of PyTorch's random stream after the latest epoch.
    """

    seed: int
    epochs: int
    stream: Mapping[str, NDArray[Any]]


class Values:
    """Weights and preprocessing of a network, with the predictors that were made from them.

    Values are immutable: a network whose weights or preprocessing change gets new ones. So a cached
    predictor never belongs to other values, whichever thread changes the network; and networks with
    the same values share them.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        state: dict[str, NDArray[Any]] | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.preprocessing = preprocessing
        self.state = state
        self.temperature = temperature
        self._predictors: dict[Chosen | None, Predicts] = {}
        for array in (state or {}).values():
            array.setflags(write=False)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state dict, which must not be changed."""
        if self.state is None:
            raise ArchitectureError(
                "This network has no parameters yet: initialize(seed), load or fit it first."
            )
        return self.state

    def predictor(self, graph: Graph, chosen: "Chosen | None") -> "Predicts":
        """What predicts by these values on an engine, neocog's own if None; it is cached."""
        if chosen not in self._predictors:
            # Imported here because Numba is slow to import, and only predictions need it.
            from neocog.engines import make_predictor

            made = make_predictor(chosen, graph, self.arrays(), self.preprocessing)
            self._predictors[chosen] = made
        return self._predictors[chosen]

    def override(self, **changes: Any) -> "Values":
        """The same values with some replaced, and without the cached predictors."""
        own = {name: getattr(self, name) for name in ("preprocessing", "state", "temperature")}
        return Values(**(own | changes))

    def __getstate__(self) -> dict[str, Any]:
        # A predictor has addresses of machine code and threads; another process makes its own.
        return {**vars(self), "_predictors": {}}

    def __deepcopy__(self, memo: object) -> "Values":
        return self


def copied_state(
    state: Mapping[str, NDArray[Any]], shapes: Mapping[str, Shape]
) -> dict[str, NDArray[Any]]:
    """Copies of a state dict's arrays, whose names and shapes must be those of `shapes`.

    Raises:
        ArchitectureError: names or shapes differ, or the values are not numbers.
    """
    wanted = "arrays by name, such as state_dict() gives"
    instance("state", state, Mapping, wanted, error=ArchitectureError)  # type: ignore[type-abstract]
    missing = [name for name in shapes if name not in state]
    extra = [str(name) for name in state if name not in shapes]
    if missing or extra:
        raise ArchitectureError(
            "The weights do not belong to this network: "
            + "; ".join(
                f"{what} {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
                for what, names in (("it lacks", missing), ("it has no", extra))
                if names
            )
            + "."
        )
    return {name: _array(name, state[name], shape) for name, shape in shapes.items()}


def size_of(shape: Shape) -> int:
    """The number of elements of an array of this shape."""
    return int(np.prod(shape, dtype=object)) if shape else 1


def _array(name: str, value: object, shape: Shape) -> NDArray[Any]:
    """A copy of an array of a state dict, converted to the network's type."""
    try:
        given = np.asarray(_on_cpu(value))
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError comes from PyTorch
        raise ArchitectureError(f"{name} is no array of numbers: {error}.") from None
    if given.shape != shape:
        raise ArchitectureError(f"{name} must have the shape {shape}, not {given.shape}.")
    dtype = state_dtype(name)
    if dtype is np.int64 and given.dtype.kind not in "iu":
        raise ArchitectureError(f"{name} must hold a whole number.")
    if given.dtype.kind not in "fiu":
        raise ArchitectureError(f"{name} must hold numbers, not {given.dtype}.")
    with np.errstate(over="ignore"):
        found: NDArray[Any] = np.array(given, dtype=dtype, order="C")
    if not np.isfinite(found).all() and not (np.isfinite(given) == np.isfinite(found)).all():
        raise ArchitectureError(f"{name} holds numbers that are too large for float32.")
    return found


def _on_cpu(value: Any) -> Any:
    """A tensor of PyTorch's as one that NumPy can read; anything else as it is."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return value
    value = value.detach().cpu()
    # NumPy knows no bfloat16, whose numbers float32 has, too.
    is_short = value.is_floating_point() and value.element_size() < np.dtype(np.float32).itemsize
    return value.float() if is_short else value
