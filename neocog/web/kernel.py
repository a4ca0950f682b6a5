"""The map that a drawn kernel makes of an image, by the formula of `neocog.reference`.

Not by the engine, which compiles a kernel for each size: this must be there while one draws.
"""

import numpy as np
from numpy.typing import NDArray

from neocog.network import Network
from neocog.reference import conv2d_forward, preprocess
from neocog.web.refusal import RefusedError

__all__ = ["LARGEST", "kernel_map"]

#: Rows and columns that a kernel may have.
LARGEST = 15


def kernel_map(
    network: Network, image: NDArray[np.uint8], kernel: NDArray[np.float64], bias: float
) -> NDArray[np.float32]:
    """What a convolution with this kernel gives for the network's input, [1, height, width].

    Args:
        network: whose preprocessing makes an input of the image.
        image: uint8 [height, width, channels].
        kernel: [channels, kh, kw], or [kh, kw] for the same one on every channel; odd sizes, so
            that zeros around the image give a map of its size.
        bias: added everywhere.

    Raises:
        RefusedError: a kernel of another shape.
    """
    channels = network.input_shape[0]
    if kernel.ndim == 2:
        kernel = np.repeat(kernel[None], channels, axis=0)
    if kernel.ndim != 3 or len(kernel) != channels:
        raise RefusedError(
            f"The kernel must be [{channels}, rows, columns] or [rows, columns], not "
            f"{list(kernel.shape)}."
        )
    rows, columns = kernel.shape[1:]
    if rows % 2 == 0 or columns % 2 == 0 or max(rows, columns) > LARGEST:
        raise RefusedError(
            f"The kernel has {rows} × {columns} numbers; both must be odd, at most {LARGEST}."
        )
    x = preprocess(image[None], network.preprocessing.mean, network.preprocessing.std)
    found = conv2d_forward(x, kernel[None], np.array([bias]), (rows // 2, columns // 2))
    return np.asarray(found[0], np.float32)
