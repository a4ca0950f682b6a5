"""The map that a kernel drawn on the page gives for an image, by the formula in `neocog.reference`.

The engine would have to compile code for each size of kernel, while the user waits.
"""

import numpy as np
from numpy.typing import NDArray

from neocog.http.refusal import RefusedError
from neocog.network import Network
from neocog.reference import conv2d_forward, preprocess

__all__ = ["LARGEST", "kernel_map"]

#: The most rows and columns of a kernel.
LARGEST = 15


def kernel_map(
    network: Network, image: NDArray[np.uint8], kernel: NDArray[np.float64], bias: float
) -> NDArray[np.float32]:
    """The output of a convolution with this kernel, float32 [1, height, width].

    Args:
        network: whose preprocessing is applied to the image.
        image: uint8 [height, width, channels].
        kernel: [channels, kh, kw], or [kh, kw] for the same kernel on every channel. Both sizes are
            odd, so that padding with zeros gives a map of the image's size.
        bias: added to every number.

    Raises:
        RefusedError: the kernel has another shape.
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
