"""Rules of ONNX's operators that pool."""

from neocog.formats.onnx.reading.call import Call, Results, onnx_operator
from neocog.formats.onnx.reading.signals import PIXELS, ROWS, Pending, Signal
from neocog.formats.onnx.reading.uneven_pools import maxima
from neocog.formats.onnx.reading.windows import Pads, pads_of, pair
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Flatten,
    MaxPool2d,
    ZeroPad2d,
)

__all__: list[str] = []

#: Kernel, stride, pads and ceil_mode.
Window = tuple[tuple[int, int], tuple[int, int], Pads, bool]

_WHOLE: dict[str, type[AdaptiveAvgPool2d | AdaptiveMaxPool2d]] = {
    "Average": AdaptiveAvgPool2d,
    "Max": AdaptiveMaxPool2d,
}


@onnx_operator("MaxPool")
def _max_pool(call: Call) -> Results:
    call.ignore("storage_order")  # of the indices, which are not read
    return _pooled(call, call.map(), MaxPool2d, _window(call), {})


@onnx_operator("AveragePool")
def _average_pool(call: Call) -> Results:
    x, window = call.map(), _window(call)
    counted = bool(call.integer("count_include_pad", 0))
    kernel, _stride, pads, ceil = window
    odd = pads[:2] != pads[2:] or any(2 * p > k for p, k in zip(pads, kernel, strict=False))
    if counted and odd and not ceil:
        top, left, bottom, right = pads
        x = call.add(ZeroPad2d((left, right, top, bottom)), x)
        window = (*window[:2], (0, 0, 0, 0), ceil)
    return _pooled(call, x, AvgPool2d, window, {"count_include_pad": counted})


def _window(call: Call) -> Window:
    """A pool's kernel, stride, pads and ceil_mode."""
    if call.integers("kernel_shape") is None:
        raise call.refuse("kernel_shape", "two whole numbers of at least 1")
    kernel, stride = pair(call, "kernel_shape"), pair(call, "strides")
    if pair(call, "dilations") != (1, 1):
        raise call.refuse("dilations", "1")
    pads = pads_of(call, call.map().shape[1:], kernel, stride)
    return kernel, stride, pads, bool(call.integer("ceil_mode", 0))


def _pooled(
    call: Call, x: Signal, kind: type[MaxPool2d | AvgPool2d], window: Window, more: dict[str, bool]
) -> Signal:
    """A pool. More padding at the end than before may be what ceil_mode adds there."""
    kernel, stride, pads, ceil = window
    before, after = pads[:2], pads[2:]
    if before == after:
        return call.add(call.made(kind, kernel, stride, before, ceil_mode=ceil, **more), x)
    if not ceil and not more.get("count_include_pad"):
        sizes = zip(x.shape[1:], kernel, stride, before, after, strict=True)
        counts = tuple((size + p + q - k) // s + 1 for size, k, s, p, q in sizes)
        for wanted in (False, True):
            layer = call.made(kind, kernel, stride, before, ceil_mode=wanted, **more)
            if call.made(layer.output_shape, x.shape)[1:] == counts:
                return call.add(layer, x)
    raise call.refused(f"its padding {pads} differs between opposite sides")


@onnx_operator("GlobalAveragePool")
def _global_average_pool(call: Call) -> Results:
    return call.add(AdaptiveAvgPool2d(), call.map())


@onnx_operator("GlobalMaxPool")
def _global_max_pool(call: Call) -> Results:
    return call.add(AdaptiveMaxPool2d(), call.map())


@onnx_operator("ReduceMean", "ReduceMax")
def _reduce(call: Call) -> Results:
    """The mean or the maximum of whole maps."""
    call.ignore("noop_with_empty_axes")
    if call.operation.operator == "ReduceMax" and isinstance(call.value(), Pending):
        return maxima(call)
    x = call.signal()
    given = call.integers("axes") if not call.given(1) else call.row(1)
    count = len(x.axes(call.batch))
    axes = {axis % count for axis in given or ()}
    rows = {PIXELS: {1, 2}, ROWS: {2} if x.groups == x.shape[0] else set()}.get(x.order, {2, 3})
    if len(x.shape) != 3 or axes != rows:
        raise call.refused(f"axes (={given}) must be those of rows and columns")
    keep = bool(call.integer("keepdims", 1))
    if keep and x.order == ROWS:
        raise call.refuse("keepdims", "0")
    kind = _WHOLE["Max" if call.operation.operator == "ReduceMax" else "Average"]
    pooled = call.add(kind(), x)
    if keep:
        return pooled
    return call.add(Flatten(), pooled.seen("plain"))
