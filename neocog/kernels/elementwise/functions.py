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

    softplus(v) = max(v, 0) + log(1 + t) with t = exp(−|v|),  log(1 + t) = 2 artanh(t / (2 + t))
    elu below 0: 2**n (exp(f) − 1) + (2**n − 1),  x = n ln 2 + f
    mish(x) = x · p / (p + 2),  p = t² + 2t for x < 0, else p = (1 + 2t) / t², both times t² there

artanh(s) = s + s³/3 + s⁵/5 + … to s¹⁵, of which s ≤ 1/3 leaves 2e-9.

NaN stays NaN. At infinities every function gives the value of its formula, as in PyTorch:
silu(−∞) = −∞ · 0 is NaN.
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, NamedTuple

__all__ = ["FUNCTIONS", "Function", "exp", "expm1", "normal", "sigmoid", "tanh"]

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
_ARTANH = tuple(1 / n for n in range(15, 1, -2))
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


def _exp_parts(emit, x):
    """exp(f) − 1 and 2**n for x ≤ 0, at least `_LOWEST`; NaN for NaN."""
    lowest = emit.constant(_LOWEST)
    clamped = emit.larger(x, lowest)  # `lowest` for NaN, but x itself is used below
    whole, exponent = emit.round_to_int(emit.mul(clamped, emit.constant(1.44269504088896341)))
    f = emit.fma(whole, emit.constant(-_LN2_HIGH), x)
    f = emit.fma(whole, emit.constant(-_LN2_LOW), f)
    of_f = emit.fma(_polynomial(emit, _EXP, f), emit.mul(f, f), f)
    return of_f, emit.power_of_two(exponent)


def exp(emit, x):
    """The exponential of x ≤ 0; zero below `_LOWEST`; NaN for NaN."""
    of_f, power = _exp_parts(emit, x)
    value = emit.mul(emit.add(of_f, emit.constant(1.0)), power)
    return emit.select(emit.greater(emit.constant(_LOWEST), x), emit.constant(0.0), value)


def expm1(emit, x):
    """exp(x) − 1 of x ≤ 0, with an error of a few units in its last place; NaN for NaN."""
    of_f, power = _exp_parts(emit, x)
    minus_one = emit.constant(-1.0)
    value = emit.fma(of_f, power, emit.add(power, minus_one))
    return emit.select(emit.greater(emit.constant(_LOWEST), x), minus_one, value)


def _log1p(emit, t):
    """log(1 + t) of 0 ≤ t ≤ 1."""
    s = emit.div(t, emit.add(emit.constant(2.0), t))
    square = emit.mul(s, s)
    series = _polynomial(emit, _ARTANH, square)
    twice = emit.add(s, s)
    return emit.fma(emit.mul(series, square), twice, twice)


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


def _relu6(emit, numbers, u):
    six = emit.constant(6.0)
    return emit.select(emit.greater(u, six), six, emit.relu(u))


def _relu6_gradient(emit, numbers, u, dy):
    zero = emit.constant(0.0)
    between = emit.both(emit.greater(u, zero), emit.greater(emit.constant(6.0), u))
    return emit.select(between, dy, zero)


def _hardsigmoid(emit, numbers, u):
    shifted = emit.add(u, emit.constant(3.0))
    return emit.mul(_relu6(emit, numbers, shifted), emit.constant(1 / 6))


def _hardsigmoid_gradient(emit, numbers, u, dy):
    three = emit.constant(3.0)
    inside = emit.greater(three, emit.absolute(u))
    return emit.select(inside, emit.mul(dy, emit.constant(1 / 6)), emit.constant(0.0))


def _hardswish(emit, numbers, u):
    return emit.mul(u, _hardsigmoid(emit, numbers, u))


def _hardswish_gradient(emit, numbers, u, dy):
    slope = emit.fma(u, emit.constant(1 / 3), emit.constant(0.5))
    inside = emit.greater(emit.constant(3.0), u)
    upper = emit.select(inside, emit.mul(dy, slope), dy)
    return emit.select(emit.at_most(u, emit.constant(-3.0)), emit.constant(0.0), upper)


def _not_above_zero(emit, u):
    zero = emit.constant(0.0)
    return emit.select(emit.greater(u, zero), zero, u)


def _elu(emit, numbers, u):
    below = emit.mul(numbers[0], expm1(emit, _not_above_zero(emit, u)))
    return emit.select(emit.at_most(u, emit.constant(0.0)), below, u)


def _elu_gradient(emit, numbers, u, dy):
    below = emit.mul(dy, emit.mul(numbers[0], exp(emit, _not_above_zero(emit, u))))
    return emit.select(emit.at_most(u, emit.constant(0.0)), below, dy)


def _softplus(emit, numbers, u):
    beta, threshold = numbers
    v = emit.mul(beta, u)
    zero = emit.constant(0.0)
    t = exp(emit, emit.sub(zero, emit.absolute(v)))
    near = emit.div(emit.add(emit.relu(v), _log1p(emit, t)), beta)
    return emit.select(emit.greater(v, threshold), u, near)


def _softplus_gradient(emit, numbers, u, dy):
    beta, threshold = numbers
    v = emit.mul(beta, u)
    return emit.select(emit.greater(v, threshold), dy, emit.mul(dy, sigmoid(emit, v)))


def _mish_parts(emit, u):
    """Whether u < 0, t, and the numerator and the denominator of tanh(softplus(u))."""
    one, two = emit.constant(1.0), emit.constant(2.0)
    t = exp(emit, emit.sub(emit.constant(0.0), emit.absolute(u)))
    below = emit.greater(emit.constant(0.0), u)
    lower = emit.mul(t, emit.add(t, two))
    upper = emit.fma(two, t, one)
    part = emit.select(below, lower, upper)
    return below, t, part, emit.fma(two, emit.select(below, one, emit.mul(t, t)), part)


def _mish(emit, numbers, u):
    _, _, part, whole = _mish_parts(emit, u)
    return emit.mul(u, emit.div(part, whole))


def _mish_gradient(emit, numbers, u, dy):
    below, t, part, whole = _mish_parts(emit, u)
    r = emit.div(emit.constant(1.0), whole)
    # 4 t (1 + t) / whole², of which the upper half has one t more
    slope = emit.mul(emit.mul(emit.fma(t, t, t), emit.constant(4.0)), emit.mul(r, r))
    slope = emit.select(below, slope, emit.mul(t, slope))
    return emit.mul(dy, emit.fma(u, slope, emit.mul(part, r)))


def _scale(emit, numbers, u):
    return emit.mul(numbers[0], u)


def _scale_gradient(emit, numbers, u, dy):
    return emit.mul(numbers[0], dy)


#: Every activation function. Its numbers are the negative slope of `leaky_relu`, the factor of
#: `scale`, the alpha of `elu`, and the beta and threshold of `softplus`.
FUNCTIONS = {
    "identity": Function(_identity, _identity_gradient, short=True),
    "relu": Function(_relu, _relu_gradient, short=True),
    "leaky_relu": Function(_leaky_relu, _leaky_relu_gradient, short=True),
    "silu": Function(_silu, _silu_gradient),
    "gelu": Function(_gelu, _gelu_gradient),
    "gelu_tanh": Function(_gelu_tanh, _gelu_tanh_gradient),
    "sigmoid": Function(_sigmoid, _sigmoid_gradient, fills=True),
    "tanh": Function(_tanh, _tanh_gradient),
    "relu6": Function(_relu6, _relu6_gradient, short=True),
    "hardsigmoid": Function(_hardsigmoid, _hardsigmoid_gradient, fills=True),
    "hardswish": Function(_hardswish, _hardswish_gradient),
    "elu": Function(_elu, _elu_gradient),
    "softplus": Function(_softplus, _softplus_gradient, fills=True),
    "mish": Function(_mish, _mish_gradient),
    "scale": Function(_scale, _scale_gradient, short=True),
}
