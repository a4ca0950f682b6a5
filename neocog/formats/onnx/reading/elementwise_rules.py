"""Rules of ONNX's operators that treat each element alike."""

import math

import numpy as np

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator, shortest
from neocog.formats.onnx.reading.patterns import LAYER
from neocog.formats.onnx.reading.signals import PLAIN, Pending, Signal
from neocog.formats.onnx.reading.weight_rules import affine
from neocog.layers import (
    ELU,
    GELU,
    Add,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Layer,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)

__all__: list[str] = []

# Largest float32, which stands for no limit.
_NO_LIMIT = 3.4e38
# ONNX's Softplus has no threshold; beyond this one, log(1 + exp(x)) is x in float32.
_THRESHOLD = 20.0


@onnx_operator(LAYER)
def _layer(call: Call) -> Results:
    """What `patterns` found."""
    layer: Layer = call.attribute("layer", Layer, None)
    return call.add(layer, call.signal())


def _same(operator: str, layer: Layer) -> None:
    @onnx_operator(operator)
    def _rule(call: Call) -> Results:
        call.ignore("consumed_inputs")
        return call.add(layer, call.signal())


for _operator, _its in (
    ("Relu", ReLU()),
    ("Sigmoid", Sigmoid()),
    ("Tanh", Tanh()),
    ("Softplus", Softplus(1.0, _THRESHOLD)),
    ("HardSwish", Hardswish()),
    ("Mish", Mish()),
):
    _same(_operator, _its)


@onnx_operator("LeakyRelu")
def _leaky_relu(call: Call) -> Results:
    return call.add(call.made(LeakyReLU, call.real("alpha", 0.01)), call.signal())


@onnx_operator("Elu")
def _elu(call: Call) -> Results:
    return call.add(call.made(ELU, call.real("alpha", 1)), call.signal())


@onnx_operator("Gelu")
def _gelu(call: Call) -> Results:
    return call.add(call.made(GELU, call.text("approximate", "none")), call.signal())


@onnx_operator("Swish")
def _swish(call: Call) -> Results:
    if call.real("alpha", 1) != 1:
        raise call.refuse("alpha", "1")
    return call.add(SiLU(), call.signal())


@onnx_operator("HardSigmoid")
def _hard_sigmoid(call: Call) -> Results:
    """min(max(0, alpha · x + beta), 1): neocog's, of 6 · alpha · x + 6 · beta − 3."""
    x, alpha, beta = call.signal(), call.real("alpha", 0.2), call.real("beta", 0.5)
    if not math.isclose(alpha, 1 / 6, rel_tol=1e-5):
        x = call.add(call.made(Scale, shortest(6 * alpha)), x)
    if beta != 0.5:
        shift = np.array([6 * beta - 3], np.float32)
        x = affine(call, x, None, call.importing.repeated(shift, x.shape[0]))
    return call.add(Hardsigmoid(), x)


@onnx_operator("Clip")
def _clip(call: Call) -> Results:
    low = call.number(1, call.attribute("min", float, -_NO_LIMIT))
    high = call.number(2, call.attribute("max", float, _NO_LIMIT))
    return _limited(call, call.signal(), low, high)


@onnx_operator("Max", "Min")
def _limit(call: Call) -> Results:
    if len(call.operation.inputs) != 2 or call.is_constant(0) == call.is_constant(1):
        raise call.refused("only limits that are constant are read")
    at = int(call.is_constant(1))
    limit, x = call.number(at, 0), call.signal(1 - at)
    if call.operation.operator == "Max":
        return _limited(call, x, limit, _NO_LIMIT)
    return _limited(call, x, -_NO_LIMIT, limit)


def _limited(call: Call, x: Signal, low: float, high: float) -> Signal:
    """min(max(low, x), high), of what is above 0 and what is below: f(x) − g(−x)."""
    if low <= -_NO_LIMIT and high >= _NO_LIMIT:
        return x
    if not low <= 0 <= high or low == high:
        raise call.refused(f"only limits around 0 are read, not {low:g} and {high:g}")
    above = _up_to(call, x, high) if high else None
    if not low:
        return x if above is None else above
    below = call.add(Scale(-1.0), _up_to(call, call.add(Scale(-1.0), x), -low))
    return below if above is None else call.add(Add(), above, below)


def _up_to(call: Call, x: Signal, limit: float) -> Signal:
    """min(max(0, x), limit), which is ReLU6 of another scale."""
    if limit >= _NO_LIMIT:
        return call.add(ReLU(), x)
    if limit == 6:
        return call.add(ReLU6(), x)
    x = call.add(ReLU6(), call.add(call.made(Scale, shortest(6 / limit)), x))
    return call.add(call.made(Scale, shortest(limit / 6)), x)


@onnx_operator("PRelu")
def _prelu(call: Call) -> Results:
    x, slope = call.plain(), call.weights(1)
    c = x.shape[0]
    # Aligned to the last axes, or one for all.
    whole = (*(1,) * (len(x.shape) + 1 - slope.ndim), *slope.shape)
    if slope.size != 1 and (slope.size != c or whole != (1, c, *(1,) * (len(x.shape) - 1))):
        raise call.refused(f"its slope has the shape {slope.shape}, not one number a channel")
    layer = call.made(PReLU, slope.size)
    return call.add(layer, x, tensor=1, state={"weight": slope.reshape(-1)})


@onnx_operator("Identity")
def _identity(call: Call) -> Results:
    return call.value()


@onnx_operator("Dropout")
def _dropout(call: Call) -> Results:
    """Kept, for fine-tuning; what ONNX computes is the prediction without it."""
    call.ignore("seed", "is_test")
    ratio = call.number(1, call.real("ratio", 0.5))
    if call.given(2) and call.number(2, 0):
        raise call.refused("it is in training mode")
    return call.add(call.made(Dropout, float(f"{ratio:.6g}")), call.signal())


@onnx_operator("Cast")
def _cast(call: Call) -> Results:
    if call.integer("to", 0) != 1:
        raise call.refuse("to", "1, float32, for the output of a layer")
    call.ignore("saturate", "round_mode")
    return call.signal()


@onnx_operator("Neg")
def _neg(call: Call) -> Results:
    return call.add(Scale(-1.0), call.signal())


@onnx_operator("Softmax", "LogSoftmax")
def _softmax(call: Call) -> Results:
    x = call.signal()
    axis = call.integer("axis", -1)
    if x.order != PLAIN or len(x.shape) != 1 or axis not in (1, -1):
        raise call.refused(f"a softmax is read at the end only, of scores, not of {x.shape}")
    why = f"what the {call.operation.operator} gives can only be the result"
    return Pending("softmax", x, why=why)


@onnx_operator("Shape")
def _shape(call: Call) -> Results:
    value = call.value()
    if isinstance(value, Pending):
        value = value.source
    axes = value.shape if isinstance(value, np.ndarray) else value.axes(call.batch)
    start, stop = call.integer("start", 0), call.integer("end", len(axes))
    return np.array(axes[start:stop], np.int64)
