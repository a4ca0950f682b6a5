"""A network in training: its parameters and all state between two steps, and the steps."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_images
from neocog.engine.cores import useful_threads
from neocog.engine.lowering import lower
from neocog.engine.ops import Op
from neocog.engine.order_of_batches import (
    check_order,
    constant_rates,
    run_order,
    steps_between,
)
from neocog.engine.prefetch import prefetch
from neocog.engine.program import Program
from neocog.engine.program_options import ProgramOptions
from neocog.engine.running import Run
from neocog.engine.schedule import training_plan
from neocog.engine.state import fill_preprocessing, read_state, write_scales, write_state
from neocog.engine.tensor import Parameter, Tensor
from neocog.errors import DataError
from neocog.layers import Graph
from neocog.losses import WEIGHTS, check_targets, check_weights
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings

__all__ = ["Trainer"]

Floats = NDArray[np.float32]

# As much of a seed as PyTorch looks at.
_SEEN_OF_SEED = 0xFFFFFFFF


class Trainer:
    """Takes training steps of a network on data.

    All that lasts from one step to the next is in `parameters`, `optimizer_state` and `steps`.

    Args:
        graph: the network.
        state: its parameters and buffers by name; they are copied in, and `state` copies them out.
        preprocessing: how pixels become its inputs.
        images: uint8 [n, height, width, channels], of the network's input shape; of any height and
            width if they are cropped.
        labels: int64 [n], classes of the network; for other losses than cross-entropy targets,
            float32 [n, outputs].
        settings: of the training; of a batch size above n, n counts.
        sample_weights: float32 [n], of the images in the loss.
        moves_momentum: whether the rates of `start` set a momentum.
        dropout_seed: of what dropout draws, if another than the settings'.
        unfused: whether every layer is an operation of its own and all that is computed stays, for
            `maps`.
        of_score: whether gradients are those of the label's score, not of the loss.
        on_compile: told how many kernels are compiled first, if any are.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        preprocessing: Preprocessing,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        settings: TrainingSettings,
        *,
        moves_momentum: bool = False,
        sample_weights: Floats | None = None,
        dropout_seed: int | None = None,
        unfused: bool = False,
        of_score: bool = False,
        on_compile: Callable[[int], None] | None = None,
    ) -> None:
        cropped = settings.augmentation.crop is not None
        images = check_images(graph.input_shape, images, cropped=cropped)
        check_targets(settings.loss, graph.output_shape[0], labels)
        self._graph = graph
        self._unfused = unfused
        self._ops = lower(graph, training=True, unfused=unfused)
        self._parameters = [p for op in self._ops for p in op.parameters()]
        self._images = np.ascontiguousarray(images)
        self._labels = np.ascontiguousarray(labels)
        self._weights: dict[str, NDArray[np.generic]] = {}
        if sample_weights is not None:
            self._weights["sample_weights"] = np.ascontiguousarray(sample_weights, np.float32)
        self.batch_size = min(settings.batch_size, max(1, len(images)))
        #: Steps of the optimizer taken so far.
        self.steps = 0
        #: Epochs begun so far, on which augmentation depends.
        self.epochs = 0
        self._batches = 0
        self._accumulate = settings.accumulate
        height, width = images.shape[1:3]
        stored = (height, width) if (height, width) != graph.input_shape[1:] else None
        options = ProgramOptions.of(
            settings,
            moves_momentum=moves_momentum,
            of_score=of_score,
            stored=stored,
            sample_weighted=sample_weights is not None,
        )
        self._rules = {p.name: options.update_plan.rule(p) for p in self._parameters}
        self._averaging = options.update_plan.averaging
        plan = training_plan(self._ops, self.batch_size, options, keep_activations=unfused)
        threads = useful_threads(settings.threads)
        self._program = Program(plan, threads, self.batch_size, on_compile)
        fill_preprocessing(self._program, graph.input_shape, preprocessing)
        self.set_state(state)
        if self._averaging:
            self._start_averages()
        self._write_settings(settings, dropout_seed)

    def _write_settings(self, settings: TrainingSettings, dropout_seed: int | None) -> None:
        memory, buffers = self._program.memory, self._program.plan.buffers
        for parameter in self._parameters:
            rule = self._rules[parameter.name]
            if f"{parameter.name}.settings" in buffers:
                memory.array(f"{parameter.name}.settings", np.float64)[:] = rule.settings
            for word, begin in rule.state:
                filled = np.full(parameter.shape, begin, np.float32)
                self._array(f"{parameter.name}.{word}")[:] = parameter.pack(filled)
        for name in WEIGHTS:
            if (given := getattr(settings, name)) is not None:
                weights = check_weights(name, self._graph.output_shape[0], given)
                self._array(name)[: len(weights)] = weights
        if settings.clip_norm is not None:
            memory.array("limit", np.float64)[0] = settings.clip_norm
        seed = settings.seed & _SEEN_OF_SEED
        seeds = {"augment": seed, "seed": seed if dropout_seed is None else dropout_seed}
        for name, one in seeds.items():
            if name in buffers:
                memory.array(name, np.int64)[0] = one

    def _start_averages(self) -> None:
        for parameter in self._parameters:
            if f"{parameter.name}.average" in self._program.plan.buffers:
                self._array(f"{parameter.name}.average")[:] = self._array(parameter.name)

    @property
    def memory(self) -> int:
        """Bytes that the program works in, beside the data."""
        return self._program.memory.size

    def _array(self, name: str) -> Floats:
        return self._program.memory.array(name, np.float32)

    def _read(self, parameters: list[Parameter], suffix: str) -> dict[str, Floats]:
        return {p.name: p.unpack(self._array(p.name + suffix)) for p in parameters}

    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, in PyTorch's shapes; copies."""
        return self._read(self._parameters, "")

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state dict by name, running statistics included; copies."""
        batches = self._batches_before + self._batches
        return read_state(self._program, self._ops, self._graph.state_shapes, batches)

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace every parameter and running statistic."""
        tracked = [int(v) for name, v in state.items() if name.endswith(".num_batches_tracked")]
        self._batches_before = max(tracked, default=0) - self._batches
        write_state(self._program, self._ops, state)
        self._given = state

    def gradients(self) -> dict[str, Floats]:
        """The gradient of the mean loss in the latest step, by parameter; copies."""
        return self._read(self._parameters, ".gradient")

    def averages(self) -> dict[str, Floats]:
        """The averages of the parameters by name, where they are kept; copies."""
        kept = self._program.plan.buffers
        return self._read([p for p in self._parameters if f"{p.name}.average" in kept], ".average")

    def maps(self, *, last: bool = False) -> dict[str, dict[str, Floats]]:
        """What each operation, or the last, read and gave for the first image of the latest step.

        With `unfused`. By the layer's name: ``input``, ``output`` and their gradients
        ``input_gradient`` and ``output_gradient``, float32 [channels, height, width]; for a sum
        also ``addend`` and ``addend_gradient``, of more than two ``addend2`` and so on. Copies, one
        of each map, which all layers share that read it; the gradient of the mean loss.
        """
        values: dict[str, dict[str, Floats]] = {}
        copy = cache(self._program.memory.map)
        for layer, (inputs, output) in self._tensors(self._ops[-1:] if last else self._ops).items():
            words = ("input", "addend", *(f"addend{k}" for k in range(2, len(inputs))))
            of_layer = values[layer] = {}
            for word, tensor in (*zip(words, inputs, strict=False), ("output", output)):
                of_layer[word] = copy(tensor.name, tensor.map)
                if tensor.name in self._program.plan.gradients:
                    name = self._program.plan.gradients[tensor.name]
                    of_layer[f"{word}_gradient"] = copy(name, tensor.gradient_map)
        return values

    @staticmethod
    def _tensors(ops: Sequence[Op]) -> dict[str, tuple[tuple[Tensor, ...], Tensor]]:
        """By layer, what it reads and what it gives; some layers are several operations."""
        found: dict[str, tuple[tuple[Tensor, ...], Tensor]] = {}
        for op in ops:
            if op.inputs:
                read, partial = found.get(op.name, ((), None))
                found[op.name] = (*read, *(x for x in op.inputs if x is not partial)), op.y
        return found

    def readers(self) -> dict[str, tuple[str, ...]]:
        """The layers that each layer reads, with `unfused`: one, or all inputs of a sum."""
        tensors = self._tensors(self._ops)
        makers = {output.name: layer for layer, (_, output) in tensors.items()}
        return {
            layer: tuple(makers[x.name] for x in inputs if x.name in makers)
            for layer, (inputs, _) in tensors.items()
        }

    def optimizer_state(self) -> dict[str, Floats]:
        """What the optimizer remembers, as ``conv1.weight.velocity``, in PyTorch's shapes."""
        return {
            f"{p.name}.{word}": p.unpack(self._array(f"{p.name}.{word}"))
            for p in self._parameters
            for word, _ in self._kept(p)
        }

    def _kept(self, parameter: Parameter) -> list[tuple[str, float]]:
        average = [("average", 0.0)] if self._averaging else []
        # The sum of gradients, where a run ends between two batches of a step.
        total = [("total", 0.0)] if self._accumulate > 1 else []
        kept = [*self._rules[parameter.name].state, *average, *total]
        return [(w, f) for w, f in kept if f"{parameter.name}.{w}" in self._program.plan.buffers]

    def set_optimizer_state(self, state: dict[str, Floats]) -> None:
        """Replace what the optimizer remembers."""
        for parameter in self._parameters:
            for word, _ in self._kept(parameter):
                key = f"{parameter.name}.{word}"
                self._array(key)[:] = parameter.pack(state[key])

    def start(
        self,
        order: NDArray[np.int64],
        record: NDArray[np.float64],
        rates: NDArray[np.float64] | None = None,
        *,
        first: int = 0,
        until: int | None = None,
    ) -> Run:
        """Begin to take a step for each batch of `order`, in threads; gives the run under way.

        Call `end` when it has ended, or to end it, and then `finished`. With `first` and `until`
        it takes these batches only, and computes what it would in a run over all of them.

        Args:
            order: int64, indices of images.
            record: float64 [batches], gets the mean loss of each batch.
            rates: float64 [batches, 4]: for each batch the factor of the learning rates, the
                momentum or NaN, the decay of the average or NaN, and nothing.
            first: the batch to begin with.
            until: the batch before which to end; all are taken, if None.
        """
        self._program.end()
        if self._unfused and self.steps:
            # Statistics that stand still are not measured anew in a step, which gives the scales.
            write_scales(self._program, self._ops, {**self._given, **self.parameters()})
        self._order = np.ascontiguousarray(order)
        check_order(order, len(self._images))
        if rates is None:
            rates = constant_rates(len(record))
        self._rates = np.ascontiguousarray(rates, np.float64)
        if "augment" in self._program.plan.buffers:
            self._program.memory.array("augment", np.int64)[1] = self.epochs
        self._program.bind(
            {
                "images": self._images,
                "labels": self._labels,
                "order": self._order,
                "rates": self._rates,
                **self._weights,
            }
        )
        run = self._program.start(len(order), record, self.steps, first, until)
        prefetch(self._images, self._order, self.batch_size, run)
        return run

    def finished(self, batches: int, of: int, first: int = 0) -> None:
        """Count what a run did: it has come from batch `first` to `batches` of so many."""
        self.steps += steps_between(first, batches, of, self._accumulate)
        self._batches += batches - first
        self.epochs += batches == of

    def run(
        self, order: NDArray[np.int64], rates: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Take a step for each batch of `order`; gives the mean loss of each finished batch."""
        return run_order(self, order, rates)

    def profile(self) -> list[tuple[str, float]]:
        """Microseconds of each kernel in one step, each alone on one thread with warm caches.

        In order of execution, as (layer and kernel, time); the least of many runs over the order
        of the latest run. What the kernels write is written again, so train afresh afterwards.
        """
        return self._program.profile(len(self._order))

    @property
    def done(self) -> int:
        """Steps finished so far in the run under way."""
        return self._program.done

    def stop(self) -> None:
        """Ask the run under way to end after its current step."""
        self._program.stop()

    def end(self) -> int:
        """Wait until the run under way has ended, after its current step; gives its steps.

        Further Ctrl+C changes nothing, for the workers must not be left behind.
        """
        return self._program.end()


def check_images(
    input_shape: tuple[int, int, int], images: Any, *, cropped: bool = False
) -> NDArray[np.uint8]:
    """The images as an array, as `as_images` makes it; `DataError` unless a network takes it.

    If they are `cropped` before, it takes any height and width.
    """
    c, h, w = input_shape
    taken = f"The network takes images as uint8 [n, {h}, {w}, {c}] (height, width, channels)"
    try:
        array = as_images(images)
    except DataError as error:
        raise DataError(f"{error} {taken}.") from error
    if cropped and array.shape[3] == c and 0 not in array.shape[1:]:
        return array
    if array.shape[1:] != (h, w, c):
        turned = array.shape[1:] == (c, h, w)
        raise DataError(
            f"{taken}, not {array.dtype} {list(array.shape)}."
            + (" Write images.transpose(0, 2, 3, 1)." if turned else "")
        )
    return array
