"""The error for a request that is refused."""

from neocog.errors import NeocogError

__all__ = ["RefusedError"]


class RefusedError(NeocogError):
    """A request is refused. `status` is HTTP's status code, the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status
