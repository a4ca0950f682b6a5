"""The application: which request is answered by what."""

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from neocog.errors import NeocogError
from neocog.explanation.page.message import to_json
from neocog.http.bodies import Bodies
from neocog.http.counts import Counts
from neocog.http.front import HEADERS, Front, unexpected
from neocog.http.guard import Guard
from neocog.http.refusal import RefusedError
from neocog.web.access import Access
from neocog.web.actions import ACTIONS
from neocog.web.door import LOCKED, leading_to
from neocog.web.entrance import Entrance, content_type
from neocog.web.explorer import Explorer
from neocog.web.fields import asked_channel, read_json
from neocog.web.page import page, policy
from neocog.web.session import Session
from neocog.web.stream import Stream

__all__ = ["MOST_JSON", "MOST_PICTURE", "make_app"]

#: The largest picture, in bytes.
MOST_PICTURE = 20 * 2**20
#: The largest other request, in bytes; the largest kernel has fewer. The values that are read from
#: it may take twenty times as much memory while the explorer works on the request.
MOST_JSON = 2**17

_BINARY = "application/octet-stream"

Endpoint = Callable[[Request], Awaitable[Response]]
Asked = Callable[[Explorer], Any]


def make_app(session: Session, guard: Guard, access: Access, bodies: Bodies) -> Starlette:
    """The application that serves a session."""

    async def front(request: Request) -> Response:
        """The page; a browser that comes with the token in the address gets its cookie first."""
        given = request.query_params.get("token")
        if given is None and access.is_in(request.headers):
            return HTMLResponse(page())
        if given is None or not access.is_token(given):
            return HTMLResponse(LOCKED, 403)
        return HTMLResponse(leading_to("/"), headers={"Set-Cookie": access.cookie})

    async def state(_request: Request) -> Response:
        return _json({**json.loads(session.events.newest), "network": session.about})

    async def model(_request: Request) -> Response:
        name, content = await _done(session.ask(Explorer.model))
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, headers=headers, media_type=_BINARY)

    def look(what: Callable[[Explorer], Mapping[str, Any] | bytes]) -> Endpoint:
        async def answer(_request: Request) -> Response:
            return _response(await _done(session.ask(what)))

        return answer

    async def channel(request: Request) -> Response:
        asked = asked_channel(request.query_params)
        return _response(await _done(session.ask(lambda it: it.explanations.channel(*asked))))

    def act(read: Callable[[Request], Awaitable[Asked]]) -> Endpoint:
        async def answer(request: Request) -> Response:
            what = await read(request)  # the body is gone then: the explorer may take long
            result, now = await _done(session.ask(lambda it: (what(it), it.state())))
            if isinstance(result, bytes):
                return _response(result)
            return _response(now if result is None else {**now, "result": result})

        return answer

    async def picture(request: Request) -> Asked:
        async with bodies.read(request.scope, request.receive, MOST_PICTURE) as content:
            image, photograph = await _done(session.decode(content))
        return lambda explorer: explorer.show(lambda picture: picture.upload(image, photograph))

    def fields(of: Callable[[dict[str, Any]], Asked]) -> Callable[[Request], Awaitable[Asked]]:
        async def read(request: Request) -> Asked:
            if content_type(request.headers) != "application/json":
                raise RefusedError("The content type must be application/json.", 415)
            async with bodies.read(request.scope, request.receive, MOST_JSON) as content:
                return of(read_json(content))

        return read

    policy_header = (b"content-security-policy", policy().encode())
    own = (policy_header, (b"cross-origin-opener-policy", b"same-origin"))
    return Starlette(
        routes=[
            _route("/", front),
            _route("/api/state", state),
            _route("/api/events", Stream(session.events)),
            _route("/api/explanation", look(Explorer.explanation)),
            _route("/api/channel", channel),
            _route("/api/batch", look(Explorer.batch)),
            _route("/api/curve", look(Explorer.curve)),
            _route("/api/model.safetensors", model),
            _route("/api/upload", act(picture), "POST"),
            *(_route(path, act(fields(of)), "POST") for path, of in ACTIONS.items()),
        ],
        middleware=[
            Middleware(
                Front, guard=guard, headers=(*HEADERS, *own), counts=Counts(), explain=_explain
            ),
            Middleware(Entrance, access=access, instance=session.instance),
        ],
        exception_handlers={HTTPException: _unknown},
    )


def _route(path: str, endpoint: Any, method: str = "GET") -> Route:
    route = Route(path, endpoint, methods=[method])
    route.methods = {method}  # Starlette adds HEAD to GET, for which the stream would never end
    return route


async def _done(future: Any) -> Any:
    """What a thread of the session has found."""
    return await asyncio.wrap_future(future)


def _response(content: Mapping[str, Any] | bytes) -> Response:
    if isinstance(content, bytes):
        return Response(content, media_type=_BINARY)
    return _json(content)


def _json(content: Mapping[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")


def _explain(error: Exception) -> RefusedError:
    if isinstance(error, NeocogError):
        return RefusedError(str(error))
    if isinstance(error, OSError):  # for example, of a temporary file
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return RefusedError(f"That failed: {error.strerror or error}.", 507 if full else 500)
    return unexpected(error, f": {error}")


async def _unknown(request: Request, error: Any) -> Response:
    path = request.scope["raw_path"].decode("ascii")[:100]
    if error.status_code == 405:
        text = f"{path} takes only {error.headers['Allow']} requests."
    else:
        text = f"There is nothing at {path}."
    return JSONResponse({"error": text}, error.status_code, error.headers)
