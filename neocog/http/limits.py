"""What clients may cost a server: bytes, seconds and connections."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from neocog.errors import NeocogError
from neocog.validation import real, whole

__all__ = ["HttpLimits"]


@dataclass(frozen=True)
class HttpLimits:
    """The limits of one process that answers requests.

    Attributes:
        bodies: bytes of all bodies that are larger than what the network delivers at once.
        requests: requests whose bodies have come and that are being answered.
        connections: open connections. One more closes the one whose client has been silent longest.
        head: seconds until a request's head must have come.
        upload: seconds until its body must have come.
        idle: seconds that a connection may stay open between two requests, in which the answer to
            the first one must have been read.
        answer: seconds until an answer must have been given and read.
    """

    bodies: int = 160 * 2**20
    requests: int = 256
    connections: int = 2048
    head: float = 10.0
    upload: float = 30.0
    idle: float = 15.0
    answer: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, "int"):
                checked: Any = whole(field.name, value, 1, 2**40, error=NeocogError)
            else:
                wanted = "a number of seconds above 0"
                checked = real(
                    field.name, value, above=0, most=86400, wanted=wanted, error=NeocogError
                )
            object.__setattr__(self, field.name, checked)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; ``HttpLimits(**…)`` is the inverse."""
        return asdict(self)
