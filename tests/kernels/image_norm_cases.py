"""Normalizations within an image, exactly and with the most that float32 may be off.

To first order: a name that ends in `_off` bounds the error of a kernel's number. What is of higher
order is a hundredth of that at most, as `MORE` allows.
"""

import numpy as np
from cases import double
from kernel_caller import UNIT, rounding

MORE = 1.01


class Exact:
    """y and the gradients in float64.

    Args:
        x, dy: maps [N, C, H, W].
        mean_of: the mean over what is normalized together, with the shape of x.
        weight, bias: [C] or None.
        eps: added to the variance.
        terms: roundings of a sum over what is normalized together.
        places: roundings of a sum over the pixels of an image.
    """

    def __init__(self, x, dy, mean_of, weight, bias, eps, *, terms, places):
        x, dy = double(x), double(dy)
        w = 1.0 if weight is None else double(weight)[:, None, None]
        b = 0.0 if bias is None else double(bias)[:, None, None]
        mean, var = mean_of(x), mean_of((x - mean_of(x)) ** 2)
        apart, invstd = x - mean, 1 / np.sqrt(var + eps)
        mean_off = rounding(terms, mean_of(np.abs(x))) + UNIT * np.abs(mean)
        apart_off = mean_off + UNIT * (np.abs(apart) + mean_off)
        var_off = rounding(terms + 4, var) + mean_off**2
        share = 0.5 * var_off / (var + eps) + 3 * UNIT  # of invstd
        normalized = apart * invstd
        normalized_off = apart_off * invstd + np.abs(normalized) * (share + 2 * UNIT)
        self.y = w * normalized + b
        size = np.abs(w * normalized) + np.abs(b)
        self.y_off = MORE * (np.abs(w) * normalized_off + rounding(3, size))

        over = (0, 2, 3)
        image = (2, 3)
        self.dweight, self.dbias = (dy * normalized).sum(over), dy.sum(over)
        size = (np.abs(dy) * (np.abs(normalized) + normalized_off)).sum(image)
        off = (np.abs(dy) * normalized_off).sum(image) + rounding(places, size)
        self.dweight_off = MORE * off.sum(0) + UNIT * np.abs(self.dweight)
        bias_off = rounding(places, np.abs(dy).sum(image))
        self.dbias_off = MORE * bias_off.sum(0) + UNIT * np.abs(self.dbias)

        g = w * dy
        through_mean, through_var = mean_of(g), mean_of(g * normalized)
        of_sums = max(terms, places) + 4
        through_mean_off = rounding(of_sums, mean_of(np.abs(g)))
        size = mean_of(np.abs(g) * (np.abs(normalized) + normalized_off))
        through_var_off = mean_of(np.abs(g) * normalized_off) + rounding(of_sums, size)
        inner = g - through_mean - normalized * through_var
        self.dx = invstd * inner
        off = through_mean_off + np.abs(normalized) * through_var_off
        off = off + normalized_off * np.abs(through_var)
        size = np.abs(g) + np.abs(through_mean) + np.abs(normalized * through_var)
        off = off + rounding(5, size)
        self.dx_off = MORE * (invstd * off + np.abs(self.dx) * (share + UNIT))
