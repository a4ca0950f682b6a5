"""A network in training by PyTorch, behind what `neocog.engines.Engine` asks of an engine.

A step is that of `neocog.engine.Trainer`: the same order, rates, random numbers and formulas. All
that lasts from one step to the next is the state, what the optimizer remembers and the number of
steps, so that a run goes on from them exactly.
"""

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parallel import DistributedDataParallel

from neocog.engine.cores import useful_threads
from neocog.engine.lowering import lower
from neocog.engine.ops import DropoutOp
from neocog.engine.order_of_batches import (
    check_order,
    constant_rates,
    run_order,
    steps_between,
)
from neocog.engine.prefetch import prefetch
from neocog.engine.running import Run
from neocog.engine.trainer import check_images
from neocog.errors import NeocogError
from neocog.kernels.runtime.workers import ASKED, CONTROL_SIZE, DONE
from neocog.layers import Conv2d, Graph
from neocog.losses import check_targets
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings
from neocog.torch_engine.averages import Averages
from neocog.torch_engine.compiled import CompiledForBatches
from neocog.torch_engine.devices import explained
from neocog.torch_engine.dropout import count_dropouts
from neocog.torch_engine.losses import BatchLoss
from neocog.torch_engine.module import new_module
from neocog.torch_engine.optimizers import Updates
from neocog.torch_engine.processes import Processes
from neocog.torch_engine.shared_batches import shared_batches
from neocog.torch_engine.shares import Share
from neocog.torch_engine.steps import Learner, Steps
from neocog.torch_engine.sync_batch_norm import synchronize

__all__ = ["TorchTrainer"]

Floats = NDArray[np.float32]

# As much of a seed as PyTorch looks at.
_SEEN_OF_SEED = 0xFFFFFFFF


class TorchTrainer:
    """Takes training steps of a network on data.

    Args:
        graph: the network.
        state: its parameters and buffers by name; they are copied in, and `state` copies them out.
        preprocessing: how pixels become its inputs.
        images: uint8 [n, height, width, channels], of the network's input shape; of any height and
            width if they are cropped.
        labels: int64 [n], classes of the network; for other losses than cross-entropy targets,
            float32 [n, outputs].
        settings: of the training; of a batch size above n, n counts.
        device: as `torch.device` takes it.
        sample_weights: float32 [n], of the images in the loss.
        moves_momentum: whether the rates of `start` set a momentum.
        dropout_seed: of what dropout draws, if another than the settings'.
        on_compile: told how many kernels are compiled first, if images are varied by any.
        processes: that train together, each with such a trainer; None of one that trains alone.

    Raises:
        NeocogError: data that do not fit the network, or too little memory.
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
        device: str = "cpu",
        moves_momentum: bool = False,
        sample_weights: Floats | None = None,
        dropout_seed: int | None = None,
        on_compile: Callable[[int], None] | None = None,
        processes: Processes | None = None,
    ) -> None:
        images = check_images(
            graph.input_shape, images, cropped=settings.augmentation.crop is not None
        )
        check_targets(settings.loss, graph.output_shape[0], labels)
        self.steps = 0
        self.epochs = 0
        self.batch_size = min(settings.batch_size, max(1, len(images)))
        self._device = torch.device(device)
        self._settings = settings
        self._images = np.ascontiguousarray(images)
        threads, seed = _threads(settings.threads, processes), settings.seed & _SEEN_OF_SEED
        self._share = Share(processes.rank, processes.count) if processes else Share()
        if self.batch_size < self._share.of:
            raise NeocogError(
                f"batch_size (={self.batch_size}) must be at least {self._share.of}, the number of "
                "processes, each of which takes a part of every batch."
            )
        with explained():
            group = self._group(processes)
            self._module = new_module(graph)
            if group is not None and settings.sync_batch_norm:
                synchronize(self._module, group)
            dropouts = count_dropouts(self._module, _dropouts_of(graph), self.batch_size)
            self._module.to(device=self._device, memory_format=torch.channels_last).train()
            self._updates = self._made_updates(graph, moves_momentum)
            self.set_state(state)
            kind = settings.averaging.kind if settings.averaging else ""
            self._averages = Averages(kind, self._updates.parameters)
            self._batches = shared_batches(
                self._share,
                graph.input_shape,
                preprocessing,
                self._images,
                settings,
                self.batch_size,
                self._device,
                threads,
                seed,
                on_compile,
            )
            self._learner = Learner(
                self._forward(group, processes),
                self._updates,
                self._averages,
                BatchLoss(settings, graph.output_shape[0], self._device),
                self._batches,
                self._sent(labels),
                None if sample_weights is None else self._sent(sample_weights),
                dropouts,
                settings,
                self._device,
                self.batch_size,
                threads,
                seed,
                seed if dropout_seed is None else dropout_seed,
                self._share,
                processes,
            )
        self._run: Run | None = None

    def _group(self, processes: Processes | None) -> Any:
        """The process group of the gradients, if there is one."""
        if processes is None:
            return None
        return processes.group_for(self._device, compiles=self._settings.compile)

    def _forward(
        self, group: Any, processes: Processes | None
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network, whose gradients are those of all processes, if there is a group of them."""
        forward = self._module
        if self._settings.compile:
            forward = CompiledForBatches(forward, self._share.size(self.batch_size))
        if group is None or not self._updates.parameters:
            return forward  # type: ignore[no-any-return]
        if processes is not None:  # one may have compiled for long, and the next call has a limit
            processes.gather()
        # Running statistics are rank 0's; the others need none. Later versions rename the option.
        known = signature(DistributedDataParallel.__init__).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        return DistributedDataParallel(  # type: ignore[no-any-return]
            forward, process_group=group, gradient_as_bucket_view=True, **{name: False}
        )

    def _sent(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(array, order="C")).to(self._device)

    def _made_updates(self, graph: Graph, moves_momentum: bool) -> Updates:
        grouped = {
            f"{node.name}.weight"
            for node in graph.nodes
            if isinstance(node.layer, Conv2d) and node.layer.groups > 1
        }
        moving, rules = {}, {}
        for name, parameter in self._module.named_parameters():
            rule = self._settings.optimizer.rule_for(
                name, tuple(parameter.shape), moves_momentum=moves_momentum
            )
            parameter.requires_grad_(rule.kind != "frozen")
            if rule.kind == "muon" and name in grouped:
                raise NeocogError(
                    f"Muon cannot move {name}, which is not one matrix but several groups. Give it "
                    "another optimizer, or freeze it."
                )
            if rule.kind != "frozen":
                moving[name], rules[name] = parameter, rule
        return Updates(moving, rules)

    # What lasts

    @property
    def memory(self) -> int:
        """Bytes of the parameters with gradients, of what is remembered, and of loading."""
        parameters = sum(p.nbytes * (1 + p.requires_grad) for p in self._module.parameters())
        kept = sum(value.nbytes for _, value in self._kept())
        return int(parameters + kept) + self._batches.memory

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state dict by name, running statistics included; copies."""
        return {name: _copied(value) for name, value in self._module.state_dict().items()}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace every parameter and running statistic."""
        with torch.no_grad():
            for name, value in self._module.state_dict().items():
                value.copy_(torch.from_numpy(np.array(state[name])))

    def averages(self) -> dict[str, Floats]:
        """The averages of the parameters by name, where they are kept; copies."""
        return {name: _copied(value) for name, value in self._averages.values.items()}

    def gradients(self) -> dict[str, Floats]:
        """The gradient of the mean loss in the latest step, of what moves; copies."""
        return {name: _copied(_gradient(p)) for name, p in self._updates.parameters.items()}

    def _kept(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from self._updates.arrays()
        yield from ((f"{name}.average", value) for name, value in self._averages.values.items())
        if self._settings.accumulate > 1:
            # The sum of gradients, where a run ends between two batches of a step.
            for name, parameter in self._updates.parameters.items():
                yield f"{name}.total", _gradient(parameter)

    def optimizer_state(self) -> dict[str, Floats]:
        """What the optimizer remembers, as ``conv1.weight.velocity``; copies."""
        return {name: _copied(value) for name, value in self._kept()}

    def set_optimizer_state(self, state: dict[str, Floats]) -> None:
        """Replace what the optimizer remembers."""
        with torch.no_grad():
            for name, value in self._kept():
                value.copy_(torch.from_numpy(np.array(state[name])))

    # Runs

    def start(
        self,
        order: NDArray[np.int64],
        record: NDArray[np.float64],
        rates: NDArray[np.float64] | None = None,
        *,
        first: int = 0,
        until: int | None = None,
    ) -> Run:
        """Begin to take a step for each batch of `order`, in a thread; gives the run under way.

        See `neocog.engine.Trainer.start`.
        """
        self.end()
        check_order(order, len(self._images))
        if rates is None:
            rates = constant_rates(len(record))
        order = np.array(order, np.int64)
        batches = -(-len(order) // self.batch_size)
        until = batches if until is None else min(until, batches)
        control = np.zeros(CONTROL_SIZE, np.int64)
        control[DONE] = first
        work = Steps(self._learner, order, record, rates, control, self.steps, self.epochs, until)
        self._run = Run(work.take, 1, control, work)
        self._run.begin()
        if self._batches.reads:
            own, size = self._share.order(order, self.batch_size), self.batch_size
            prefetch(self._images, own, self._share.size(size), self._run)
        return self._run

    def finished(self, batches: int, of: int, first: int = 0) -> None:
        """Count what a run did: it has come from batch `first` to `batches` of so many."""
        self.steps += steps_between(first, batches, of, self._settings.accumulate)
        self.epochs += batches == of

    def run(
        self, order: NDArray[np.int64], rates: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Take a step for each batch of `order`; gives the mean loss of each finished batch."""
        return run_order(self, order, rates)

    @property
    def done(self) -> int:
        """Batches of the epoch that the run under way has finished."""
        return int(self._run.control[DONE]) if self._run else 0

    def stop(self) -> None:
        """Ask the run under way to end after its current batch."""
        if self._run:
            self._run.control[ASKED] = 1

    def end(self) -> int:
        """End the run under way after its current batch; gives the batches that are done."""
        if self._run is None:
            return 0
        self.stop()
        self._run.end()
        done, self._run = self.done, None
        return done


def _threads(asked: int | None, processes: Processes | None) -> int:
    """Threads to work with; processes of one machine share its cores."""
    useful = useful_threads(asked)
    if asked is not None or processes is None:
        return useful
    return max(1, useful // processes.launch.local_count)


def _dropouts_of(graph: Graph) -> dict[str, DropoutOp]:
    """The dropouts of neocog's engine by name, which checks the network by the way."""
    return {op.name: op for op in lower(graph, training=True) if isinstance(op, DropoutOp)}


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    """The gradient, zero before the first step."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _copied(value: torch.Tensor) -> NDArray[Any]:
    """As an array of its own, whatever the device and the order in memory."""
    return np.array(value.detach().cpu().numpy(), order="C")
