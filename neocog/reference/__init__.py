"""The formulas of convolutional networks in plain NumPy, each under its own name.

They are written to be read beside a textbook, and precise enough to be the oracle of every kernel
test: float64 in, float64 out. Nothing here is fast, and nothing depends on the engine.

Legend: N images, C input channels, K output channels, H × W rows and columns, kh × kw kernel,
ph, pw zeros on each side; sh, sw the stride, dh, dw the dilation. Layouts are PyTorch's: images
[N, C, H, W], convolution weights [K, C / groups, kh, kw], linear weights [out, in]. A gradient is
named after its variable: dy is ∂loss/∂y, and so on for dx, dw, db. The result has the precision of
the inputs.

Sources: a study note on CNNs (convolution with zero padding, ReLU, max pooling, softmax,
δ = y − t, momentum); Goodfellow, Bengio, Courville, "Deep Learning" (2016), chapters 6 and 9;
the PyTorch documentation, for every convention that the formulas leave open.
"""

from neocog.reference.activation import (
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    hardsigmoid_backward,
    hardsigmoid_forward,
    hardswish_backward,
    hardswish_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    mish_backward,
    mish_forward,
    relu6_backward,
    relu6_forward,
    relu_backward,
    relu_forward,
    scale_backward,
    scale_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from neocog.reference.augmentation import (
    affine,
    random_crop_box,
    resized_crop,
    rotation_matrix,
    trivial_augment,
)
from neocog.reference.averaging import (
    ema_step,
    lookahead_step,
)
from neocog.reference.backprop import (
    backward,
    backward_from,
    forward,
    forward_training,
)
from neocog.reference.clipping import (
    clip_by_norm,
    global_norm,
)
from neocog.reference.convolution import (
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv2d_forward,
    convolution,
    cross_correlation,
)
from neocog.reference.dropout import (
    dropout_backward,
    dropout_forward,
)
from neocog.reference.image import (
    preprocess,
)
from neocog.reference.layer_rules import (
    layer_backward,
    layer_buffers,
    layer_forward,
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
    cross_entropy_divisor,
    label_score,
    label_score_backward,
    mixed_targets,
    softmax,
)
from neocog.reference.merging import (
    add_backward,
    add_forward,
    concat_backward,
    concat_forward,
    multiply_backward,
    multiply_forward,
)
from neocog.reference.muon import (
    muon_step,
    newton_schulz,
)
from neocog.reference.normalization import (
    batch_norm2d_backward_bias,
    batch_norm2d_backward_input,
    batch_norm2d_backward_weight,
    batch_norm2d_forward,
    batch_norm2d_running,
    batch_norm2d_statistics,
)
from neocog.reference.optimizers import (
    adagrad_step,
    adam_step,
    adamw_step,
    rmsprop_step,
    sgd_step,
)
from neocog.reference.padding import pad2d_backward, pad2d_forward
from neocog.reference.pooling import (
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool2d_forward,
    adaptive_max_pool2d_backward,
    adaptive_max_pool2d_forward,
    avg_pool2d_backward,
    avg_pool2d_forward,
    flatten_backward,
    flatten_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from neocog.reference.resize import (
    resize_image,
)
from neocog.reference.target_losses import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    squared_error,
    squared_error_backward,
)
from neocog.reference.upsampling import upsample_backward, upsample_forward

__all__ = [
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_forward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_forward",
    "add_backward",
    "add_forward",
    "affine",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "backward",
    "backward_from",
    "batch_norm2d_backward_bias",
    "batch_norm2d_backward_input",
    "batch_norm2d_backward_weight",
    "batch_norm2d_forward",
    "batch_norm2d_running",
    "batch_norm2d_statistics",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "clip_by_norm",
    "concat_backward",
    "concat_forward",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_forward",
    "convolution",
    "cross_correlation",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_divisor",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "ema_step",
    "flatten_backward",
    "flatten_forward",
    "forward",
    "forward_training",
    "gelu_backward",
    "gelu_forward",
    "global_norm",
    "hardsigmoid_backward",
    "hardsigmoid_forward",
    "hardswish_backward",
    "hardswish_forward",
    "label_score",
    "label_score_backward",
    "layer_backward",
    "layer_buffers",
    "layer_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_weight",
    "linear_forward",
    "lookahead_step",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "mish_backward",
    "mish_forward",
    "mixed_targets",
    "multiply_backward",
    "multiply_forward",
    "muon_step",
    "newton_schulz",
    "pad2d_backward",
    "pad2d_forward",
    "preprocess",
    "random_crop_box",
    "relu6_backward",
    "relu6_forward",
    "relu_backward",
    "relu_forward",
    "resize_image",
    "resized_crop",
    "rmsprop_step",
    "rotation_matrix",
    "scale_backward",
    "scale_forward",
    "sgd_step",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softmax",
    "softplus_backward",
    "softplus_forward",
    "squared_error",
    "squared_error_backward",
    "tanh_backward",
    "tanh_forward",
    "trivial_augment",
    "upsample_backward",
    "upsample_forward",
]
