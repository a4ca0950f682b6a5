"""The processes that train one network together, as each of them sees the others.

Rank 0 leads: it alone decides what is done, and tells the others. They wait for its word at a
store, which costs no processor and has no time limit. Each process beats in the store, so that one
that waits knows whether the others are still there.
"""

import atexit
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from neocog.errors import NeocogError, printable
from neocog.launch import Launch
from neocog.torch_engine.meeting import meet, network_names

__all__ = ["Message", "Processes", "joined"]

Arrays = Mapping[str, NDArray[Any]]

# Seconds after which a process that says nothing is lost: of one that computes with the others, and
# of one that does not beat. A process that is killed closes its connections, and is missed at once.
_PATIENCE, _BEAT, _SILENCE = 45.0, 2.0, 30.0
# With torch.compile the first steps take processes of unlike machines unlike times.
_PATIENCE_TO_COMPILE = 600.0
# Seconds between two looks at the store: few at first, for what comes soon.
_SOON, _LATER = 0.001, 0.1
_PLACE = re.compile(r"^\[[^]]*\] ")
# Of a gap between two looks so many seconds count: a machine that slept has lost nobody.
_MOST_COUNTED = 1.0


@dataclass(frozen=True)
class Message:
    """What rank 0 says: a word, plain data and arrays that belong to it."""

    word: str
    about: Mapping[str, Any]
    arrays: Arrays


class Processes:
    """All processes, of which this is one.

    Args:
        launch: what torchrun says of them.

    Attributes:
        launch: the same.
        rank: of this process.
        count: of all.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.rank, self.count = launch.rank, launch.count
        for name, value in network_names(launch).items():
            os.environ.setdefault(name, value)
        self._store = meet(launch)
        self._heard = 0  # words of rank 0
        self._gathered = 0  # times at which all waited for each other
        self._groups: dict[tuple[str, float], Any] = {}
        self._is_lost = self._is_alone = False
        self._parent = os.getppid()  # torchrun
        self._ending = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()
        with self.losing():
            dist.init_process_group(
                "gloo",
                store=dist.PrefixStore("group", self._store),
                rank=self.rank,
                world_size=self.count,
                timeout=timedelta(seconds=_PATIENCE),
            )

    def group_for(self, device: torch.device, *, compiles: bool = False) -> Any:
        """The process group that gradients on a device go through; all must ask for it.

        Args:
            device: that computes.
            compiles: whether PyTorch compiles the network in the first step.
        """
        kind = "nccl" if device.type == "cuda" else "gloo"
        seconds = _PATIENCE_TO_COMPILE if compiles else _PATIENCE
        if (kind, seconds) not in self._groups:
            with self.losing():
                group = dist.new_group(backend=kind, timeout=timedelta(seconds=seconds))
                self._groups[kind, seconds] = group
        return self._groups[kind, seconds]

    def leave(self) -> None:
        """End what keeps the processes together."""
        self._ending.set()
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group()

    # What rank 0 says

    def tell(self, word: str, about: Mapping[str, Any] | None = None, **arrays: Arrays) -> None:
        """Have all others hear a word; arrays in groups by name."""
        if self._is_lost:
            raise NeocogError("Another process is lost, so that nobody hears this one.")
        flat = {f"{g}/{n}": np.asarray(a) for g, group in arrays.items() for n, a in group.items()}
        form = [[name, a.dtype.str, list(a.shape)] for name, a in flat.items()]
        header = json.dumps({"word": word, "about": dict(about or {}), "form": form}).encode()
        payload = b"".join([header, *(a.tobytes() for a in flat.values())])
        with self.losing():
            self._heard += 1
            self._store.add("said", 1)
            dist.broadcast(torch.tensor([len(header), len(payload)]), 0)
            dist.broadcast(torch.frombuffer(bytearray(payload), dtype=torch.uint8), 0)

    def hear(self) -> Message:
        """Wait for the next word of rank 0, as long as it takes.

        Raises:
            NeocogError: rank 0 is lost.
        """
        self._wait(self._has_spoken, [0])
        self._heard += 1
        sizes = torch.zeros(2, dtype=torch.int64)
        with self.losing():
            dist.broadcast(sizes, 0)
            of_header, size = sizes.tolist()
            received = torch.empty(size, dtype=torch.uint8)
            dist.broadcast(received, 0)
        payload = received.numpy()
        header = json.loads(payload[:of_header].tobytes())
        arrays, at = {}, of_header
        for name, kind, shape in header["form"]:
            dtype = np.dtype(kind)
            end = at + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            arrays[name] = payload[at:end].copy().view(dtype).reshape(shape)
            at = end
        return Message(header["word"], header["about"], arrays)

    def _has_spoken(self) -> bool:
        return bool(self._store.add("said", 0) > self._heard)

    def gather(self) -> None:
        """Wait until all are here, as long as it takes, as while one of them compiles.

        Raises:
            NeocogError: one of them is lost, or rank 0 goes on with something else.
        """
        self._gathered += 1
        with self.losing():
            self._store.add("gathered", 1)
        wanted = self._gathered * self.count

        def are_here() -> bool:
            return bool(self._store.add("gathered", 0) >= wanted)

        if self.rank == 0:
            self._wait(are_here, range(self.count))
            return
        self._wait(lambda: are_here() or self._has_spoken(), [0])
        if not are_here():
            raise NeocogError("Rank 0 has given up what it was beginning.")

    # In a step

    def sum_up(self, loss: float, asked: bool) -> Callable[[], tuple[float, bool]]:
        """Begin to add up the processes' parts of a loss; gives a function that waits for it.

        Args:
            loss: of this process's part.
            asked: whether this process wants the run to end behind the batch.

        Returns:
            What gives the whole loss, and whether one of them wants the run to end.
        """
        if self._is_alone:
            raise NeocogError("torchrun has ended, and so does the training that it has started.")
        words = torch.tensor([loss, float(asked)], dtype=torch.float64)
        work = dist.all_reduce(words, async_op=True)

        def found() -> tuple[float, bool]:
            work.wait()
            whole, ends = words.tolist()
            return whole, ends > 0

        return found

    # Who is still there

    def _beat(self) -> None:
        try:
            while not self._ending.wait(_BEAT) and os.getppid() == self._parent:
                self._store.add(f"beats/{self.rank}", 1)
        except RuntimeError:  # the store has gone with torchrun
            pass
        self._is_alone = not self._ending.is_set()

    def _wait(self, until: Callable[[], bool], whom: Iterable[int]) -> None:
        others = [rank for rank in whom if rank != self.rank]
        beats, silent = dict.fromkeys(others, -1), dict.fromkeys(others, 0.0)
        pause, latest, looked = _SOON, time.monotonic(), 0.0
        with self.losing():
            while not until():
                time.sleep(pause)
                pause = min(_LATER, 1.5 * pause)
                now = time.monotonic()
                gone, latest = min(now - latest, _MOST_COUNTED), now
                looked += gone
                silent = {rank: seconds + gone for rank, seconds in silent.items()}
                if looked >= _BEAT:
                    looked = 0.0
                    self._listen(beats, silent)

    def _listen(self, beats: dict[int, int], silent: dict[int, float]) -> None:
        for rank, before in beats.items():
            beats[rank] = int(self._store.add(f"beats/{rank}", 0))
            if beats[rank] != before:
                silent[rank] = 0.0
            elif silent[rank] > _SILENCE:
                raise NeocogError(self._lost(f"rank {rank} has said nothing for {_SILENCE:.0f} s"))

    def _lost(self, why: str) -> str:
        self._is_lost = True
        return (
            f"Rank {self.rank} of {self.count} has lost another process ({why}), and cannot train "
            "without it. torchrun --max-restarts starts all of them anew from the latest "
            "checkpoint; see docs/distributed.md."
        )

    @contextmanager
    def losing(self) -> Iterator[None]:
        """Raise `NeocogError` where the connection to another process is lost within."""
        try:
            yield
        except RuntimeError as error:
            said = str(error).strip().partition("\n")[0]
            if not (isinstance(error, dist.DistError) or "gloo" in said or "NCCL" in said):
                raise
            # Without the place in gloo's source, and its advice.
            why = _PLACE.sub("", said).partition(". ")[0].rstrip(".")
            raise NeocogError(self._lost(printable(why, 200))) from error


_processes: Processes | None = None


def joined(launch: Launch) -> Processes:
    """The processes of this launch; this one joins them when it first asks."""
    global _processes
    if _processes is None:
        _processes = Processes(launch)
        atexit.register(_processes.leave)
    return _processes
