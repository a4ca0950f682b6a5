"""Convolutions, each by the algorithm that is fastest for its sizes.

2 × 2 max pooling and ReLU after a convolution are fused into it, and for inference a sum with a
second input. With pooling it stores each maximum and its position, the winner, and the backward
pass visits winners only.
"""

from dataclasses import dataclass
from typing import Any

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.convolution_rows import convolution_rows, weight_gradient_rows
from neocog.engine.ops.packing import convolution_parameter, vector_parameter
from neocog.engine.ops.winograd import (
    winograd_convolve,
    winograd_input_gradient,
    winograd_suits,
    winograd_weight_gradient,
)
from neocog.engine.plan import Instruction
from neocog.engine.tensor import Parameter, Tensor
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.bias_gradient import BiasGradient, conv2d_backward_bias
from neocog.kernels.convolution.flipped_weight import FlippedWeight, conv2d_flip_weight
from neocog.kernels.convolution.forward import conv2d_forward
from neocog.kernels.convolution.gradient import (
    conv2d_backward_weight,
    conv2d_backward_weight_items,
)
from neocog.kernels.convolution.input_gradient import InputGradient, conv2d_backward_input_strided
from neocog.kernels.convolution.shard_sum import ShardSum, conv2d_reduce
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.convolution.weight_gradient import WeightGradient
from neocog.kernels.convolution.winner_gradient import (
    WinnerGradient,
    conv2d_backward_weight_of_winners,
)
from neocog.kernels.convolution.winner_input_gradient import (
    WinnerInputGradient,
    conv2d_backward_input_of_winners,
)
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.pooling.max_unpool import MaxUnpool, max_unpool
from neocog.layers import BatchNorm2d, Conv2d

__all__ = ["ConvolutionOp"]

_NONE = FeatureMap(1, 1, 1)

# Vectors of all taps of a winner up to which the code is unrolled.
_MOST_SCATTERED = 100

# Floats of a weight above which its gradient is computed over the whole batch, item by item,
# because a shard's sum would no longer stay in a core's cache.
_LARGE = 40_000


@dataclass(eq=False)
class ConvolutionOp(Op):
    """A convolution.

    Attributes:
        pool: whether 2 × 2 max pooling is fused into it.
        function: the name of the function that is fused into it; one of `LIMITS`.
        folded: for inference, the name of the batch normalization folded into the weights.
        folded_norm: that layer.
        single_image: whether it computes one image at a time.
        direct: whether it must not use Winograd's algorithm.
    """

    layer: Conv2d
    pool: bool = False
    function: str = "identity"
    folded: str = ""
    folded_norm: BatchNorm2d | None = None
    single_image: bool = False
    direct: bool = False

    # What it can do

    @property
    def _is_plain(self) -> bool:
        return self.layer.groups == 1 and self.layer.spread == (1, 1)

    @property
    def can_pool(self) -> bool:
        """Whether pooling can be fused into its kernel."""
        return self._is_plain and not self.pool and not self._by_winograd

    @property
    def _by_winograd(self) -> bool:
        return not self.direct and winograd_suits(
            self.layer, self.x, single_image=self.single_image
        )

    @property
    def can_add(self) -> bool:
        """Whether its kernel can add a second input to the result."""
        return not self.pool and self.addend is None

    @property
    def addend(self) -> Tensor | None:
        """The second input; None if nothing is added."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    @property
    def can_gate(self) -> bool:
        """Whether its input gradient can apply the gradient of a ReLU before it."""
        return True

    # Sizes

    @property
    def _steps(self) -> dict[str, Any]:
        """Stride and dilation, as fields of a kernel's spec."""
        (sh, sw), (dh, dw) = self.layer.steps, self.layer.spread
        return {"stride_h": sh, "stride_w": sw, "dilation_h": dh, "dilation_w": dw}

    @property
    def _crop(self) -> dict[str, Any]:
        """How much of x's border lies before the first window."""
        (bh, bw), (ph, pw) = self.x.border, self.layer.before
        return {"crop_h": bh - ph, "crop_w": bw - pw}

    @property
    def _weight(self) -> ConvolutionWeight:
        layer = self.layer
        return ConvolutionWeight(layer.out_channels, layer.in_channels, *layer.kernel, layer.groups)

    @property
    def _convolved(self) -> tuple[int, int, int]:
        """Channels, height and width before pooling."""
        shape = self.layer.output_shape((self.x.channels, self.x.height, self.x.width))
        return shape[0], shape[1], shape[2]

    def _input_spec(self, dy: FeatureMap, *, accumulate: bool = False) -> InputGradient:
        ph, pw = self.layer.before
        dx, gate = self.x.gradient_map, self.x.map if self.x.gated else _NONE
        options: dict[str, Any] = {
            "top": ph,
            "left": pw,
            "gated": self.x.gated,
            "accumulate": accumulate,
        }
        return InputGradient(dy, dx, self._weight.flipped, **self._steps, **options, gate=gate)

    @property
    def _gradient_border(self) -> tuple[int, int]:
        """The border of zeros around dy that the input gradient reads."""
        channels, height, width = self._convolved
        (kh, kw), (dh, dw) = self.layer.kernel, self.layer.spread
        widest = FeatureMap(height, width, channels, kh * dh, kw * dw)
        spec = self._input_spec(widest)
        return spec.reach_h, spec.reach_w

    @property
    def _spread(self) -> FeatureMap:
        """The map of the gradient before pooling."""
        channels, height, width = self._convolved
        return FeatureMap(height, width, channels, *self._gradient_border)

    @property
    def _has_bias(self) -> bool:
        return self.layer.bias or bool(self.folded)

    @property
    def _bias(self) -> str | None:
        return f"{self.name}.bias" if self._has_bias else None

    def ask_borders(self) -> None:
        """Zeros around x for its padding, and around dy for the input gradient."""
        sides = zip(self.layer.before, self.layer.after, strict=True)
        self.x.ask_border(*(max(side) for side in sides))
        if self.x.learns and not self.pool:
            self.y.gradient_border = self._gradient_border

    # Parameters

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias``."""
        weight = convolution_parameter(f"{self.name}.weight", self._weight)
        bias = vector_parameter(f"{self.name}.bias", self.layer.out_channels)
        return [weight, bias] if self._has_bias else [weight]

    # Forward

    def forward(self, builder: Builder) -> None:
        """Convolution, with what is fused into it."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        y = builder.map(self.y.name, self.y.map)
        if self._by_winograd:
            winograd_convolve(
                builder,
                self.name,
                self.layer,
                self.x,
                self.y,
                bias=self._bias,
                function=self.function,
                addend=self.addend,
            )
            return
        winners = None
        if self.pool and builder.training:
            winners = builder.plan.map(f"{self.name}.winners", self.y.map.bare.size * FLOAT)
        by_parts = builder.single_image and not self._has_many_pixels
        spec = Convolution(
            self.x.map,
            self.y.map,
            self._weight,
            bias=self._has_bias,
            function=self.function,
            adds=self.addend is not None,
            addend=self.addend.map if self.addend else _NONE,
            pool=self.pool,
            winners=winners is not None,
            parts=by_parts,
            **self._crop,
            **self._steps,
        )
        operands = {
            "x": self.x.name,
            "weight": f"{self.name}.weight",
            "bias": self._bias,
            "y": y,
            "winners": winners,
            "addend": self.addend.name if self.addend else None,
        }
        if by_parts:
            parts = spec.bands * spec.w.blocks
            builder.emit_parts(conv2d_forward, spec, self.name, parts=parts, **operands)
        elif spec.pool:
            builder.emit(conv2d_forward, spec, self.name, **operands)
        else:
            builder.emit_rows(conv2d_forward, convolution_rows(spec), self.name, **operands)

    @property
    def _has_many_pixels(self) -> bool:
        """Whether workers share a single image's rows, and each of them reads all weights."""
        return not self.pool and self._weight.size < self.x.map.size + self.y.map.size

    # Backward

    def backward(self, builder: Builder) -> None:
        """The weight's gradient, then x's."""
        dy = builder.gradient(self.y)
        self._weight_gradient(builder, dy)
        if self.x.learns:
            self._input_gradient(builder, dy)

    def _weight_gradient(self, builder: Builder, dy: str) -> None:
        name, w = self.name, self._weight
        if self._by_winograd:
            instructions, items = winograd_weight_gradient(
                builder, name, self.layer, self.x, dy, self.y.gradient_map
            )
            builder.learn(self.parameters(), instructions, items)
            return
        if not self.pool and w.size > _LARGE:
            self._weight_gradient_of_batch(builder, dy)
            return
        if self.pool:
            sums = self._sums_of_winners(builder, dy)
        else:
            sums = ShardSum(w, self.layer.bias, builder.shard)
            spec = self._gradient(builder.shard)
            of = self._shards(builder, sums) | {"x": self.x.name, "dy": dy}
            builder.emit_rows(conv2d_backward_weight, weight_gradient_rows(spec), name, **of)
        gradients = {"dw": f"{name}.weight.gradient", "db": self._bias_gradient, "step": "step"}
        of = self._shards(builder, sums)
        reduce = Instruction.of(conv2d_reduce, sums, name, **of, **gradients)
        if w.groups == 1:
            builder.learn(self.parameters(), [reduce], w.blocks)
            return
        # A group's blocks of the bias may be larger than the group.
        builder.before_learning(reduce, w.blocks)
        for parameter in self.parameters():
            builder.learn([parameter], [], parameter.size // LANES)

    def _gradient(self, shard: int) -> WeightGradient:
        of_dy = self.y.gradient_map
        steps = {**self._steps, **self._crop}
        return WeightGradient(self.x.map, of_dy, self._weight, self.layer.bias, shard, **steps)

    @property
    def _bias_gradient(self) -> str | None:
        return f"{self.name}.bias.gradient" if self.layer.bias else None

    def _shards(self, builder: Builder, spec: ShardSum) -> dict[str, str]:
        """The buffers of the shards' sums."""
        sums = builder.floats(f"{self.name}.weight.shards", spec.size * builder.shards)
        of_bias = builder.floats(f"{self.name}.bias.shards", spec.bias_size * builder.shards)
        return {"sums": sums, "bias_sums": of_bias}

    def _sums_of_winners(self, builder: Builder, dy: str) -> ShardSum:
        """The weight's gradient from the winners of pooling."""
        name, w, (stride_h, stride_w) = self.name, self._weight, self.layer.steps
        spec = WinnerGradient(
            self.x.map,
            self.y.gradient_map,
            w,
            self.layer.bias,
            builder.shard,
            stride_h,
            stride_w,
            **self._crop,
        )
        sums = ShardSum(w, self.layer.bias, builder.shard, spec.line, self.x.map.pixel)
        of = {"x": self.x.name, "dy": dy, "winners": f"{name}.winners"}
        of |= self._shards(builder, sums)
        builder.emit(conv2d_backward_weight_of_winners, spec, name, **of)
        return sums

    def _weight_gradient_of_batch(self, builder: Builder, dy: str) -> None:
        """The weight's gradient, item by item, each over the whole batch."""
        name, spec = self.name, self._gradient(0)
        of = {"x": self.x.name, "dy": dy, "dw": f"{name}.weight.gradient", "step": "step"}
        items = Instruction.of(conv2d_backward_weight_items, spec, name, **of)
        builder.before_learning(items, spec.items)
        weight, *bias = self.parameters()
        builder.learn([weight], [], self._weight.blocks)
        for parameter in bias:
            of = {"dy": dy, "db": f"{name}.bias.gradient", "step": "step"}
            of_bias = Instruction.of(conv2d_backward_bias, BiasGradient(spec.dy), name, **of)
            builder.learn([parameter], [of_bias], parameter.size // LANES)

    def _input_gradient(self, builder: Builder, dy: str) -> None:
        name, w = self.name, self._weight
        dy_map = self.y.gradient_map
        if self._by_winograd:
            winograd_input_gradient(builder, name, self.layer, self.x, dy, dy_map)
            return
        if self._scatters:
            self._input_gradient_of_winners(builder, dy)
            return
        if self.pool:
            dense = builder.map(f"{name}.dy.spread", self._spread, transient=True)
            pooled = MaxUnpool(self.x.map, dy_map, self._spread, *self.layer.steps)
            winners = f"{name}.winners"
            builder.emit(max_unpool, pooled, name, dy=dy, winners=winners, dx=dense)
            dy, dy_map = dense, self._spread
        flipped = builder.floats(f"{name}.weight.flipped", w.flipped.size)
        dx, adds = builder.write_gradient(self.x, can_add=not self.x.gated)
        spec = self._input_spec(dy_map, accumulate=adds)
        gate = self.x.name if spec.gated else None
        if self.layer.steps == (1, 1):
            (kh, kw), (dh, dw), (ph, pw) = self.layer.kernel, self.layer.spread, self.layer.before
            plain = Convolution(
                dy_map,
                spec.dx,
                w.flipped,
                bias=False,
                crop_h=dy_map.border_h - dh * (kh - 1) + ph,
                crop_w=dy_map.border_w - dw * (kw - 1) + pw,
                gated=spec.gated,
                gate=spec.gate,
                dilation_h=dh,
                dilation_w=dw,
                accumulate=adds,
            )
            of = {"x": dy, "weight": flipped, "y": dx, "gate": gate}
            builder.emit_rows(conv2d_forward, convolution_rows(plain), name, **of)
        else:
            of = {"dy": dy, "weight": flipped, "dx": dx, "gate": gate}
            builder.emit(conv2d_backward_input_strided, spec, name, **of)
        if not adds:
            builder.add_gradient(self.x, dx)
        self._flip_weight(builder)

    @property
    def _scatters(self) -> bool:
        """Whether the input gradient is fastest if only the winners are visited."""
        (kh, kw), w = self.layer.kernel, self._weight.flipped
        inside = self.layer.before == self.layer.after == (0, 0)
        short = kh * kw * w.blocks * w.vectors <= _MOST_SCATTERED
        return self.pool and inside and short and self.x.gradient_map == self.x.map

    def _input_gradient_of_winners(self, builder: Builder, dy: str) -> None:
        dx, _ = builder.write_gradient(self.x)
        name, w = self.name, self._weight.flipped
        spec = WinnerInputGradient(
            self.y.gradient_map.bare, self.x.map, w, *self.layer.steps, gated=self.x.gated
        )
        flipped = builder.floats(f"{name}.weight.flipped", w.size)
        of = {"dy": dy, "winners": f"{name}.winners", "weight": flipped, "dx": dx}
        builder.emit(conv2d_backward_input_of_winners, spec, name, **of, gate=self.x.name)
        builder.add_gradient(self.x, dx)
        self._flip_weight(builder)

    def _flip_weight(self, builder: Builder) -> None:
        """Compute the flipped weight after every step."""
        name, w = self.name, self._weight
        of = {"weight": f"{name}.weight", "flipped": f"{name}.weight.flipped"}
        flip = Instruction.of(conv2d_flip_weight, FlippedWeight(w), name, **of)
        builder.refresh(flip, w.blocks)
