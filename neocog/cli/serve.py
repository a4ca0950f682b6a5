"""``neocog serve``."""

import sys
from typing import Any

from neocog.cli.terminal import counted, say
from neocog.errors import NeocogError
from neocog.hosts import is_loopback
from neocog.limits import available_cores
from neocog.serving.limits import Limits
from neocog.serving.supervisor import Listener, Supervisor
from neocog.serving.worker import Work
from neocog.settings.training import check_threads
from neocog.signals import termination_signals
from neocog.validation import real, whole

__all__ = ["serve"]

_MOST_WORKERS = 64


def serve(
    model: str,
    host: str,
    port: int,
    workers: int | None,
    threads: int | None,
    batch: int,
    batch_wait: float,
    allow_host: list[str] | None,
    architecture: str | None = None,
    **limits: Any,
) -> int:
    """Answer requests until Ctrl+C or SIGTERM; prints the address once it does."""
    if sys.platform == "win32":
        raise NeocogError(
            "neocog serve needs Linux or macOS, whose processes can share a socket. On Windows, "
            "run it in WSL or in Docker."
        )
    cores = available_cores()
    count = cores if workers is None else whole("--workers", workers, 1, _MOST_WORKERS)
    threads = check_threads(threads) or max(1, cores // count)
    given = {name.removeprefix("most_"): value for name, value in limits.items() if value}
    work = Work(
        model=model,
        architecture=architecture,
        host=host,
        port=port,
        allowed=tuple(allow_host or ()),
        threads=threads,
        batch=whole("--batch", batch, 1, 4096),
        pause=real("--batch-wait", batch_wait, 0, 1000) / 1000,
        limits=Limits(**given).to_dict(),
        row=0,
        workers=count,
        listener=-1,
        counts=-1,
    )
    with termination_signals():
        # Bind first, so that a port in use is reported at once. Early requests wait.
        server = Supervisor(Listener.open(host, port), host, work, say)
        try:
            say("Preparing the network (its kernels are compiled the first time) …")
            server.start()
            if not is_loopback(host):
                say(
                    f"Anyone who can reach {server.address} can ask; the connection is not "
                    "encrypted."
                )
            print(server.address, flush=True)
            say(f"{counted(count, 'worker')}. Stop with Ctrl+C.")
            server.run()
        except KeyboardInterrupt:
            say("Answering what was asked …")
        finally:
            server.stop()
    return 0
