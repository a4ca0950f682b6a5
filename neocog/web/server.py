"""The explorer's server."""

import asyncio

from neocog.http.bodies import Bodies
from neocog.http.connections import Connections
from neocog.http.counts import Counts
from neocog.http.guard import Guard
from neocog.http.limits import HttpLimits
from neocog.http.listening import address_of, listen
from neocog.http.server import HttpServer
from neocog.signals import deferred_signals
from neocog.web.access import Access
from neocog.web.app import MOST_PICTURE, make_app
from neocog.web.session import Session

__all__ = ["Server"]

_LIMITS = HttpLimits(
    bodies=4 * MOST_PICTURE,
    requests=128,  # streams included
    connections=256,
    head=30,
    upload=300,
    idle=60,
    # A reply may wait for kernels to be compiled; how long it may take to read, `Entrance` knows.
    answer=86400,
)


class Server:
    """A server that listens from the start, and answers once it has a session to `serve`.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        token: that requests must have; None for a new one.

    Attributes:
        host, port: that it listens on.
        access: has the token.

    Raises:
        NeocogError: the port is in use, or the address is not one of this machine.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8421, token: str | None = None) -> None:
        self._listener = listen(host, port, "neocog explore")
        self.host, self.port = self._listener.getsockname()[:2]
        self.access = Access(self.port, token)
        self._guard = Guard(host, self.port)
        self._http: HttpServer | None = None
        self._is_over = False

    @property
    def origin(self) -> str:
        """The server's address, without the token."""
        return address_of(self.host, self.port)

    @property
    def address(self) -> str:
        """The page's address with the token, which gives access to everything."""
        return f"{self.origin}/?token={self.access.token}"

    def serve(self, session: Session) -> None:
        """Answer requests, until `shutdown`, Ctrl+C or SIGTERM."""
        app = make_app(session, self._guard, self.access, Bodies(_LIMITS.bodies))
        self._http = HttpServer(app, Connections(_LIMITS, Counts()))
        self._http.should_exit = self._is_over
        with deferred_signals(lambda _number: self.shutdown()):
            asyncio.run(self._http.serve([self._listener]))

    def shutdown(self) -> None:
        """End `serve` soon; any thread may call this."""
        self._is_over = True
        if self._http is not None:
            self._http.should_exit = True

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()
