"""Where the processes of a run meet: a store that all of them reach, and no key of an earlier run.

torchrun keeps the store, also while it starts the processes anew; else rank 0 does, and then it
listens on the address that torchrun names, and on no other.
"""

import secrets
import socket
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address

from torch.distributed import DistError, PrefixStore, Store, TCPStore

from neocog.errors import NeocogError
from neocog.launch import Launch

__all__ = ["is_local", "meet", "network_names"]

# Seconds for all processes to come, which may have begun at other times or load PyTorch slowly.
_COMING = 300.0
_PAUSE = 0.01


def is_local(address: str) -> bool:
    """Whether an address is one of this machine's loopback network."""
    try:
        return ip_address(socket.gethostbyname(address)).is_loopback
    except (OSError, ValueError):
        return False


def network_names(launch: Launch) -> Mapping[str, str]:
    """What the environment has to say so that processes of one machine speak by loopback alone."""
    if launch.local_count < launch.count or not is_local(launch.address):
        return {}
    name = "lo0" if sys.platform == "darwin" else "lo"
    return {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name}


def meet(launch: Launch) -> Store:
    """The store of this start of the processes, when all of them have come.

    Keys of an earlier start may still be in it, with the names of processes that were killed. So
    each process says hello with a name of its own, and rank 0 answers with the name of this start.

    Raises:
        NeocogError: the others do not come, or there is no store.
    """
    try:
        store = _store(launch)
        began = time.monotonic()
        return _led(store, launch, began) if launch.rank == 0 else _greeted(store, launch, began)
    except DistError as error:
        first = str(error).strip().partition("\n")[0]
        raise NeocogError(
            f"The processes that torchrun started do not meet at {launch.address}:{launch.port}: "
            f"{first}"
        ) from error


def _store(launch: Launch) -> TCPStore:
    hosts = launch.rank == 0 and not launch.has_store
    listening = None
    if hosts:
        family = socket.AF_INET6 if ":" in launch.address else socket.AF_INET
        listening = socket.create_server((launch.address, launch.port), family=family).detach()
    return TCPStore(
        launch.address,
        launch.port,
        is_master=hosts,
        timeout=timedelta(seconds=_COMING),
        wait_for_workers=False,
        master_listen_fd=listening,
    )


def _led(store: Store, launch: Launch, began: float) -> Store:
    name = secrets.token_hex(8)
    own = PrefixStore(name, store)
    answered: set[bytes] = set()
    while own.add("here", 0) < launch.count - 1:
        for rank in range(1, launch.count):
            if store.check([f"hello/{rank}"]):
                hello = store.get(f"hello/{rank}")
                if hello not in answered:
                    answered.add(hello)
                    store.set(f"welcome/{hello.decode()}", name)
        _pause(began, launch)
    return own


def _greeted(store: Store, launch: Launch, began: float) -> Store:
    hello = secrets.token_hex(8)
    store.set(f"hello/{launch.rank}", hello)
    while not store.check([f"welcome/{hello}"]):
        _pause(began, launch)
    own = PrefixStore(store.get(f"welcome/{hello}").decode(), store)
    own.add("here", 1)
    return own


def _pause(began: float, launch: Launch) -> None:
    if time.monotonic() - began > _COMING:
        raise NeocogError(
            f"Rank {launch.rank} has waited {_COMING:.0f} s for the other processes, of which "
            f"there are to be {launch.count}. Has one of them ended?"
        )
    time.sleep(_PAUSE)
