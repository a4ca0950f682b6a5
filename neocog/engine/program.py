"""A plan with addresses: compiles the kernels, places the operands, starts the workers."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.compilation import compile_all
from neocog.engine.cores import available_threads
from neocog.engine.memory import Memory
from neocog.engine.plan import Group, Instruction, Plan, Scope
from neocog.engine.running import Run
from neocog.engine.thread_pool import Together
from neocog.kernels.compiler.jit import CompiledKernel
from neocog.kernels.compiler.spec import kind_of, numbers_of
from neocog.kernels.runtime.workers import (
    ASKED,
    BY_IMAGE,
    BY_ITEM,
    BY_STRIP,
    CONTROL_EACH,
    CONTROL_SIZE,
    DONE,
    FIRST,
    GROUP,
    INSTRUCTION,
    KERNEL,
    NUMBERS,
    OPERANDS,
    PATIENCE,
    STRIPS,
    UNTIL,
    run,
)

__all__ = ["Program"]

Longs = NDArray[np.int64]

# Least number of pieces into which a group is cut for stealing; else workers have fixed ranges.
_LEAST_STEALS = 8
# Turns that a worker spins at a barrier, about 0.1 ms, where every worker has a core. Where it has
# none, a worker that spins takes the core from the one it waits for.
_AWAKE = 3_000

_NOTHING = np.zeros(1)


class Program:
    """What runs: a table per worker with the addresses of kernels and of their operands.

    Args:
        plan: what to run.
        workers: threads.
        batch: most images a step.
        on_compile: called with the number of kernels to compile, if any, before that begins.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int,
        batch: int,
        on_compile: Callable[[int], None] | None = None,
    ) -> None:
        self.plan = plan
        self.workers = workers
        self.batch = batch
        self.memory = Memory(plan, workers, batch)
        pairs = [(i.kernel, i.spec) for i in plan.instructions]
        _, *compiled = compile_all([(run, None), *pairs], available_threads(), on_compile)
        self._outside: dict[str, list[tuple[int, int]]] = {}
        self._table = np.zeros((workers, len(compiled), INSTRUCTION), np.int64)
        self._numbers: list[Longs] = []
        self._groups = np.zeros((len(plan.groups), len(GROUP)), np.int64)
        row = 0
        for g, group in enumerate(plan.groups):
            of_images = group.items == 0
            shard = plan.shard if of_images else 1
            chunk = group.chunk
            self._groups[g] = (
                row,
                len(group.instructions),
                group.items,
                chunk,
                shard,
                group.barrier,
                group.check_loss,
                group.every,
                self._steal_size(g),
                group.strips,
                group.joined,
            )
            for instruction in group.instructions:
                self._table[:, row, KERNEL] = compiled[row].address
                self._give_numbers(row, compiled[row], instruction, group.strips)
                for o, name in enumerate(instruction.operands):
                    if name is not None:
                        self._place(row, o, name, group)
                row += 1
        self._refreshing = self._groups[[group.refreshes for group in plan.groups]]
        self._refreshing[:, GROUP.index("every")] = 1
        self._groups = self._groups[[group.every > 0 for group in plan.groups]]
        self._steps = self.memory.array("step", np.int64, workers).reshape(workers, -1)
        self._patience = _AWAKE if workers <= available_threads() else 0
        self._control = self._new_control()
        self._bound: dict[str, NDArray[np.generic]] = {}
        self._latest: Run | None = None
        self._together = Together(np.array([run.words(self._job(rank)) for rank in range(workers)]))
        self._alone = run.call(*self._job(0))

    def _new_control(self) -> Longs:
        control = np.zeros(CONTROL_SIZE + CONTROL_EACH * self.workers, np.int64)
        control[PATIENCE] = self._patience
        return control

    def _job(self, rank: int) -> tuple[Any, ...]:
        """What `run_once` has a worker do, but for the numbers of images."""
        own = (self._table[rank], self._groups, self._steps[rank])
        return *own, _NOTHING, _NOTHING, self._control, rank, self.workers, 0, 0

    def _steal_size(self, g: int) -> int:
        """Items of a group that a worker takes at a time; 0 if each worker has a fixed range."""
        groups, beginnings = self.plan.groups, self.plan.beginnings
        group, before = groups[g], groups[g - 1]
        last = groups[max(h for h, begin in enumerate(beginnings) if begin == beginnings[g])]
        if not (last.barrier and before.barrier and before.every == 1):
            return 0
        if group.strips and group.items:  # of one image; all read the same weights
            return 1
        if self.batch < _LEAST_STEALS:  # parts of one image: each core reads its own weights
            return 0
        items, shard = (group.items, 1) if group.items else (self.batch, self.plan.shard)
        return min(group.chunk, items // _LEAST_STEALS) // shard * shard

    def _give_numbers(
        self, row: int, compiled: CompiledKernel, instruction: Instruction, strips: int
    ) -> None:
        def address(spec: object) -> int:
            if kind_of(spec) != kind_of(instruction.spec):
                raise TypeError(f"{instruction.layer}: strips of {spec} are of another kind.")
            self._numbers.append(numbers_of(compiled.sizes, spec))
            return self._numbers[-1].ctypes.data

        specs = instruction.specs or (instruction.spec,) * strips
        known = {spec: address(spec) for spec in {instruction.spec, *specs}}
        self._table[:, row, NUMBERS] = known[instruction.spec]
        self._numbers.append(np.array([known[spec] for spec in specs], np.int64))
        self._table[:, row, STRIPS] = self._numbers[-1].ctypes.data

    def _place(self, row: int, operand: int, name: str, group: Group) -> None:
        buffer, of_images = self.plan.buffers[name], group.items == 0
        if buffer.scope in (Scope.OUTSIDE, Scope.WHOLE):  # `bind` gives the address
            self._outside.setdefault(name, []).append((row, OPERANDS + operand))
        else:
            for w in range(self.workers):
                self._table[w, row, OPERANDS + operand] = self.memory.address(name, w)
        if of_images and buffer.scope in (Scope.BATCH, Scope.OUTSIDE):
            self._table[:, row, BY_ITEM + operand] = buffer.size
        if of_images and buffer.scope in (Scope.BATCH, Scope.OUTSIDE, Scope.CHUNK):
            self._table[:, row, BY_IMAGE + operand] = buffer.size
        self._table[:, row, BY_STRIP + operand] = buffer.strip

    def bind(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Set all of the caller's arrays; they must stay where they are in memory."""
        self._bound = dict(arrays)
        for name, array in arrays.items():
            # array.ctypes.data takes twice as long, which shows in predictions of one image.
            address = array.__array_interface__["data"][0]
            for row, base in self._outside.get(name, ()):
                self._table[:, row, base] = address

    def release(self) -> None:
        """Let go of the caller's arrays; call `bind` before the next run."""
        self._bound = {}

    def refresh(self) -> None:
        """Recompute the second layouts of parameters after they were set from outside."""
        whole = self._groups
        self._groups = self._refreshing
        self._run(0, 1, 1, 1, self._control)
        self._groups = whole

    @property
    def done(self) -> int:
        """Steps of the current run that are finished."""
        return int(self._latest.control[DONE]) if self._latest else 0

    def stop(self) -> None:
        """Ask the current run to end after its current step."""
        if self._latest:
            self._latest.control[ASKED] = 1

    def start(
        self,
        total: int,
        record: NDArray[np.float64],
        steps_before: int = 0,
        first: int = 0,
        until: int | None = None,
    ) -> Run:
        """Run over `total` images in batches, in new threads; returns a handle at once.

        Args:
            total: images in all.
            record: float64, gets each step's mean loss.
            steps_before: steps that the optimizer took before this run.
            first: the batch to begin with.
            until: the batch before which to end; after the last one if None.
        """
        self._steps[:, 2] = steps_before
        losses = self.memory.array("losses", np.float64, self.batch)
        images = total if until is None else min(total, until * self.batch)
        return self._start(total, self.batch, losses, record, first * self.batch, images)

    def _start(
        self,
        total: int,
        batch: int,
        losses: NDArray[np.float64],
        record: NDArray[np.float64],
        first: int = 0,
        until: int = 0,
    ) -> Run:
        control = self._new_control()  # one per run, so that a later run does not reset it
        control[FIRST], control[UNTIL], control[DONE] = first, until, first // max(1, batch)

        def work(rank: int) -> int:
            return self._run(rank, self.workers, total, batch, control, losses, record)

        self._latest = Run(work, self.workers, control, self._bound)
        self._latest.begin()
        return self._latest

    def end(self) -> int:
        """End the latest run after its current step; returns the number of finished steps.

        Further interrupts are ignored, because they would leave workers running. Any other
        exception that comes meanwhile is raised once the workers have ended.
        """
        if self._latest is None:
            return 0
        self.stop()
        steps = self._latest.end()
        self._latest = None
        return steps

    def run_once(self, total: int) -> None:
        """Run one batch of `total` images with all workers; this thread is one of them."""
        self._control.fill(0)
        self._control[PATIENCE] = self._patience
        if self.workers == 1:
            self._alone.set("total", total)
            self._alone.set("batch", total)
            self._alone()
            return
        if self._together.run(total):
            return
        try:
            self._start(total, total, _NOTHING, _NOTHING).finish()
        finally:
            self.end()

    def profile(self, total: int, rounds: int = 100) -> list[tuple[str, float]]:
        """Microseconds per step of each instruction, timed on one thread; see `Trainer.profile`.

        Raises:
            RuntimeError: the caller's arrays, which are written, are not bound.
        """
        if not self._outside.keys() <= self._bound.keys():
            raise RuntimeError("Bind the arrays that the program reads and writes before.")
        few = min(total, 10 * self.batch)
        steps = -(-few // self.batch)
        whole = self._groups
        times = []
        try:
            self._groups = whole[:0].copy()
            idle = self._least(few, rounds)
            running = [group for group in self.plan.groups if group.every > 0]
            for g, group in enumerate(running):
                for row, instruction in enumerate(
                    group.instructions, whole[g, GROUP.index("first")]
                ):
                    self._groups = whole[g : g + 1].copy()
                    alone = {"barrier": 0, "check_loss": 0, "every": 1, "first": row, "count": 1}
                    for column, value in alone.items():
                        self._groups[0, GROUP.index(column)] = value
                    seconds = (self._least(few, rounds) - idle) / steps
                    name = f"{instruction.layer}: {instruction.kernel.__name__}"
                    times.append((name, max(0.0, seconds * 1e6)))
        finally:
            self._groups = whole
        return times

    def _least(self, total: int, rounds: int) -> float:
        best = float("inf")
        for _ in range(rounds):
            self._control[:] = 0
            began = time.perf_counter()
            self._run(0, 1, total, self.batch, self._control)
            best = min(best, time.perf_counter() - began)
        return best

    def _run(
        self,
        rank: int,
        workers: int,
        total: int,
        batch: int,
        control: Longs,
        losses: NDArray[np.float64] = _NOTHING,
        record: NDArray[np.float64] = _NOTHING,
    ) -> int:
        own = (self._table[rank], self._groups, self._steps[rank])
        return run(*own, losses, record, control, rank, workers, total, batch)
