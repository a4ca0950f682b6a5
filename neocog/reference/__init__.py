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

from neocog.reference.activation import (
    relu_backward,
    relu_forward,
)
from neocog.reference.convolution import (
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv2d_forward,
    convolution,
    cross_correlation,
)
from neocog.reference.image import (
    preprocess,
)
from neocog.reference.linear import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
    linear_forward,
)
from neocog.reference.loss import (
    cross_entropy,
    cross_entropy_backward,
    softmax,
)
from neocog.reference.optimizers import (
    adam_step,
    sgd_step,
)
from neocog.reference.pooling import (
    flatten_backward,
    flatten_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from neocog.reference.walk import (
    backward,
    forward,
)

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
