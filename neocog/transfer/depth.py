"""How deep a network is changed: what each depth costs, and what ``auto`` chooses.

Times are estimates for two cores of a small server, from multiply-adds. They do not depend on the
machine, so that the same pictures always give the same network.
"""

from dataclasses import dataclass

from neocog.layers import Graph
from neocog.summary import cost
from neocog.transfer.cut import Place, places

__all__ = ["Choice", "Counts", "choose"]

# Multiply-adds a second, of predictions and of training steps, which take three times as many.
_FORWARD, _TRAINING = 50e9, 36e9
# How often the last blocks see each picture, in one of its views each time.
PASSES = 8
# Pictures a class from which on more than the head is worth its time.
_ENOUGH = 100
# The last blocks have at most this part of a network's multiply-adds; layers before them know
# edges and textures, which all photographs have.
_MOST_BEHIND = 0.55
# Pictures from which on all layers may learn something.
_MANY = 5000


@dataclass(frozen=True)
class Counts:
    """What is to be learned from.

    Attributes:
        pictures: to train on.
        classes: of them; 1 where there are targets.
        views: of each picture.
        held_out: pictures that are looked at after training.
        seconds: that it may take.
    """

    pictures: int
    classes: int
    views: int
    held_out: int
    seconds: float


@dataclass(frozen=True)
class Choice:
    """A depth, and what is expected of it.

    Attributes:
        depth: "head", "blocks" or "all".
        place: where the network is cut; None for "all" and "head".
        seconds: an estimate for two cores.
        why: a clause that says why.
    """

    depth: str
    place: str | None
    seconds: float
    why: str

    def __str__(self) -> str:
        what = {
            "head": "Only the last layer learns",
            "blocks": f"The layers behind {self.place} learn",
            "all": "All layers learn",
        }[self.depth]
        return f"{what}, as {self.why}; expected: {_duration(self.seconds)} on two cores."


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def choose(graph: Graph, counts: Counts, depth: str = "auto", place: str | None = None) -> Choice:
    """Choose the depth, if it is "auto", and the place of the cut.

    Args:
        graph: the network.
        counts: what is to be learned from.
        depth: one of `DEPTHS`.
        place: where the last blocks begin, if that was said.

    Raises:
        ArchitectureError: the network cannot be cut at the place.
    """
    total = cost(graph).multiply_adds
    head = _head_seconds(total, counts)
    if depth == "head":
        return Choice("head", None, head, "was asked for")
    everything = head + PASSES * counts.pictures * 3 * total / _TRAINING
    if depth == "all":
        return Choice("all", None, everything, "was asked for")
    if place is not None:
        at = next((one for one in places(graph) if one.name == place), None)
        seconds = head if at is None else _blocks_seconds(at, total, counts)
        return Choice("blocks", place, seconds, "was asked for")
    if depth == "auto":
        each = counts.pictures / counts.classes
        if each < _ENOUGH:
            return Choice("head", None, head, f"there are {each:.0f} pictures a class")
        if counts.pictures >= _MANY and everything <= counts.seconds:
            return Choice("all", None, everything, f"there are {counts.pictures:,} pictures")
    return _blocks(graph, total, counts, depth, head)


def _blocks(graph: Graph, total: int, counts: Counts, depth: str, head: float) -> Choice:
    """As many of the last blocks as the time allows."""
    candidates = [one for one in places(graph) if one.behind <= _MOST_BEHIND * total]
    candidates = [one for one in candidates if one.shape[1:] != (1, 1)]
    allowed = f"{_duration(counts.seconds)} are allowed"
    for one in candidates:  # the first has the most behind it
        seconds = _blocks_seconds(one, total, counts)
        if seconds <= counts.seconds:
            return Choice("blocks", one.name, seconds, allowed)
    if depth == "auto" or not candidates:
        return Choice("head", None, head, allowed if candidates else "it has no blocks to cut at")
    last = candidates[-1]
    return Choice("blocks", last.name, _blocks_seconds(last, total, counts), "was asked for")


def _head_seconds(total: int, counts: Counts) -> float:
    return (counts.pictures * counts.views + counts.held_out) * total / _FORWARD + 2


def _blocks_seconds(place: Place, total: int, counts: Counts) -> float:
    """The head before, of the whole view; the maps; and training behind them."""
    head = (counts.pictures + counts.held_out) * total / _FORWARD + 2
    maps = (counts.pictures * counts.views + counts.held_out) * place.below / _FORWARD
    behind = (3 * PASSES * counts.pictures / _TRAINING + counts.held_out / _FORWARD) * place.behind
    return head + maps + behind
