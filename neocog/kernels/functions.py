"""Functions of single numbers, as vector code, and what they pass back.

    σ(x) = 1 / (1 + exp(−x))        silu(x) = x · σ(x)        gelu(x) = x · Φ(x)

Everything is computed from t = exp(−|x|) ≤ 1, or its like, so nothing overflows and no two nearly
equal numbers are subtracted:

    σ(|x|) = 1 / (1 + t)        σ(−|x|) = t / (1 + t)        σ′(x) = t / (1 + t)²
    tanh |x| = 1 − 2t / (1 + t) with t = exp(−2|x|)          tanh′(x) = 4t / (1 + t)²
    Φ(−|x|) = exp(−x² / 2) · r · P(r),  r = 1 / (1 + 0.26 |x|)

exp(x) = 2**n · exp(f), n = round(x / ln 2), with f taken in two parts so that it keeps its last
bits, and exp(f) to degree 6 (coefficients of Cephes, S. L. Moshier); within 2 units in the last
place. tanh of |x| < 0.625 is Cephes' polynomial. P is a minimax fit of degree 8 to
exp(x² / 2) · Φ(−x) / r for 0 ≤ x ≤ 13.3, where exp(−x² / 2) ends; its relative error is 2.1e-8
(iterated weighted least squares; the form is that of C. Hastings, "Approximations for Digital
Computers", 1955, sheet 43). So Φ is right to a few units in the last place of itself, in its lower
tail too, where 1 + erf has lost all digits.

NaN stays NaN. At infinities every function gives what its formula gives, as PyTorch's do:
silu(−∞) = −∞ · 0 is NaN.
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, NamedTuple

__all__ = ["FUNCTIONS", "Function", "exp", "normal", "sigmoid", "tanh"]

_LOWEST = -87.33654  # exp of it is the smallest normal float32
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
    """A function f as emitters; both take its parameter, a number that few functions have.

    Attributes:
        value: (e, parameter, u) → f(u).
        gradient: (e, parameter, u, dy) → dy · f′(u).
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]


def _polynomial(e, coefficients, x):
    """The coefficients from the highest power to the constant, at x."""
    total = e.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = e.fma(total, x, e.constant(coefficient))
    return total


def exp(e, x):
    """The exponential of x ≤ 0; zero below `_LOWEST`; NaN of NaN."""
    lowest = e.constant(_LOWEST)
    clamped = e.larger(x, lowest)  # where x is NaN this is `lowest`, but x itself goes on below
    whole, exponent = e.round_to_int(e.mul(clamped, e.constant(1.44269504088896341)))
    f = e.fma(whole, e.constant(-_LN2_HIGH), x)
    f = e.fma(whole, e.constant(-_LN2_LOW), f)
    of_f = e.add(e.fma(_polynomial(e, _EXP, f), e.mul(f, f), f), e.constant(1.0))
    value = e.mul(of_f, e.power_of_two(exponent))
    return e.select(e.greater(lowest, x), e.constant(0.0), value)


def _logistic(e, x):
    """The numbers t = exp(−|x|) and r = 1 / (1 + t)."""
    t = exp(e, e.sub(e.constant(0.0), e.absolute(x)))
    one = e.constant(1.0)
    return t, e.div(one, e.add(one, t))


def _sigmoid_and_slope(e, x):
    """σ(x) and σ′(x)."""
    t, r = _logistic(e, x)
    lower = e.mul(t, r)
    return e.select(e.greater(e.constant(0.0), x), lower, r), e.mul(lower, r)


def sigmoid(e, x):
    """σ(x), right to a few units in the last place of itself."""
    return _sigmoid_and_slope(e, x)[0]


def tanh(e, x):
    """The hyperbolic tangent, right to a few units in the last place of itself."""
    magnitude, square = e.absolute(x), e.mul(x, x)
    near = e.fma(e.mul(_polynomial(e, _TANH, square), square), x, x)
    t, r = _logistic(e, e.add(x, x))
    far = e.fma(e.constant(-2.0), e.mul(t, r), e.constant(1.0))
    signed = e.select(e.greater(e.constant(0.0), x), e.sub(e.constant(0.0), far), far)
    return e.select(e.greater(e.constant(0.625), magnitude), near, signed)


def normal(e, x):
    """Φ(x), the normal distribution's, and exp(−x² / 2)."""
    density = exp(e, e.mul(e.mul(x, e.constant(-0.5)), x))
    one = e.constant(1.0)
    r = e.div(one, e.fma(e.absolute(x), e.constant(_NORMAL_RATE), one))
    lower = e.mul(density, e.mul(r, _polynomial(e, _NORMAL, r)))
    return e.select(e.greater(x, e.constant(0.0)), e.sub(one, lower), lower), density


def _cubic(e, x):
    """The argument of gelu_tanh's σ, 2 √(2/π) (x + 0.044715 x³), and its derivative."""
    square = e.mul(x, x)
    twice = 2 * _ROOT
    inner = e.fma(square, e.constant(twice * _CUBIC), e.constant(twice))
    slope = e.fma(square, e.constant(3 * twice * _CUBIC), e.constant(twice))
    return e.mul(x, inner), slope


# Functions and their gradients, by name


def _identity(e, parameter, u):
    return u


def _identity_gradient(e, parameter, u, dy):
    return dy


def _relu(e, parameter, u):
    return e.relu(u)


def _relu_gradient(e, parameter, u, dy):
    zero = e.constant(0.0)
    return e.select(e.at_most(u, zero), zero, dy)  # NaN is not at most 0: it lets dy pass


def _leaky_relu(e, parameter, u):
    return e.select(e.greater(u, e.constant(0.0)), u, e.mul(e.constant(parameter), u))


def _leaky_relu_gradient(e, parameter, u, dy):
    return e.select(e.greater(u, e.constant(0.0)), dy, e.mul(e.constant(parameter), dy))


def _sigmoid(e, parameter, u):
    return sigmoid(e, u)


def _sigmoid_gradient(e, parameter, u, dy):
    return e.mul(dy, _sigmoid_and_slope(e, u)[1])


def _tanh(e, parameter, u):
    return tanh(e, u)


def _tanh_gradient(e, parameter, u, dy):
    _, slope = _sigmoid_and_slope(e, e.add(u, u))
    return e.mul(dy, e.mul(e.constant(4.0), slope))


def _silu(e, parameter, u):
    return e.mul(u, sigmoid(e, u))


def _silu_gradient(e, parameter, u, dy):
    share, slope = _sigmoid_and_slope(e, u)
    return e.mul(dy, e.fma(u, slope, share))


def _gelu(e, parameter, u):
    return e.mul(u, normal(e, u)[0])


def _gelu_gradient(e, parameter, u, dy):
    share, density = normal(e, u)
    return e.mul(dy, e.fma(e.mul(u, density), e.constant(1 / sqrt(2 * pi)), share))


def _gelu_tanh(e, parameter, u):
    return e.mul(u, sigmoid(e, _cubic(e, u)[0]))


def _gelu_tanh_gradient(e, parameter, u, dy):
    inner, inner_slope = _cubic(e, u)
    share, slope = _sigmoid_and_slope(e, inner)
    return e.mul(dy, e.fma(e.mul(u, slope), inner_slope, share))


def _scale(e, parameter, u):
    return e.mul(e.constant(parameter), u)


def _scale_gradient(e, parameter, u, dy):
    return e.mul(e.constant(parameter), dy)


#: Every function that stands between two maps. The parameter is `leaky_relu`'s negative slope and
#: `scale`'s factor.
FUNCTIONS = {
    "identity": Function(_identity, _identity_gradient),
    "relu": Function(_relu, _relu_gradient),
    "leaky_relu": Function(_leaky_relu, _leaky_relu_gradient),
    "silu": Function(_silu, _silu_gradient),
    "gelu": Function(_gelu, _gelu_gradient),
    "gelu_tanh": Function(_gelu_tanh, _gelu_tanh_gradient),
    "sigmoid": Function(_sigmoid, _sigmoid_gradient),
    "tanh": Function(_tanh, _tanh_gradient),
    "scale": Function(_scale, _scale_gradient),
}
