"""What clients may cost a worker: the limits of HTTP, and those of pictures."""

from dataclasses import dataclass

from neocog.http.limits import HttpLimits

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits(HttpLimits):
    """The limits of one worker.

    Attributes:
        body: bytes of a request's body.
        pixels: pixels of a request's pictures, by their headers, before anything is decoded.
        pictures: pictures of a request.
        wait: seconds that a picture may have to wait for its batch; beyond, requests are refused.
        drain: seconds that requests get to end after SIGTERM.
    """

    body: int = 20 * 2**20
    pixels: int = 50_000_000
    pictures: int = 256
    wait: float = 1.0
    drain: float = 30.0
