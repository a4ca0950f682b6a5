"""Element-wise layers between two maps, fused into one operation.

    u = (x − mean) · scale + bias [+ addend],    y = f(u)

In training, batch normalization takes mean and scale from the whole batch, so it ends the images'
group; without it u = x [+ addend]. `kernels.pointwise` and `kernels.normalization` have the
formulas.
"""

from dataclasses import dataclass, replace

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.packing import vector_parameter
from neocog.engine.plan import Group, Instruction
from neocog.engine.strips import Rows
from neocog.engine.tensor import Parameter, Tensor
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.elementwise.normalization import (
    Normalization,
    batch_norm_backward,
    batch_norm_backward_finish,
    batch_norm_finish,
    batch_norm_statistics,
)
from neocog.kernels.elementwise.pointwise import Pointwise, pointwise_backward, pointwise_forward
from neocog.kernels.layout import FeatureMap, padded
from neocog.layers import BatchNorm2d

__all__ = ["PointwiseOp"]

_NONE = FeatureMap(1, 1, 1)


@dataclass(eq=False)
class PointwiseOp(Op):
    """Batch normalization, a sum with a second input, and a function; any may be missing.

    Attributes:
        norm: the batch normalization, if there is one; its name is the operation's.
        function: the function's name, as `Pointwise` knows it.
        parameter, threshold: its numbers, such as a slope.
        fixed: whether batch normalization keeps to its running statistics in training too.
        order: which of its steps come next, while it is put together: 1 has normalized, 2 has
            added, 3 has a function.
    """

    norm: BatchNorm2d | None = None
    function: str = "identity"
    parameter: float = 0.0
    threshold: float = 0.0
    fixed: bool = False
    order: int = 0

    @property
    def addend(self) -> Tensor | None:
        """The second input; None if nothing is added."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias`` of an affine batch normalization."""
        if self.norm is None or not self.norm.affine:
            return []
        count = self.norm.num_features
        return [vector_parameter(f"{self.name}.{part}", count) for part in ("weight", "bias")]

    def statistics(self) -> list[Parameter]:
        """``running_mean`` and ``running_var``."""
        if self.norm is None:
            return []
        count = self.norm.num_features
        parts = ("running_mean", "running_var")
        return [vector_parameter(f"{self.name}.{part}", count) for part in parts]

    def _spec(self) -> Pointwise:
        return Pointwise(
            x=self.x.map,
            y=self.y.map,
            addend=self.addend.map if self.addend else _NONE,
            dy=self.y.gradient_map,
            g=self._g_map,
            normalized=self.norm is not None,
            adds=self.addend is not None,
            function=self.function,
            parameter=self.parameter,
            threshold=self.threshold,
        )

    def _normalization(self, norm: BatchNorm2d) -> Normalization:
        maps = self.x.map, self._g_map, self.x.gradient_map
        return Normalization(*maps, norm.eps, norm.momentum, norm.affine, self.fixed)

    @property
    def _recomputes(self) -> bool:
        """Whether u's gradient is computed twice, which takes less than to write and to read it."""
        return self.norm is not None and self.addend is None and self.function in LIMITS

    @property
    def _g_map(self) -> FeatureMap:
        """The map of u's gradient; it has x's border if it becomes x's gradient as well."""
        return self.y.gradient_map if self.norm is not None else self.x.gradient_map

    def _channel_arrays(self, builder: Builder) -> dict[str, str]:
        """The buffers of mean, scale and bias, if it normalizes."""
        if self.norm is None:
            return {}
        names = {part: f"{self.name}.{part}" for part in ("mean", "scale")}
        names["bias"] = f"{self.name}.{'bias' if self.norm.affine else 'shift'}"
        for name in names.values():
            if name not in builder.plan.buffers:
                builder.floats(name, padded(self.norm.num_features))
        return names

    def forward(self, builder: Builder) -> None:
        """In training the batch's mean and variance come first."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        numbers = self._channel_arrays(builder)
        if self.norm is not None and builder.training:
            if self.fixed:
                builder.floats(f"{self.name}.invstd", padded(self.norm.num_features))
            else:
                self._measure(builder, self.norm)
        builder.map(self.y.name, self.y.map)
        addend = self.addend.name if self.addend else None
        names = {"x": self.x.name, "addend": addend, "y": self.y.name}
        maps = ("x", "addend", "y") if self.addend else ("x", "y")
        rows = Rows.of_maps(self._spec(), maps)
        builder.emit_rows(pointwise_forward, rows, self.name, **names, **numbers)

    def _measure(self, builder: Builder, norm: BatchNorm2d) -> None:
        name, size = self.name, padded(norm.num_features)
        spec = self._normalization(norm)
        stats = f"{name}.statistics"
        rows = Rows.of_maps(spec, ("x",), each={"statistics": 3 * size})
        measured = builder.emit_rows(
            batch_norm_statistics, rows, name, x=self.x.name, statistics=stats
        )
        builder.cut()
        for part in self.statistics():
            builder.floats(part.name, part.size)
        builder.floats(f"{name}.invstd", size)
        parts = ("running_mean", "running_var", "mean", "scale", "invstd")
        finish = Instruction.of(
            batch_norm_finish,
            replace(spec, strips=measured.strips),
            name,
            statistics=stats,
            step="step",
            weight=f"{name}.weight" if norm.affine else None,
            **{part: f"{name}.{part}" for part in parts},
        )
        builder.over(Group([finish], size // LANES, barrier=True))

    def backward(self, builder: Builder) -> None:
        """The function's gradient, then batch normalization's, which needs the whole batch."""
        if not self.y.learns:
            return
        dy = builder.gradient(self.y)
        numbers = self._channel_arrays(builder)
        name = self.name
        alone = self.norm is None and self.function == "identity"
        g, sums, stored = dy, None, not (alone or self._recomputes)
        each = {}
        if self.norm is not None:
            sums, each = f"{name}.sums", {"sums": 2 * padded(self.norm.num_features)}
        in_place = self._g_map == self.y.gradient_map and not builder.keep_activations
        if stored and not in_place:
            g = builder.map(f"{name}.g", self._g_map, transient=True)
        if not alone:
            addend = self.addend.name if self.addend else None
            names = {"x": self.x.name, "addend": addend, "dy": dy, "g": g if stored else None}
            if self.norm is not None:
                names |= {"invstd": f"{name}.invstd", "sums": sums}
            spec = replace(self._spec(), stored=stored)
            maps = [name for name in ("x", "addend", "dy", "g") if names[name] is not None]
            rows = Rows.of_maps(spec, maps, each=each)
            summed = builder.emit_rows(pointwise_backward, rows, name, **names, **numbers)
            if self.norm is not None:
                builder.cut()
                self._backward_of_norm(builder, self.norm, g, sums, summed.strips)
        g_map = self.y.gradient_map if alone else self._g_map
        if self.norm is None and self.x.learns:
            builder.give_gradient(self.x, g, g_map, keep=builder.keep_activations and alone)
        if self.addend is not None and self.addend.learns:
            builder.give_gradient(self.addend, g, g_map, keep=self.norm is None and self.x.learns)

    def _backward_of_norm(
        self, builder: Builder, norm: BatchNorm2d, g: str, sums: str | None, strips: int
    ) -> None:
        name, size = self.name, padded(norm.num_features)
        spec = self._normalization(norm)
        means = builder.floats(f"{name}.means", 2 * size)
        parts = ("weight", "bias") if norm.affine else ()
        gradients = {f"d{part}": f"{name}.{part}.gradient" for part in parts}
        finish = Instruction.of(
            batch_norm_backward_finish,
            replace(spec, strips=strips),
            name,
            sums=sums,
            step="step",
            means=means,
            **gradients,
        )
        builder.over(Group([finish], size // LANES, barrier=True))
        for parameter in self.parameters():
            builder.learn([parameter], [], size // LANES)
        if not self.x.learns:
            return

        def compute() -> str:
            dx, _ = builder.write_gradient(self.x)
            names = {part: f"{name}.{part}" for part in ("mean", "invstd", "scale")}
            names |= {"x": self.x.name, "dy": g, "means": means, "dx": dx}
            names["bias"] = self._channel_arrays(builder)["bias"]
            function = self.function if self._recomputes else "identity"
            rows = Rows.of_maps(replace(spec, function=function), ("x", "dy", "dx"))
            builder.emit_rows(batch_norm_backward, rows, name, **names)
            return dx

        if self.x.consumers == 1:
            builder.defer_gradient(self.x, compute)
        else:
            builder.add_gradient(self.x, compute())
