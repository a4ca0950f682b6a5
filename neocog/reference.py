"""The formulas of convolutional networks in plain NumPy, each under its own name.

Written to be read beside the textbook, and precise enough to be the oracle of every kernel test:
float64 in, float64 out. Nothing here is fast, and nothing here knows how the engine works.

Legend: N images, C input channels, K output channels, H × W rows and columns, kh × kw kernel,
ph, pw zeros on each side. Layouts are PyTorch's: images [N, C, H, W], convolution weights
[K, C, kh, kw], linear weights [out, in]. A gradient is named for what it belongs to: dy is
∂loss/∂y, and so dx, dw, db. The result's precision follows the inputs.

Sources: a study note on CNNs (convolution with zero padding, ReLU, max pooling, softmax,
δ = y − t, momentum); Goodfellow, Bengio, Courville, "Deep Learning" (2016), chapters 6 and 9;
the PyTorch documentation, for every convention that the formulas leave open.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU

if TYPE_CHECKING:
    from neocog.network import Network

__all__ = [
    "adam_step",
    "backward",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_forward",
    "convolution",
    "cross_correlation",
    "cross_entropy",
    "cross_entropy_backward",
    "flatten_backward",
    "flatten_forward",
    "forward",
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_weight",
    "linear_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "preprocess",
    "relu_backward",
    "relu_forward",
    "sgd_step",
    "softmax",
]

Array = NDArray[Any]


# Convolution and cross-correlation of one image with one kernel


def convolution(image: Array, kernel: Array, padding: int = 0) -> Array:
    """S(i, j) = Σ_m Σ_n I(m, n) K(i − m, j − n), with I and K zero outside their arrays.

    For an image [H, W] and a kernel [kh, kw], S differs from zero for i in 0 … H + kh − 2 and j in
    0 … W + kw − 2. The result is a window of S: with `padding` p it holds the rows
    i = kh − 1 − p … H − 1 + p, and the columns likewise, so its shape is
    [H + 2p − kh + 1, W + 2p − kw + 1]. Hence

    - p = 0 keeps the places where the kernel lies wholly on the image ("valid"),
    - p = (k − 1) / 2 gives a result of the image's size for an odd k × k kernel ("same"),
    - p = k − 1 gives the whole of S for a k × k kernel ("full").

    It equals `cross_correlation` with the kernel turned by 180°.
    """
    (kh, kw), (rows, columns) = kernel.shape, _output_size(image.shape, kernel.shape, padding)
    padded = np.pad(image, padding)
    s = np.zeros((rows, columns), np.result_type(image, kernel))
    for u in range(kh):  # u = i − m and v = j − n: I is read at (i − u, j − v)
        for v in range(kw):
            top, left = kh - 1 - u, kw - 1 - v
            s += padded[top : top + rows, left : left + columns] * kernel[u, v]
    return s


def cross_correlation(image: Array, kernel: Array, padding: int = 0) -> Array:
    """S(i, j) = Σ_m Σ_n I(i + m − p, j + n − p) K(m, n): what networks call a convolution.

    For an image [H, W] and a kernel [kh, kw] the shape is [H + 2p − kh + 1, W + 2p − kw + 1]. It
    equals `convolution` with the kernel turned by 180°; as a network learns its kernels, it does
    not matter to the network which of the two it uses.
    """
    _output_size(image.shape, kernel.shape, padding)
    windows = sliding_window_view(np.pad(image, padding), kernel.shape)
    s: Array = np.einsum("ijmn,mn->ij", windows, kernel)
    return s


def _output_size(image: tuple[int, ...], kernel: tuple[int, ...], padding: int) -> tuple[int, int]:
    rows, columns = (n + 2 * padding - k + 1 for n, k in zip(image, kernel, strict=True))
    if rows < 1 or columns < 1:
        raise ValueError(
            f"A kernel of {kernel} with padding {padding} does not fit into an image of {image}."
        )
    return rows, columns


# The convolution layer


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, padding: tuple[int, int] = (0, 0)
) -> Array:
    """y[n, k, i, j] = b[k] + Σ_c Σ_u Σ_v w[k, c, u, v] · x[n, c, i + u − ph, j + v − pw].

    x [N, C, H, W], w [K, C, kh, kw], b [K] → y [N, K, H + 2ph − kh + 1, W + 2pw − kw + 1]. The
    kernel is not turned: a cross-correlation, summed over the input channels.
    """
    windows = sliding_window_view(_zero_padded(x, padding), w.shape[2:], axis=(2, 3))
    y: Array = np.einsum("ncijuv,kcuv->nkij", windows, w, optimize=True)
    return y if b is None else y + b[:, None, None]


def conv2d_backward_input(
    dy: Array, w: Array, input_shape: tuple[int, ...], padding: tuple[int, int] = (0, 0)
) -> Array:
    """dx[n, c, i, j] = Σ_k Σ_u Σ_v dy[n, k, i − u + ph, j − v + pw] · w[k, c, u, v].

    A true convolution of dy with w. dy [N, K, rows, columns], w [K, C, kh, kw] → dx of
    `input_shape` [N, C, H, W].
    """
    n, c, h, width = input_shape
    ph, pw = padding
    rows, columns = dy.shape[2:]
    padded = np.zeros((n, c, h + 2 * ph, width + 2 * pw), np.result_type(dy, w))
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            share = np.einsum("nkij,kc->ncij", dy, w[:, :, u, v], optimize=True)
            padded[:, :, u : u + rows, v : v + columns] += share
    return padded[:, :, ph : ph + h, pw : pw + width]


def conv2d_backward_weight(
    x: Array, dy: Array, kernel_size: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> Array:
    """dw[k, c, u, v] = Σ_n Σ_i Σ_j dy[n, k, i, j] · x[n, c, i + u − ph, j + v − pw].

    x [N, C, H, W], dy [N, K, rows, columns] → dw [K, C, kh, kw]; `kernel_size` is (kh, kw).
    """
    windows = sliding_window_view(_zero_padded(x, padding), kernel_size, axis=(2, 3))
    dw: Array = np.einsum("ncijuv,nkij->kcuv", windows, dy, optimize=True)
    return dw


def conv2d_backward_bias(dy: Array) -> Array:
    """Sum db[k] = Σ_n Σ_i Σ_j dy[n, k, i, j]: dy [N, K, rows, columns] → db [K]."""
    db: Array = dy.sum(axis=(0, 2, 3))
    return db


def _zero_padded(x: Array, padding: tuple[int, int]) -> Array:
    ph, pw = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


# ReLU, max pooling, flatten


def relu_forward(x: Array) -> Array:
    """f(x) = max(0, x), any shape. NaN stays NaN."""
    y: Array = np.maximum(x, x.dtype.type(0))
    return y


def relu_backward(dy: Array, x: Array) -> Array:
    """Pass dy where x > 0, else 0; at x = 0 the gradient is taken to be 0. NaN in x passes dy."""
    return np.where(x <= 0, dy.dtype.type(0), dy)


def max_pool2d_forward(x: Array) -> tuple[Array, NDArray[np.int64]]:
    """M(i, j) = the maximum of x over the region R_ij, 2 × 2 and 2 apart.

    x [N, C, H, W] → (y, winner), both [N, C, H // 2, W // 2]; an odd last row or column is left
    out. `winner` says which of the four was taken: 0, 1 above and 2, 3 below, left to right. Of
    equal values the first wins. NaN is larger than anything, and of several NaNs the last wins, as
    in PyTorch.
    """
    rows, columns = x.shape[2] // 2, x.shape[3] // 2
    corner = x[:, :, : 2 * rows : 2, : 2 * columns : 2]
    y, winner = corner.copy(), np.zeros(corner.shape, np.int64)
    for place in (1, 2, 3):
        value = x[:, :, place // 2 : 2 * rows : 2, place % 2 : 2 * columns : 2]
        wins = (value > y) | np.isnan(value)
        y[wins] = value[wins]
        winner[wins] = place
    return y, winner


def max_pool2d_backward(
    dy: Array, winner: NDArray[np.int64], input_shape: tuple[int, ...]
) -> Array:
    """Pass dy to each region's winner, 0 elsewhere.

    dy and winner [N, C, H // 2, W // 2] → dx of `input_shape` [N, C, H, W].
    """
    rows, columns = dy.shape[2:]
    dx = np.zeros(input_shape, dy.dtype)
    for place in range(4):
        part = dx[:, :, place // 2 : 2 * rows : 2, place % 2 : 2 * columns : 2]
        np.copyto(part, dy, where=winner == place)
    return dx


def flatten_forward(x: Array) -> Array:
    """Every image as one vector, channel by channel, row by row: [N, …] → [N, features]."""
    return x.reshape(len(x), -1)


def flatten_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """The way back: [N, features] → `input_shape`."""
    return dy.reshape(input_shape)


# The fully connected layer


def linear_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """The layer z = W x + b for every image: x [N, in], w [out, in], b [out] → z [N, out]."""
    z: Array = x @ w.T
    return z if b is None else z + b


def linear_backward_input(dy: Array, w: Array) -> Array:
    """Its gradient dx = Wᵀ dy for every image: dy [N, out], w [out, in] → dx [N, in]."""
    dx: Array = dy @ w
    return dx


def linear_backward_weight(x: Array, dy: Array) -> Array:
    """Its gradient dW = Σ_n dy_n x_nᵀ: x [N, in], dy [N, out] → dw [out, in]."""
    dw: Array = dy.T @ x
    return dw


def linear_backward_bias(dy: Array) -> Array:
    """Its gradient db = Σ_n dy_n: [N, out] → [out]."""
    db: Array = dy.sum(axis=0)
    return db


# Softmax and cross-entropy


def softmax(z: Array) -> Array:
    """P(y = j | x) = exp(z_j) / Σ_k exp(z_k) along the last axis: [N, classes] → [N, classes].

    The largest z is subtracted first, which changes no quotient and lets no exp overflow.
    """
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def cross_entropy(z: Array, labels: NDArray[np.integer[Any]]) -> Array:
    """loss_n = −log softmax(z_n)[label_n]: z [N, classes], labels [N] → one loss an image, [N].

    Computed as log Σ_k exp(z_k) − z_label, so that it is never the logarithm of a rounded 0.
    """
    shifted = z - z.max(axis=-1, keepdims=True)
    losses: Array = np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(z)), labels]
    return losses


def cross_entropy_backward(z: Array, labels: NDArray[np.integer[Any]]) -> Array:
    """δ = y − t, with y = softmax(z) and t the one-hot labels: [N, classes].

    The gradient of each image's own loss. It is not divided by N: for the gradient of the batch's
    mean loss, which PyTorch's ``CrossEntropyLoss`` gives, divide by N.
    """
    delta = softmax(z)
    delta[np.arange(len(z)), labels] -= 1
    return delta


# Optimisers: one step for one parameter


def sgd_step(
    parameter: Array, gradient: Array, velocity: Array, lr: float, momentum: float = 0.0
) -> tuple[Array, Array]:
    """Momentum: v ← μ v + g, v from 0, then p ← p − lr · v. Returns (p, v).

    The form of ``torch.optim.SGD``: the rate stands outside the velocity. Without momentum it is
    p ← p − lr · g, a step against the gradient.
    """
    velocity = momentum * velocity + gradient
    return parameter - lr * velocity, velocity


def adam_step(
    parameter: Array,
    gradient: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """A rate of its own for every number, from running means of g and g². Returns (p, m, v).

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², both from 0; then, with m̂ = m / (1 − β₁ᵗ)
    and v̂ = v / (1 − β₂ᵗ), p ← p − lr · m̂ / (√v̂ + ε). `step` is t, 1 for the first step.
    Kingma & Ba, "Adam" (2014), algorithm 1; ``torch.optim.Adam``.
    """
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return parameter - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


# From pixels to inputs


def preprocess(
    images: NDArray[np.uint8],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: DTypeLike = np.float64,
) -> Array:
    """Scale every channel, x = (pixel / 255 − mean) / std.

    uint8 [N, H, W, C] → `dtype` [N, C, H, W]; mean and std hold a number a channel.
    """
    pixels = images.astype(dtype) / np.asarray(255, dtype)
    x: Array = (pixels - np.asarray(mean, dtype)) / np.asarray(std, dtype)
    return x.transpose(0, 3, 1, 2)


# Whole networks


def forward(network: "Network", parameters: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The output of every layer by its name, and x itself as ``"input"``.

    x [N, C, H, W]; `parameters` are named ``conv1.weight`` and so on, as in `Network.state_dict`.
    The last output is the logits z [N, classes].
    """
    outputs = {"input": x}
    for name, layer in network.layers.items():
        match layer:
            case Conv2d():
                w, b = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
                x = conv2d_forward(x, w, b, layer.border)
            case Linear():
                w, b = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
                x = linear_forward(x, w, b)
            case ReLU():
                x = relu_forward(x)
            case MaxPool2d():
                x, _winner = max_pool2d_forward(x)
            case Flatten():
                x = flatten_forward(x)
            case _:
                raise _no_formula(name, layer)
        outputs[name] = x
    return outputs


def backward(
    network: "Network",
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer[Any]],
) -> tuple[float, dict[str, Array], dict[str, Array]]:
    """The whole of backpropagation: δ at the output, passed back through every layer.

    x [N, C, H, W], labels [N]. Returns the mean loss of the N images; its gradient for every
    parameter, by the parameter's name; and its gradient for every layer's output, by the layer's
    name, with ``"input"`` for x.
    """
    outputs = forward(network, parameters, x)
    names = ["input", *network.layers]
    z = outputs[names[-1]]
    dy = cross_entropy_backward(z, labels) / len(z)
    parameter_gradients: dict[str, Array] = {}
    output_gradients = {names[-1]: dy}
    for before, name in zip(names[-2::-1], names[:0:-1], strict=True):
        layer, x = network.layers[name], outputs[before]
        match layer:
            case Conv2d():
                w = parameters[f"{name}.weight"]
                dw = conv2d_backward_weight(x, dy, layer.kernel, layer.border)
                db = conv2d_backward_bias(dy)
                dx = conv2d_backward_input(dy, w, x.shape, layer.border)
            case Linear():
                dw, db = linear_backward_weight(x, dy), linear_backward_bias(dy)
                dx = linear_backward_input(dy, parameters[f"{name}.weight"])
            case ReLU():
                dx = relu_backward(dy, x)
            case MaxPool2d():
                dx = max_pool2d_backward(dy, max_pool2d_forward(x)[1], x.shape)
            case Flatten():
                dx = flatten_backward(dy, x.shape)
            case _:
                raise _no_formula(name, layer)
        if isinstance(layer, Conv2d | Linear):
            parameter_gradients[f"{name}.weight"] = dw
            if layer.bias:
                parameter_gradients[f"{name}.bias"] = db
        output_gradients[before] = dy = dx
    mean_loss = float(cross_entropy(z, labels).mean())
    return mean_loss, parameter_gradients, output_gradients


def _no_formula(name: str, layer: object) -> TypeError:
    return TypeError(f"{name}: there is no formula here for {type(layer).__name__}.")
