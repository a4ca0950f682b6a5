"""What there is to count in a server."""

__all__ = ["Counts"]


class Counts:
    """Counts nothing; a server that keeps counts overrides these methods."""

    def request(self, status: int, seconds: float) -> None:
        """Count an answer, which took so long."""

    def add(self, name: str, amount: float = 1) -> None:
        """Add to a count."""

    def set(self, name: str, value: float) -> None:
        """Set a level, such as the number of open connections."""
