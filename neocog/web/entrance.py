"""Which requests are let in: those of the page that has the token, and of programs that have it.

A request that changes something must come from the page itself or from a program that is not a
browser, so it must have a content type that no HTML form can send.
"""

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neocog.http.refusal import RefusedError
from neocog.web.access import Access

__all__ = ["Entrance", "content_type"]

# The header that names the explorer, in requests and in replies.
_INSTANCE = "Neocog-Instance"

# Seconds in which a reply, or an event, must have been read once it is sent.
_READING = 30.0


class Entrance:
    """Middleware of Starlette's, behind the `Front`.

    Args:
        app: the application.
        access: has the token.
        instance: names the explorer.
    """

    def __init__(self, app: ASGIApp, access: Access, instance: str) -> None:
        self._app = app
        self._access, self._instance = access, instance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        headers = Headers(scope=scope)
        changes = scope["method"] == "POST"
        if changes and not _is_beyond_forms(content_type(headers)):
            raise RefusedError(
                "The content type must be application/json, or image/… for a picture.",
                415 if "origin" in headers else 403,
            )
        if changes or scope["path"] != "/":
            self._access.check(headers)
            scope["neocog.headers"] = ((_INSTANCE.lower().encode(), self._instance.encode()),)
            self._check_instance(headers, QueryParams(scope["query_string"]))

        async def sending(message: Message) -> None:
            scope["neocog.connection"].give(_READING)
            await send(message)

        await self._app(scope, receive, sending)

    def _check_instance(self, headers: Headers, query: QueryParams) -> None:
        """Refuse a page of another explorer that had this address before."""
        given = [*headers.getlist(_INSTANCE), *query.getlist("instance")]
        if any(each != self._instance for each in given):
            raise RefusedError(
                "The explorer was started again after this page was opened. Reload the page.", 409
            )


def content_type(headers: Headers) -> str:
    """The content type of a request, without parameters; empty if it says none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_beyond_forms(kind: str) -> bool:
    return kind in ("application/json", "application/octet-stream") or kind.startswith("image/")
