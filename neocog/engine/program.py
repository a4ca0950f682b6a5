"""A plan with addresses: kernels compiled, operands placed, workers started."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from neocog.engine.compilation import compile_all
from neocog.engine.cores import available_threads
from neocog.engine.crew import run_together
from neocog.engine.memory import Memory
from neocog.engine.plan import Plan, Scope
from neocog.kernels.geometry import numbers_of
from neocog.kernels.workers import (
    ASKED,
    CONTROL_EACH,
    CONTROL_SIZE,
    DONE,
    GROUP,
    INSTRUCTION,
    run,
)

__all__ = ["Program"]

# A group's items are taken in so many portions at least, or each worker takes its own range.
_PORTIONS = 8


class Program:
    """What runs: a table of kernels' addresses with their operands, for each worker.

    Args:
        plan: what to run.
        workers: threads.
        batch: most images a step.
        on_compile: told how many kernels are to be compiled, if any, before that begins.
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
        pairs = [(i.kernel, i.stage) for i in plan.instructions]
        addresses = compile_all(pairs, available_threads(), on_compile)
        self._outside: dict[str, list[tuple[int, int]]] = {}
        self._table = np.zeros((workers, len(addresses), INSTRUCTION), np.int64)
        self._geometries = [numbers_of(i.stage) for i in plan.instructions]
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
                group.judge,
                group.every,
                self._portion(g),
            )
            for instruction in group.instructions:
                self._table[:, row, 0] = addresses[row]
                self._table[:, row, 1] = self._geometries[row].ctypes.data
                for o, name in enumerate(instruction.operands):
                    if name is not None:
                        self._place(row, o, name, of_images)
                row += 1
        self._refreshing = self._groups[[group.refreshes for group in plan.groups]]
        self._refreshing[:, GROUP.index("every")] = 1
        self._groups = self._groups[[group.every > 0 for group in plan.groups]]
        self._steps = self.memory.array("step", np.int64, workers).reshape(workers, -1)
        self._control = np.zeros(CONTROL_SIZE + CONTROL_EACH * workers, np.int64)
        # The driver compiles here, in the caller's thread: Numba compiling in one thread while
        # another imports can deadlock.
        self._run(0, 1, 0, 1, _NOTHING, _NOTHING)

    def _portion(self, g: int) -> int:
        """How many items of a group its workers take at once; 0 where each has its own range."""
        groups = self.plan.groups
        group, before = groups[g], groups[g - 1]
        if not (group.barrier and before.barrier and before.every == 1):
            return 0
        if self.batch < _PORTIONS:  # one image's parts: weights are best read by the same core
            return 0
        items, shard = (group.items, 1) if group.items else (self.batch, self.plan.shard)
        return min(group.chunk, items // _PORTIONS) // shard * shard

    def _place(self, row: int, operand: int, name: str, of_images: bool) -> None:
        buffer = self.plan.buffers[name]
        base = 2 + 2 * operand
        if buffer.scope in (Scope.OUTSIDE, Scope.WHOLE):  # `bind` says where it stands
            self._outside.setdefault(name, []).append((row, base))
        else:
            for w in range(self.workers):
                self._table[w, row, base] = self.memory.address(name, w)
        if of_images and buffer.scope in (Scope.BATCH, Scope.OUTSIDE):
            self._table[:, row, base + 1] = buffer.size

    def bind(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Say where the arrays outside stand; they must live and stay in place while it runs."""
        for name, array in arrays.items():
            # array.ctypes.data would take twice as long, which a prediction of one image feels.
            address = array.__array_interface__["data"][0]
            for row, base in self._outside.get(name, ()):
                self._table[:, row, base] = address

    def refresh(self) -> None:
        """Compute the second layouts of parameters anew, after they were written from outside."""
        whole = self._groups
        self._groups = self._refreshing
        self._run(0, 1, 1, 1, _NOTHING, _NOTHING)
        self._groups = whole

    @property
    def done(self) -> int:
        """Steps finished so far in the run under way."""
        return int(self._control[DONE])

    def stop(self) -> None:
        """Ask the run under way to end after its current step."""
        self._control[ASKED] = 1

    def start(self, total: int, record: NDArray[np.float64], steps_before: int = 0) -> "Run":
        """Run over `total` images in batches, in threads of their own; gives a handle at once.

        Args:
            total: images in all.
            record: float64, gets each step's mean loss.
            steps_before: steps the optimiser has taken already.
        """
        self._control[:] = 0
        self._steps[:, 2] = steps_before
        return Run(self, total, record)

    def run_once(self, total: int) -> None:
        """Run over `total` images in one batch, with every worker, this thread being one."""
        self._control.fill(0)
        if self.workers == 1:
            self._run(0, 1, total, total, _NOTHING, _NOTHING)
            return
        jobs = [self._job(w, total) for w in range(1, self.workers)]
        if run_together(partial(self._run_one, total, 0), jobs):
            return
        threads = [
            threading.Thread(target=self._run_one, args=(total, w)) for w in range(1, self.workers)
        ]
        for thread in threads:
            thread.start()
        self._run_one(total, 0)
        for thread in threads:
            thread.join()

    def _run_one(self, total: int, rank: int) -> None:
        self._run(rank, self.workers, total, total, _NOTHING, _NOTHING)

    def _job(self, rank: int, total: int) -> tuple[int, ...]:
        """What a helper is told of `_run_one`; see `kernels.helping.JOB`."""
        table, step = self._table[rank], self._steps[rank]
        return (
            table.ctypes.data,
            len(table),
            self._groups.ctypes.data,
            len(self._groups),
            step.ctypes.data,
            self._control.ctypes.data,
            rank,
            self.workers,
            total,
        )

    def profile(self, total: int, rounds: int = 100) -> list[tuple[str, float]]:
        """Microseconds a step of each instruction, alone on one thread; see `Trainer.profile`."""
        few = min(total, 10 * self.batch)
        steps = -(-few // self.batch)
        whole = self._groups
        found = []
        try:
            self._groups = whole[:0].copy()
            idle = self._least(few, rounds)
            running = [group for group in self.plan.groups if group.every > 0]
            for g, group in enumerate(running):
                for row, instruction in enumerate(
                    group.instructions, whole[g, GROUP.index("first")]
                ):
                    self._groups = whole[g : g + 1].copy()
                    alone = {"barrier": 0, "judge": 0, "every": 1, "first": row, "count": 1}
                    for column, value in alone.items():
                        self._groups[0, GROUP.index(column)] = value
                    seconds = (self._least(few, rounds) - idle) / steps
                    name = f"{instruction.layer}: {instruction.kernel.py_func.__name__}"
                    found.append((name, max(0.0, seconds * 1e6)))
        finally:
            self._groups = whole
        return found

    def _least(self, total: int, rounds: int) -> float:
        best = float("inf")
        for _ in range(rounds):
            self._control[:] = 0
            began = time.perf_counter()
            self._run(0, 1, total, self.batch, _NOTHING, _NOTHING)
            best = min(best, time.perf_counter() - began)
        return best

    def _run(
        self,
        rank: int,
        workers: int,
        total: int,
        batch: int,
        losses: NDArray[np.float64],
        record: NDArray[np.float64],
    ) -> int:
        return int(
            run(
                self._table[rank],
                self._groups,
                self._steps[rank],
                losses,
                record,
                self._control,
                rank,
                workers,
                total,
                batch,
            )
        )


_NOTHING = np.zeros(1)


class Run:
    """A run under way in threads of its own.

    It is waited for by an event, not by joining the threads: when Ctrl+C interrupts `Thread.join`,
    CPython before 3.13 takes the joined thread for ended while it still runs.
    """

    def __init__(self, program: Program, total: int, record: NDArray[np.float64]) -> None:
        losses = program.memory.array("losses", np.float64, program.batch)
        self._steps = 0
        self._ended = threading.Event()
        working = program.workers
        lock = threading.Lock()

        def work(rank: int) -> None:
            nonlocal working
            try:
                steps = program._run(rank, program.workers, total, program.batch, losses, record)
                self._steps = steps  # the same for every worker
            finally:
                with lock:
                    working -= 1
                    if working == 0:
                        self._ended.set()

        for rank in range(program.workers):
            threading.Thread(target=work, args=(rank,), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the run has ended."""
        return self._ended.wait(seconds)

    def finish(self) -> int:
        """Wait for the end; gives how many steps were finished."""
        self._ended.wait()
        return self._steps
