"""The application: its paths, and what is done for a prediction."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from neocog.answers import answer_of, answered
from neocog.errors import printable
from neocog.http.bodies import Bodies
from neocog.http.front import HEADERS, Front
from neocog.http.guard import Guard
from neocog.http.refusal import RefusedError, send_json
from neocog.serving.batching import Batching
from neocog.serving.decoding import Decoded, Decoding
from neocog.serving.limits import Limits
from neocog.serving.metrics import Metrics
from neocog.serving.model import Model, Served
from neocog.serving.openapi import description
from neocog.serving.page import page, policy
from neocog.serving.payload import Payload, pictures_in
from neocog.validation import real

__all__ = ["Service", "make_app"]

_TOP = 3
# Bodies up to this size are taken apart without a thread.
_AT_ONCE = 2**16


@dataclass
class Service:
    """What the application works with.

    Attributes:
        model: what answers.
        batching: computes.
        guard: the names of the server.
        limits: of one worker.
        metrics: counts of all workers.
        is_ending: whether the worker is about to end.
    """

    model: Model
    batching: Batching
    guard: Guard
    limits: Limits
    metrics: Metrics
    is_ending: bool = False
    bodies: Bodies = field(init=False)
    decoding: Decoding = field(init=False)

    def __post_init__(self) -> None:
        self.bodies = Bodies(self.limits.bodies)
        self.decoding = Decoding(self.limits)


def make_app(service: Service) -> ASGIApp:
    """The application of a worker."""

    async def health(_request: Request) -> Response:
        served = service.model.current
        status = "ending" if service.is_ending else "ok"
        return JSONResponse(
            {"status": status, "model": served.version, "classes": len(served.labels)},
            503 if service.is_ending else 200,
        )

    async def metrics(_request: Request) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(service.metrics.text(), media_type=kind)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(description(service.limits))

    async def front(_request: Request) -> Response:
        headers = {"Content-Security-Policy": policy()}
        return Response(page(), media_type="text/html; charset=utf-8", headers=headers)

    async def unknown(_request: Request, error: Any) -> Response:
        text = f"{error.detail}. /openapi.json says what there is."
        return JSONResponse({"error": text}, error.status_code, error.headers)

    predict = _Predict(service)
    pages = Starlette(
        routes=[
            Route("/", front),
            Route("/predict", predict, methods=["POST"]),
            Route("/healthz", health),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
        ],
        exception_handlers={HTTPException: unknown},
    )

    async def all_paths(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's layers would make a prediction a tenth slower.
        is_prediction = scope["path"] == "/predict" and scope["method"] == "POST"
        await (predict if is_prediction else pages)(scope, receive, send)

    return Front(all_paths, service.guard, HEADERS, service.metrics)


class _Predict:
    """``POST /predict``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        top, threshold = _options(scope["query_string"])
        kind = next((v for name, v in scope["headers"] if name == b"content-type"), b"")
        service.batching.check(1)
        async with service.bodies.read(scope, receive, service.limits.body) as body:
            self._answering += 1
            service.metrics.set("answering", self._answering)
            try:
                pictures = pictures_in(kind.decode("latin-1"), body, service.limits.pictures)
                del body
                served = service.model.current
                answer = await self._answer(served, pictures, top, threshold)
            finally:
                self._answering -= 1
                service.metrics.set("answering", self._answering)
        await send_json(send, answer, headers=((b"neocog-model", served.version.encode()),))

    async def _answer(
        self, served: Served, pictures: list[Payload], top: int, threshold: float | None
    ) -> list[dict[str, Any]]:
        network = served.network
        shape, resize = network.input_shape, network.preprocessing.resize
        found = await self._service.decoding.decode(pictures, shape, resize)
        good = [one for one in found if not isinstance(one, str)]
        self._service.metrics.add("bad_pictures", len(found) - len(good))
        if not good:
            raise RefusedError(_why(pictures, found))
        rows = iter(await self._service.batching.predict(served, good))
        self._service.metrics.add("pictures", len(good))
        least = network.threshold if threshold is None else threshold
        return [
            answered(picture.name, [], f"The picture {one}")
            if isinstance(one, str)
            else answer_of(picture.name, next(rows), served.labels, network.loss, top, least)
            for picture, one in zip(pictures, found, strict=True)
        ]


def _why(pictures: list[Payload], found: list[Decoded]) -> str:
    """Why none of the pictures can be read."""
    first = f"The picture {found[0]}"
    if len(pictures) == 1:
        return first
    return f"None of the {len(pictures)} pictures can be read. The first: {first}"


def _options(query: bytes) -> tuple[int, float | None]:
    """The number of classes and the threshold that a request asks for."""
    top, threshold = _TOP, None
    try:
        given = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=8,
        )
    except ValueError:
        raise RefusedError("The query of the address is damaged.") from None
    for name, value in given:
        if name == "top":
            if not (value.isascii() and value.isdigit() and 0 < len(value) < 7 and int(value)):
                raise RefusedError(f"top (={printable(value)}) must be a whole number from 1.")
            top = int(value)
        elif name == "threshold":
            threshold = _threshold(value)
        else:
            raise RefusedError(f"There is no option {printable(name)!r}: top and threshold are.")
    return top, threshold


def _threshold(text: str) -> float:
    try:
        return real("threshold", float(text), 0, 1, error=RefusedError)
    except ValueError:
        raise RefusedError(
            f"threshold (={printable(text)}) must be a number from 0 to 1."
        ) from None
