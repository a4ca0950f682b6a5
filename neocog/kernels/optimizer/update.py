"""The element-wise update rules of optimizers.

With w a parameter, g its gradient, λ its weight decay, η the rate and t the step, from 1:

    clipping and L2         g ← clip · g,   g ← g + λ w
    decoupled (AdamW)       w ← (1 − η λ) w, instead of g ← g + λ w

    SGD                     w ← w − η g
    … with momentum         v ← μ v + g,    w ← w − η v
    … Nesterov's            v ← μ v + g,    w ← w − η (g + μ v)
    Adam                    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
                            w ← w − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
    RMSprop                 v ← α v + (1 − α) g²,    w ← w − η g / (√v + ε)
    … with momentum         b ← μ b + g / (√v + ε),  w ← w − η b
    Adagrad                 v ← v + g²,     w ← w − η / (1 + (t − 1) δ) · g / (√v + ε)

As in `torch.optim`. D. P. Kingma and J. Ba, 2014; I. Loshchilov and F. Hutter, 2017;
T. Tieleman and G. Hinton, 2012; J. Duchi, E. Hazan and Y. Singer, 2011; Nesterov's momentum as in
I. Sutskever et al., 2013.

Operands of every `…_update` are w, g, `settings`, `rates`, `step`, the arrays of its state, and
`clip`. `settings` are eight float64 of the parameter, η and λ first. `rates` is the run's table,
float64 [steps][RATES]: a factor of η, and a momentum (or β₁) that replaces that of the settings
unless it is NaN; the fifth number of the step is the row. `clip`, one float64, is only read if the
spec is `clipped`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec

__all__ = [
    "RATES",
    "Update",
    "adagrad_update",
    "adam_update",
    "clip_of",
    "current_momentum",
    "current_rates",
    "kinds",
    "rmsprop_update",
    "sgd_update",
]

#: Columns of the table of rates: a factor of η, a momentum, the average's decay, unused.
RATES = 4


@dataclass(frozen=True)
class Update(Spec):
    """A parameter that is updated item by item; `item` is the floats of one, whole vectors.

    Options that are not set change no bit and have no state: `momentum` (of SGD and RMSprop),
    `nesterov`, `decay` (weight decay, in the gradient or `decoupled`) and `clipped`.
    """

    item: int
    momentum: bool = True
    nesterov: bool = False
    decay: bool = False
    decoupled: bool = False
    clipped: bool = False

    @property
    def l2(self) -> bool:
        """Whether the gradient gets λ w."""
        return self.decay and not self.decoupled

    @property
    def shrinks(self) -> bool:
        """Whether the weight becomes (1 − η λ) w."""
        return self.decay and self.decoupled


_OPERANDS = {"w": FLOATS, "g": FLOATS, "settings": DOUBLES, "rates": DOUBLES, "step": LONGS}
_CLIP = {"clip": maybe(DOUBLES)}

# Parts of all rules


@inlined
def current_rates(rates, step):
    """This step's row of the table of rates."""
    return advance(rates, RATES * step[4])


@inlined
def current_momentum(row, own):
    """The momentum of the row of rates, or the parameter's own if that is NaN."""
    return own if row[1] != row[1] else row[1]


@inlined
def clip_of(spec, clip):
    """The clipping factor of gradients."""
    return float32(clip[0]) if spec.clipped else float32(1.0)


@inlined
def left_of(spec, decay, rate):
    """What decoupled weight decay leaves of a weight: 1 − η λ."""
    return float32(1.0 - rate * decay) if spec.shrinks else float32(1.0)


def _begin(emit, spec, clip, left, decay, w, g):
    """The weight and the gradient after clipping and weight decay.

    Factors of 1 change nothing, but λ = 0 would make NaN of an infinite weight.
    """
    weight, slope = emit.load(w), emit.mul(emit.splat(clip), emit.load(g))
    slope = emit.select(spec.l2, emit.fma(emit.splat(decay), weight, slope), slope)
    return emit.mul(emit.splat(left), weight), slope


# SGD


@block(nothing)
def sgd_vector(emit, spec, clip, left, decay, rate, w, g):
    """One vector of SGD; `rate` is −η."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    emit.store(emit.fma(emit.splat(rate), slope, weight), w)


@block(nothing)
def momentum_vector(emit, spec, clip, left, decay, momentum, rate, w, g, v):
    """One vector of SGD with momentum."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    velocity = emit.fma(emit.splat(momentum), emit.load(v), slope)
    emit.store(velocity, v)
    ahead = emit.fma(emit.splat(momentum), velocity, slope)
    slope = emit.select(spec.nesterov, ahead, velocity)
    emit.store(emit.fma(emit.splat(rate), slope, weight), w)


@kernel(**_OPERANDS, v=maybe(FLOATS), **_CLIP)
def sgd_update(spec, o, first, count):
    """SGD of items first … first + count. Settings: η, λ, μ. State: v, if there is momentum."""
    settings = o.settings
    row = current_rates(o.rates, o.step)
    rate = settings[0] * row[0]
    momentum, move = float32(current_momentum(row, settings[2])), float32(-rate)
    clip, decay = clip_of(spec, o.clip), float32(settings[1])
    left = left_of(spec, settings[1], rate)
    begin, end = first * spec.item, (first + count) * spec.item
    if spec.momentum:
        for at in range(begin, end, LANES):
            w_at, g_at, v_at = advance(o.w, at), advance(o.g, at), advance(o.v, at)
            momentum_vector(spec, clip, left, decay, momentum, move, w_at, g_at, v_at)
    else:
        for at in range(begin, end, LANES):
            sgd_vector(spec, clip, left, decay, move, advance(o.w, at), advance(o.g, at))


# Adam


@block(nothing)
def adam_vector(
    emit, spec, clip, left, decay, rate, add1, keep2, add2, correction, epsilon, w, g, m, v
):
    """One vector of Adam; `rate` is −η / (1 − β₁ᵗ), `add1` 1 − β₁, `correction` 1 / √(1 − β₂ᵗ)."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    mean, square = emit.load(m), emit.load(v)
    mean = emit.fma(emit.splat(add1), emit.sub(slope, mean), mean)
    square = emit.fma(emit.splat(add2), emit.mul(slope, slope), emit.mul(emit.splat(keep2), square))
    emit.store(mean, m)
    emit.store(square, v)
    root = emit.fma(emit.sqrt(square), emit.splat(correction), emit.splat(epsilon))
    emit.store(emit.fma(emit.splat(rate), emit.div(mean, root), weight), w)


@kernel(**_OPERANDS, m=FLOATS, v=FLOATS, **_CLIP)
def adam_update(spec, o, first, count):
    """Adam of items first … first + count. Settings: η, λ, β₁, β₂, ε. State: m, v."""
    settings = o.settings
    row = current_rates(o.rates, o.step)
    t = o.step[2] + 1
    rate = settings[0] * row[0]
    keep1, keep2 = current_momentum(row, settings[2]), settings[3]
    move = float32(-rate / (1.0 - keep1**t))
    correction = float32(1.0 / sqrt(1.0 - keep2**t))
    clip, decay = clip_of(spec, o.clip), float32(settings[1])
    left = left_of(spec, settings[1], rate)
    item = spec.item
    for at in range(first * item, (first + count) * item, LANES):
        adam_vector(
            spec,
            clip,
            left,
            decay,
            move,
            float32(1.0 - keep1),
            float32(keep2),
            float32(1.0 - keep2),
            correction,
            float32(settings[4]),
            advance(o.w, at),
            advance(o.g, at),
            advance(o.m, at),
            advance(o.v, at),
        )


# RMSprop


@block(nothing)
def rmsprop_vector(emit, spec, clip, left, decay, rate, keep, add, epsilon, w, g, v):
    """One vector of RMSprop; `rate` is −η, `add` 1 − α."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    move = _scaled(emit, slope, keep, add, epsilon, v)
    emit.store(emit.fma(emit.splat(rate), move, weight), w)


@block(nothing)
def rmsprop_momentum_vector(
    emit, spec, clip, left, decay, rate, momentum, keep, add, epsilon, w, g, v, b
):
    """One vector of RMSprop with momentum."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    move = _scaled(emit, slope, keep, add, epsilon, v)
    move = emit.fma(emit.splat(momentum), emit.load(b), move)
    emit.store(move, b)
    emit.store(emit.fma(emit.splat(rate), move, weight), w)


def _scaled(emit, slope, keep, add, epsilon, v):
    """The gradient, divided by the root of its mean square."""
    square = emit.mul(emit.splat(keep), emit.load(v))
    square = emit.fma(emit.splat(add), emit.mul(slope, slope), square)
    emit.store(square, v)
    return emit.div(slope, emit.add(emit.sqrt(square), emit.splat(epsilon)))


@kernel(**_OPERANDS, v=FLOATS, b=maybe(FLOATS), **_CLIP)
def rmsprop_update(spec, o, first, count):
    """RMSprop of items first … first + count.

    Settings: η, λ, μ, α, ε. State: v; and b, if there is momentum.
    """
    settings = o.settings
    row = current_rates(o.rates, o.step)
    rate = settings[0] * row[0]
    momentum = float32(current_momentum(row, settings[2]))
    clip, decay = clip_of(spec, o.clip), float32(settings[1])
    left = left_of(spec, settings[1], rate)
    keep, add = float32(settings[3]), float32(1.0 - settings[3])
    epsilon, move = float32(settings[4]), float32(-rate)
    begin, end = first * spec.item, (first + count) * spec.item
    if spec.momentum:
        for at in range(begin, end, LANES):
            rmsprop_momentum_vector(
                spec,
                clip,
                left,
                decay,
                move,
                momentum,
                keep,
                add,
                epsilon,
                advance(o.w, at),
                advance(o.g, at),
                advance(o.v, at),
                advance(o.b, at),
            )
    else:
        for at in range(begin, end, LANES):
            w_at, g_at, v_at = advance(o.w, at), advance(o.g, at), advance(o.v, at)
            rmsprop_vector(spec, clip, left, decay, move, keep, add, epsilon, w_at, g_at, v_at)


# Adagrad


@block(nothing)
def adagrad_vector(emit, spec, clip, left, decay, rate, epsilon, w, g, v):
    """One vector of Adagrad; `rate` is −η / (1 + (t − 1) δ)."""
    weight, slope = _begin(emit, spec, clip, left, decay, w, g)
    square = emit.fma(slope, slope, emit.load(v))
    emit.store(square, v)
    move = emit.div(slope, emit.add(emit.sqrt(square), emit.splat(epsilon)))
    emit.store(emit.fma(emit.splat(rate), move, weight), w)


@kernel(**_OPERANDS, v=FLOATS, **_CLIP)
def adagrad_update(spec, o, first, count):
    """Adagrad of items first … first + count. Settings: η, λ, δ, ε. State: v."""
    settings = o.settings
    row = current_rates(o.rates, o.step)
    rate = settings[0] * row[0]
    move = float32(-rate / (1.0 + o.step[2] * settings[2]))
    epsilon = float32(settings[3])
    clip, decay = clip_of(spec, o.clip), float32(settings[1])
    left = left_of(spec, settings[1], rate)
    item = spec.item
    for at in range(first * item, (first + count) * item, LANES):
        w_at, g_at, v_at = advance(o.w, at), advance(o.g, at), advance(o.v, at)
        adagrad_vector(spec, clip, left, decay, move, epsilon, w_at, g_at, v_at)


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    for kernel_ in (sgd_update, adam_update, rmsprop_update, adagrad_update):
        yield kernel_, Update(LANES)
