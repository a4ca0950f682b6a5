"""How this process was started: by itself, or by torchrun as one of several that train together.

torchrun says so in the environment of each process that it starts. See docs/distributed.md.
"""

import os
from dataclasses import dataclass

from neocog.errors import NeocogError, printable

__all__ = ["Launch", "check_alone", "launch"]


@dataclass(frozen=True)
class Launch:
    """What torchrun says to a process that it has started.

    Attributes:
        rank: of this process, from 0.
        count: processes on all machines.
        local_rank, local_count: the same on this machine.
        restarts: how often torchrun has started the processes anew.
        most_restarts: how often it would.
        address, port: where the processes meet.
        has_store: whether torchrun keeps the store in which they meet; else rank 0 does.
    """

    rank: int
    count: int
    local_rank: int
    local_count: int
    restarts: int
    most_restarts: int
    address: str
    port: int
    has_store: bool


def launch() -> Launch | None:
    """What torchrun says; None where it has not started this process.

    Raises:
        NeocogError: something is missing of what torchrun says, or is no number.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Launch(
        _number("RANK"),
        _number("WORLD_SIZE"),
        _number("LOCAL_RANK"),
        _number("LOCAL_WORLD_SIZE"),
        _number("TORCHELASTIC_RESTART_COUNT"),
        _number("TORCHELASTIC_MAX_RESTARTS"),
        os.environ.get("MASTER_ADDR", "127.0.0.1"),
        _number("MASTER_PORT"),
        os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def check_alone(what: str) -> None:
    """Raise `NeocogError` where torchrun has started several processes for what one does."""
    found = launch()
    if found is not None and found.count > 1:
        raise NeocogError(
            f"{what} works in one process, and torchrun has started {found.count}. Start it "
            "without torchrun; on several machines, once on each, with one --storage for all."
        )


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    if not (text.isascii() and text.isdigit()):
        raise NeocogError(
            f"{name} (={printable(text)!r}) must be a whole number: torchrun, which has started "
            "this process, sets it. Start it anew, or without TORCHELASTIC_RUN_ID."
        )
    return int(text)
