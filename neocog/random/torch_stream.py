"""PyTorch's random numbers without PyTorch: initial weights and the order of every epoch.

PyTorch's default generator on CPUs is the Mersenne Twister MT19937, which NumPy has, too. This
module makes of its 32-bit words what PyTorch's functions make of them.
It is independent of training.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.layers import BatchNorm2d, Graph, GroupNorm, LayerNorm2d
from neocog.validation import as_whole, refuse, shown

__all__ = ["TorchStream"]

# From this number on, torch.randperm draws 64-bit words. Such a data set has hundreds of gigabytes
# and its order does not fit a Python list, so it is refused rather than kept untested.
_MOST_IMAGES = (2**32 - 1) // 20


class TorchStream:
    """The random numbers of PyTorch's default generator after ``torch.manual_seed(seed)``.

    Every call advances the stream as the same call in PyTorch does, so calls must be made in the
    order of the script that is reproduced: first `initial_state`, then an `epoch_order` for each
    epoch.

    Args:
        seed: an integer from −2⁶³ to 2⁶⁴ − 1. As in PyTorch, only its lowest 32 bits count.

    Raises:
        NeocogError: PyTorch would not accept the seed either.
    """

    def __init__(self, seed: int) -> None:
        number = as_whole(seed)
        if number is None:
            raise refuse("seed", seed, "a whole number")
        if not -(2**63) <= number < 2**64:
            raise NeocogError(f"seed (={shown(number)}) must lie between -2**63 and 2**64 - 1.")
        self._words = _mersenne_twister(number)

    def uniform(self, n: int, bound: float) -> NDArray[np.float32]:
        """The next n numbers of ``tensor.uniform_(-bound, bound)``, float32 [n].

        They are bitwise PyTorch's on a processor with fused multiply-add (any with AVX2). Without
        it PyTorch itself rounds once more, and differs by up to one unit in the last place.
        """
        fractions = (self._words.random_raw(n) & 0xFFFFFF).astype(np.float64) * 2.0**-24
        low = np.float32(-bound)
        width = np.float32(bound) - low
        # The fused operation rounds once. Its exact product (24 × 24 bits) and the sum both fit
        # into float64, so only the last step rounds.
        return (fractions * np.float64(width) + np.float64(low)).astype(np.float32)

    def initial_state(self, graph: Graph) -> dict[str, NDArray[Any]]:
        """The initial values of parameters and buffers, as if PyTorch built the layers in order.

        By name, in PyTorch's shapes. ``reset_parameters`` of ``torch.nn.Conv2d`` and
        ``torch.nn.Linear`` is ``kaiming_uniform_(a=√5)`` for the weight (He et al., 2015);
        normalizations start as the identity and draw nothing from the stream.
        """
        state: dict[str, NDArray[Any]] = {}
        for name, layer in graph.leaves.items():
            shapes = layer.parameter_shapes()
            if isinstance(layer, BatchNorm2d | GroupNorm | LayerNorm2d):
                for part, shape in (shapes | layer.buffer_shapes()).items():
                    if part == "num_batches_tracked":
                        state[f"{name}.{part}"] = np.zeros(shape, np.int64)
                    else:
                        begin = 1.0 if part in ("weight", "running_var") else 0.0
                        state[f"{name}.{part}"] = np.full(shape, begin, np.float32)
            elif shapes:
                fan_in = math.prod(shapes["weight"][1:])
                # Both are 1 / √fan_in except for rounding, which follows PyTorch's steps.
                gain = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
                bounds = {
                    "weight": math.sqrt(3.0) * (gain / math.sqrt(fan_in)),
                    "bias": 1 / math.sqrt(fan_in),
                }
                for part, shape in shapes.items():
                    values = self.uniform(math.prod(shape), bounds[part])
                    state[f"{name}.{part}"] = values.reshape(shape)
        return state

    def epoch_order(self, n: int) -> NDArray[np.int64]:
        """The order in which the next epoch visits n images: a permutation of 0 … n − 1, int64 [n].

        It is that of ``DataLoader(dataset, shuffle=True)``, with any number of workers: an epoch
        draws a seed for the workers, then one for the shuffle.

        Raises:
            NeocogError: n is less than 1 or more than 214,748,363.
        """
        if not 1 <= n < _MOST_IMAGES:
            raise NeocogError(f"Only 1 to {_MOST_IMAGES - 1} images can be shuffled, not {n}.")
        self._int64()
        return _randperm(_mersenne_twister(self._int64()), n)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The state of the stream as arrays: ``key`` uint32 [624], ``position`` int64 []."""
        state = self._words.state["state"]
        return {"key": state["key"].copy(), "position": np.array(state["pos"], np.int64)}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a state from `get_state`; raises `NeocogError` if it is not a valid state."""
        key, position = (np.asarray(state.get(name)) for name in ("key", "position"))
        if (
            key.dtype != np.uint32
            or key.shape != (624,)
            or position.dtype != np.int64
            or position.shape != ()
            or not 0 <= position <= 624
        ):
            raise NeocogError("This is not the state of a random stream.")
        self._words.state = {
            "bit_generator": "MT19937",
            "state": {"key": key, "pos": int(position)},
        }

    def _int64(self) -> int:
        """``torch.empty((), dtype=torch.int64).random_()``: 63 bits, the high word first."""
        high, low = (int(word) for word in self._words.random_raw(2))
        return ((high << 32) | low) & (2**63 - 1)


def _mersenne_twister(seed: int) -> np.random.MT19937:
    """MT19937 seeded as its authors did, which PyTorch does and NumPy's Generator does not."""
    words = np.random.MT19937(0)
    state: Any = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)
    words.state = state
    return words


def _randperm(words: np.random.MT19937, n: int) -> NDArray[np.int64]:
    """``torch.randperm(n)``: the Fisher–Yates shuffle, from the front, by remainder."""
    left = np.arange(n, 1, -1, dtype=np.uint64)
    partners = (words.random_raw(n - 1) % left).astype(np.int64) + np.arange(n - 1)
    # Swapped in a list, as reading and writing single numbers of an array takes a third longer.
    order = list(range(n))
    for i, partner in enumerate(partners.tolist()):
        order[i], order[partner] = order[partner], order[i]
    return np.array(order, np.int64)
