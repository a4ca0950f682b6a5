"""First weights beside PyTorch's: whitening, and convolutions that begin as the identity.

    whitening       W = [V; −V],   V[i] = vᵢ / √(λᵢ + ε)
    dirac           W[k, c, i, j] = 1 where k = c and (i, j) is the center, else 0, for k < C

with λᵢ and vᵢ the eigenvalues and eigenvectors of mean(p pᵀ) over the patches p of the images, as
the network sees them. Sources: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024
(both, as in its airbench94); D. Page, "How to train your ResNet", 2018 (whitening); S. Zagoruyko
and N. Komodakis, "DiracNets", 2017.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from neocog.errors import DataError, NeocogError
from neocog.layers import Conv2d
from neocog.network import Network
from neocog.validation import shown

__all__ = ["INITIALIZATIONS", "dirac", "initialize", "normalize", "whiten_first"]

#: The ways to begin: PyTorch's, and airbench94's.
INITIALIZATIONS = ("torch", "airbench")

# Images at a time at most, and pixels' numbers, so that their patches take some tens of megabytes.
_CHUNK, _NUMBERS = 250, 250 * 32 * 32 * 3
# A channel that is the same everywhere has no deviation to divide by.
_LEAST_STD = 1e-3


def initialize(network: Network, how: str, images: NDArray[np.uint8], seed: int) -> None:
    """Give the network its first weights.

    Args:
        network: whose weights are replaced; its preprocessing must be that of the training.
        how: "torch" for PyTorch's; "airbench" for those, but convolutions begin as the identity
            and the first one whitens.
        images: of the training, uint8 [n, height, width, channels].
        seed: of what is drawn.

    Raises:
        NeocogError: `how` is another, or the first layer cannot whiten.
    """
    if how not in INITIALIZATIONS:
        known = " or ".join(repr(name) for name in INITIALIZATIONS)
        raise NeocogError(f"initialization (={shown(how)}) must be {known}.")
    if how == "airbench":
        _first(network)
    network.initialize(seed)
    if how == "airbench":
        dirac(network)
        whiten_first(network, images)


def dirac(network: Network) -> None:
    """Let convolutions hand on their input: the first outputs as many as there are inputs.

    As `torch.nn.init.dirac_` of the weight's first in_channels outputs; the other outputs keep
    their weights, and biases become zero. Convolutions in groups are left alone.
    """
    state = network.state_dict()
    for name, layer in network.leaves.items():
        if not isinstance(layer, Conv2d) or layer.groups != 1:
            continue
        weight = state[f"{name}.weight"]
        outputs, inputs, height, width = weight.shape
        both = min(outputs, inputs)
        weight[:both] = 0
        weight[range(both), range(both), height // 2, width // 2] = 1
        if layer.bias:
            state[f"{name}.bias"][:] = 0
    network.load_state_dict(state)


def whiten_first(
    network: Network, images: NDArray[np.uint8], *, count: int = 5000, eps: float = 5e-4
) -> None:
    """Set the first convolution so that it gives each direction of its patches equal weight.

    Its first half of outputs is uncorrelated, with variances λ / (λ + ε), and the second half is
    the opposite of the first. Its bias becomes zero.

    Args:
        network: whose first layer is a convolution with two outputs for each number of a patch.
        images: uint8 [n, height, width, channels].
        count: how many of them are looked at, the first.
        eps: ε.

    Raises:
        NeocogError: the first layer is no such convolution, or there are no such images.
    """
    name, layer = _first(network)
    if len(images) == 0 or images.shape[1:] != (*network.input_shape[1:], network.input_shape[0]):
        raise DataError(
            f"Whitening needs images of the network's input shape, not {list(images.shape)}."
        )
    state = network.state_dict()
    shape = state[f"{name}.weight"].shape
    values, vectors = np.linalg.eigh(_covariance(network, images[:count], shape[2:]))
    # An eigenvector's sign is open; so that it does not hang on the library, the largest is > 0.
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))]
    scaled = (vectors * np.sign(largest) / np.sqrt(np.maximum(values, 0) + eps)).T
    state[f"{name}.weight"] = np.concatenate([scaled, -scaled]).reshape(shape)
    if layer.bias:
        state[f"{name}.bias"][:] = 0
    network.load_state_dict(state)


def normalize(network: Network, images: NDArray[np.uint8]) -> None:
    """Let the network's preprocessing take off the images' mean and divide by their deviation.

    Both are of each channel over all pixels of all images.
    """
    counts = np.zeros((images.shape[3], 256), np.int64)
    for part in _parts(images):
        for c, count in enumerate(counts):
            count += np.bincount(part[..., c].ravel(), minlength=256)
    pixels = np.arange(256) / 255
    means = [float((n * pixels).sum() / n.sum()) for n in counts]
    variances = [
        float((n * (pixels - mean) ** 2).sum() / n.sum())
        for n, mean in zip(counts, means, strict=True)
    ]
    network.preprocessing = replace(
        network.preprocessing,
        mean=tuple(round(mean, 6) for mean in means),
        std=tuple(round(max(_LEAST_STD, variance**0.5), 6) for variance in variances),
    )


def _parts(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The images, some at a time: they may be more than the memory holds."""
    count = max(1, min(_CHUNK, _NUMBERS // max(1, math.prod(images.shape[1:]))))
    for first in range(0, len(images), count):
        yield images[first : first + count]


def _first(network: Network) -> tuple[str, Conv2d]:
    """The first layer and its name, if it can whiten."""
    name, layer = next(iter(network.leaves.items()))
    if isinstance(layer, Conv2d) and layer.groups == 1:
        outputs, inputs, height, width = layer.parameter_shapes()["weight"]
        if outputs == 2 * inputs * height * width:
            return name, layer
    raise NeocogError(
        f"{name} cannot whiten: the first layer must be a convolution with two outputs for each "
        "number of a patch, such as 24 for 2 × 2 pixels of 3 channels. Take the initialization "
        "'torch', or the model 'airbench'."
    )


def _covariance(
    network: Network, images: NDArray[np.uint8], window: tuple[int, ...]
) -> NDArray[np.float64]:
    """mean(p pᵀ) of all patches, which are in the order of a weight: channel, row, column."""
    scale, shift = (np.array(v) for v in (network.preprocessing.scale, network.preprocessing.shift))
    size = images.shape[3] * window[0] * window[1]
    total, patches = np.zeros((size, size)), 0
    for part in _parts(images):
        x = part * scale + shift
        p = sliding_window_view(x, window, axis=(1, 2)).reshape(-1, size)
        total += p.T @ p
        patches += len(p)
    return total / patches
