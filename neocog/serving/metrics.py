"""Counts and times of all workers, in memory that they share, as text for Prometheus.

Each worker adds to its own row, so nothing is locked; whichever is asked adds up all rows. A worker
that is started in place of another goes on with its row, so no count ever falls. prometheus_client
would keep files for each process, and take as long for a request as its JSON does.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterator

from neocog.http.counts import Counts

__all__ = ["Metrics", "metrics_size"]

_STATUSES = (200, 400, 403, 404, 405, 408, 413, 415, 431, 500, 503)
_OTHER = "other"
# Upper bounds in seconds of the histogram of answers.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_COUNTS = {
    "pictures": "Pictures that were answered.",
    "bad_pictures": "Pictures that could not be read.",
    "replaced": "Times that a worker has replaced its model.",
    "refused": "Times that a worker has refused a changed model.",
    "evicted": "Connections that were closed because there were too many, or too slow.",
}
_LEVELS = {
    "waiting": "Pictures that wait for a batch.",
    "connections": "Open connections.",
    "answering": "Requests that are being answered.",
}
_FIELDS = (
    *(f"status {status}" for status in (*_STATUSES, _OTHER)),
    *_COUNTS,
    *_LEVELS,
    *(f"seconds {n}" for n in range(len(_SECONDS) + 1)),
    "seconds sum",
    *(f"size {n}" for n in range(len(_SIZES) + 1)),
    "size sum",
)
_PLACES = {name: place for place, name in enumerate(_FIELDS)}


def metrics_size(workers: int) -> int:
    """Bytes of the shared memory of so many workers."""
    return 8 * len(_FIELDS) * workers


class Metrics(Counts):
    """The counts of one worker, and the sums of all.

    Args:
        descriptor: of a file of `metrics_size` bytes, zero at first; None for one worker alone.
        row: the number of this worker.
        workers: number of workers.
    """

    def __init__(self, descriptor: int | None = None, row: int = 0, workers: int = 1) -> None:
        shared = mmap.mmap(-1 if descriptor is None else descriptor, metrics_size(workers))
        self._all = memoryview(shared).cast("d")
        self._first = row * len(_FIELDS)
        self._workers = workers
        for name in _LEVELS:  # those of a worker that was here before
            self.set(name, 0)

    def add(self, name: str, amount: float = 1) -> None:
        """Add to a count."""
        self._all[self._first + _PLACES[name]] += amount

    def set(self, name: str, value: float) -> None:
        """Set a level."""
        self._all[self._first + _PLACES[name]] = value

    def request(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.add(f"status {status if status in _STATUSES else _OTHER}")
        self.add(f"seconds {bisect_left(_SECONDS, seconds)}")
        self.add("seconds sum", seconds)

    def batch(self, pictures: int) -> None:
        """Count a batch."""
        self.add(f"size {bisect_left(_SIZES, pictures)}")
        self.add("size sum", pictures)

    def total(self, name: str) -> float:
        """The sum over all workers."""
        place = _PLACES[name]
        return sum(self._all[row * len(_FIELDS) + place] for row in range(self._workers))

    def text(self) -> str:
        """All sums in Prometheus's text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _head("neocog_requests_total", "counter", "Requests by the answer's status.")
        for status in (*_STATUSES, _OTHER):
            value = self.total(f"status {status}")
            yield f'neocog_requests_total{{status="{status}"}} {value:.17g}'
        for name, about in _COUNTS.items():
            yield from _head(f"neocog_{name}_total", "counter", about)
            yield f"neocog_{name}_total {self.total(name):.17g}"
        for name, about in _LEVELS.items():
            yield from _head(f"neocog_{name}", "gauge", about)
            yield f"neocog_{name} {self.total(name):.17g}"
        yield from _head("neocog_workers", "gauge", "Worker processes.")
        yield f"neocog_workers {self._workers}"
        about = "Seconds from a request's head to its answer."
        yield from self._histogram("neocog_request_seconds", "seconds", _SECONDS, about)
        about = "Pictures of a batch."
        yield from self._histogram("neocog_batch_pictures", "size", _SIZES, about)

    def _histogram(
        self, name: str, field: str, bounds: tuple[float, ...], about: str
    ) -> Iterator[str]:
        yield from _head(name, "histogram", about)
        count = 0.0
        for n, bound in enumerate((*bounds, "+Inf")):
            count += self.total(f"{field} {n}")
            yield f'{name}_bucket{{le="{bound}"}} {count:.17g}'
        yield f"{name}_sum {self.total(f'{field} sum'):.17g}"
        yield f"{name}_count {count:.17g}"


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
