"""Stands before an application: refuses requests for others, and tells every error as JSON."""

import asyncio
import sys
import time
import traceback
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neocog.http.counts import Counts
from neocog.http.guard import Guard
from neocog.http.refusal import GoneError, Headers, RefusedError, tell

__all__ = ["HEADERS", "Front", "unexpected"]

#: Headers of every answer. ``scope["neocog.headers"]`` has further ones, of one answer.
HEADERS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def unexpected(error: Exception, told: str = "") -> RefusedError:
    """The refusal for an error that is the server's own; it is printed on stderr.

    Args:
        error: the error that is being handled.
        told: what the client may know of it besides its name.
    """
    traceback.print_exc(file=sys.stderr)
    return RefusedError(f"This should not happen: {type(error).__name__}{told or '.'}", 500)


class Front:
    """Middleware of Starlette's, the outermost one.

    Args:
        app: the application.
        guard: the names of the server.
        headers: of every answer.
        counts: where answers are counted.
        explain: the refusal for an error that is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        headers: Headers,
        counts: Counts,
        explain: Callable[[Exception], RefusedError] = unexpected,
    ) -> None:
        self._app = app
        self._guard, self._headers, self._counts = guard, headers, counts
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = scope.get("neocog.headers", ())
                message["headers"] = [*message["headers"], *self._headers, *own]
                # Before it is sent: who has an answer finds it counted.
                self._counts.request(status, time.perf_counter() - began)
            await send(message)

        try:
            self._guard.check(scope)
            await self._app(scope, receive, sending)
        except RefusedError as error:
            await tell(error, scope, receive, sending)
        except (GoneError, asyncio.CancelledError):  # nobody is there to be answered
            return
        except Exception as error:
            refusal = self._explain(error)
            if not status:
                await tell(refusal, scope, receive, sending)
