"""A request that is not done, with why."""

from neocog.errors import NeocogError

__all__ = ["RefusedError"]


class RefusedError(NeocogError):
    """What was asked for is not done; `status` is HTTP's number for the reason."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status
