"""Activation functions and their gradients, as vector code.

    σ(x) = 1 / (1 + exp(−x))        silu(x) = x · σ(x)        gelu(x) = x · Φ(x)

Everything is computed from t = exp(−|x|) ≤ 1, or a similar term, so that nothing overflows and no
two nearly equal numbers are subtracted:

    σ(|x|) = 1 / (1 + t)        σ(−|x|) = t / (1 + t)        σ′(x) = t / (1 + t)²
    tanh |x| = 1 − 2t / (1 + t) with t = exp(−2|x|)          tanh′(x) = 4t / (1 + t)²
    Φ(−|x|) = exp(−x² / 2) · r · P(r),  r = 1 / (1 + 0.26 |x|)

exp(x) = 2**n · exp(f), n = round(x / ln 2), with f computed in two parts so that it keeps its last
bits, and exp(f) to degree 6 (coefficients of Cephes, S. L. Moshier); within 2 units in the last
place. tanh of |x| < 0.625 is Cephes' polynomial. P is a minimax fit of degree 8 to exp(x² / 2) ·
Φ(−x) / r for 0 ≤ x ≤ 13.3, where exp(−x² / 2) ends; its relative error is 2.1e-8 (iterated weighted
least squares; the form is that of C. Hastings, "Approximations for Digital Computers", 1955, sheet
43). So Φ has an error of a few units in its last place, in the lower tail too, where 1 + erf would
lose all digits.

NaN stays NaN. At infinities every function gives the value of its formula, as in PyTorch:
silu(−∞) = −∞ · 0 is NaN.
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, NamedTuple

__all__ = ["FUNCTIONS", "Function", "exp", "normal", "sigmoid", "tanh"]

_LOWEST = -87.33654  # its exp is the smallest normal float32
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_EXP = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
_TANH = (
    -5.70498872745e-3,
    2.06390887954e-2,
    -5.37397155531e-2,
    1.33314422036e-1,
    -3.33332819422e-1,
)
_NORMAL_RATE = 0.26
_NORMAL = (
    3.089611733e-2,
    -1.547403411e-1,
    2.554668630e-1,
    -1.555361709e-1,
    1.641526313e-1,
    4.964241067e-2,
    1.033913585e-1,
    1.029649300e-1,
    1.037621910e-1,
)
_ROOT, _CUBIC = sqrt(2 / pi), 0.044715


class Function(NamedTuple):
    """A function f as two emitters; both take the function's two numbers, which few use.

    Attributes:
        value: (emit, numbers, u) → f(u).
        gradient: (emit, numbers, u, dy) → dy · f′(u).
        fills: whether f(0) is not 0.
        short: whether it is a few instructions, so that memory is what takes time.
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    fills: bool = False
    short: bool = False


def _polynomial(emit, coefficients, x):
    """A polynomial at x; the coefficients go from the highest power to the constant."""
    total = emit.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = emit.fma(total, x, emit.constant(coefficient))
    return total


def exp(emit, x):
    """The exponential of x ≤ 0; zero below `_LOWEST`; NaN for NaN."""
    lowest = emit.constant(_LOWEST)
    clamped = emit.larger(x, lowest)  # `lowest` for NaN, but x itself is used below
    whole, exponent = emit.round_to_int(emit.mul(clamped, emit.constant(1.44269504088896341)))
    f = emit.fma(whole, emit.constant(-_LN2_HIGH), x)
    f = emit.fma(whole, emit.constant(-_LN2_LOW), f)
    of_f = emit.add(emit.fma(_polynomial(emit, _EXP, f), emit.mul(f, f), f), emit.constant(1.0))
    value = emit.mul(of_f, emit.power_of_two(exponent))
    return emit.select(emit.greater(lowest, x), emit.constant(0.0), value)


def _logistic(emit, x):
    """The numbers t = exp(−|x|) and r = 1 / (1 + t)."""
    t = exp(emit, emit.sub(emit.constant(0.0), emit.absolute(x)))
    one = emit.constant(1.0)
    return t, emit.div(one, emit.add(one, t))


def _sigmoid_and_slope(emit, x):
    """σ(x) and σ′(x)."""
    t, r = _logistic(emit, x)
    lower = emit.mul(t, r)
    return emit.select(emit.greater(emit.constant(0.0), x), lower, r), emit.mul(lower, r)


def sigmoid(emit, x):
    """σ(x), with an error of a few units in its last place."""
    return _sigmoid_and_slope(emit, x)[0]


def tanh(emit, x):
    """The hyperbolic tangent, with an error of a few units in its last place."""
    magnitude, square = emit.absolute(x), emit.mul(x, x)
    near = emit.fma(emit.mul(_polynomial(emit, _TANH, square), square), x, x)
    t, r = _logistic(emit, emit.add(x, x))
    far = emit.fma(emit.constant(-2.0), emit.mul(t, r), emit.constant(1.0))
    signed = emit.select(
        emit.greater(emit.constant(0.0), x), emit.sub(emit.constant(0.0), far), far
    )
    return emit.select(emit.greater(emit.constant(0.625), magnitude), near, signed)


def normal(emit, x):
    """Φ(x) of the normal distribution, and exp(−x² / 2)."""
    density = exp(emit, emit.mul(emit.mul(x, emit.constant(-0.5)), x))
    one = emit.constant(1.0)
    r = emit.div(one, emit.fma(emit.absolute(x), emit.constant(_NORMAL_RATE), one))
    lower = emit.mul(density, emit.mul(r, _polynomial(emit, _NORMAL, r)))
    return emit.select(emit.greater(x, emit.constant(0.0)), emit.sub(one, lower), lower), density


def _cubic(emit, x):
    """The argument of gelu_tanh's σ, 2 √(2/π) (x + 0.044715 x³), and its derivative."""
    square = emit.mul(x, x)
    twice = 2 * _ROOT
    inner = emit.fma(square, emit.constant(twice * _CUBIC), emit.constant(twice))
    slope = emit.fma(square, emit.constant(3 * twice * _CUBIC), emit.constant(twice))
    return emit.mul(x, inner), slope


# Functions and their gradients, by name


def _identity(emit, numbers, u):
    return u


def _identity_gradient(emit, numbers, u, dy):
    return dy


def _relu(emit, numbers, u):
    return emit.relu(u)


def _relu_gradient(emit, numbers, u, dy):
    zero = emit.constant(0.0)
    return emit.select(emit.at_most(u, zero), zero, dy)  # NaN is not at most 0, so dy passes


def _leaky_relu(emit, numbers, u):
    return emit.select(emit.greater(u, emit.constant(0.0)), u, emit.mul(numbers[0], u))


def _leaky_relu_gradient(emit, numbers, u, dy):
    return emit.select(emit.greater(u, emit.constant(0.0)), dy, emit.mul(numbers[0], dy))


def _sigmoid(emit, numbers, u):
    return sigmoid(emit, u)


def _sigmoid_gradient(emit, numbers, u, dy):
    return emit.mul(dy, _sigmoid_and_slope(emit, u)[1])


def _tanh(emit, numbers, u):
    return tanh(emit, u)


def _tanh_gradient(emit, numbers, u, dy):
    _, slope = _sigmoid_and_slope(emit, emit.add(u, u))
    return emit.mul(dy, emit.mul(emit.constant(4.0), slope))


def _silu(emit, numbers, u):
    return emit.mul(u, sigmoid(emit, u))


def _silu_gradient(emit, numbers, u, dy):
    share, slope = _sigmoid_and_slope(emit, u)
    return emit.mul(dy, emit.fma(u, slope, share))


def _gelu(emit, numbers, u):
    return emit.mul(u, normal(emit, u)[0])


def _gelu_gradient(emit, numbers, u, dy):
    share, density = normal(emit, u)
    return emit.mul(dy, emit.fma(emit.mul(u, density), emit.constant(1 / sqrt(2 * pi)), share))


def _gelu_tanh(emit, numbers, u):
    return emit.mul(u, sigmoid(emit, _cubic(emit, u)[0]))


def _gelu_tanh_gradient(emit, numbers, u, dy):
    inner, inner_slope = _cubic(emit, u)
    share, slope = _sigmoid_and_slope(emit, inner)
    return emit.mul(dy, emit.fma(emit.mul(u, slope), inner_slope, share))


def _scale(emit, numbers, u):
    return emit.mul(numbers[0], u)


def _scale_gradient(emit, numbers, u, dy):
    return emit.mul(numbers[0], dy)


#: Every activation function. The parameter is the negative slope of `leaky_relu` and the factor of
#: `scale`.
FUNCTIONS = {
    "identity": Function(_identity, _identity_gradient, short=True),
    "relu": Function(_relu, _relu_gradient, short=True),
    "leaky_relu": Function(_leaky_relu, _leaky_relu_gradient, short=True),
    "silu": Function(_silu, _silu_gradient),
    "gelu": Function(_gelu, _gelu_gradient),
    "gelu_tanh": Function(_gelu_tanh, _gelu_tanh_gradient),
    "sigmoid": Function(_sigmoid, _sigmoid_gradient, fills=True),
    "tanh": Function(_tanh, _tanh_gradient),
    "scale": Function(_scale, _scale_gradient, short=True),
}
