"""uvicorn's server with deadlines for clients."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from neocog.http.connections import Connections

__all__ = ["HttpServer"]

# Seconds between two looks at the deadlines.
_TICK = 0.2
# Connections that may at least wait to be accepted.
_FEWEST = 128


class HttpServer(uvicorn.Server):
    """Runs an application until `should_exit` is set, and then ends at once.

    Args:
        app: the application.
        connections: of this process.
    """

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=connections.make,  # type: ignore[arg-type]  # a class is only called
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=max(_FEWEST, connections.limits.connections),
            )
        )
        self.connections = connections

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs it."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        asyncio.get_running_loop().set_exception_handler(_report)
        await super().startup(sockets)
        self._expiring = asyncio.create_task(self._expire())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything."""
        self.stop_accepting(sockets)
        await self.cut()

    def stop_accepting(self, sockets: list[socket.socket] | None) -> None:
        """Close the sockets that listen."""
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()

    async def cut(self) -> None:
        """Close all connections, and end what was being done for them."""
        self._expiring.cancel()
        for connection in list(self.connections.all):
            connection.abort()
        await asyncio.sleep(0)  # in which the connections learn of it
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            self.connections.expire(loop.time())


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error, but not where too many files are open: asyncio accepts again a second later.

    Until then it fails as often as connections may wait, and each time it would print a traceback.
    """
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)
