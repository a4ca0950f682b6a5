"""How deep a network is changed: what each depth costs, and what ``auto`` chooses.

Times are estimates for two cores of a small server, from multiply-adds. They do not depend on the
machine, so that the same pictures always give the same network.
"""

from dataclasses import dataclass, replace

from neocog.layers import Graph
from neocog.summary import cost
from neocog.transfer.cut import Place, places

__all__ = ["BATCH_SIZE", "Choice", "Counts", "choose", "passes_over"]

# Multiply-adds a second, with decoding and all else in. A training step takes three times as many
# as a prediction.
_PACE = 46e9
#: Pictures a step.
BATCH_SIZE = 32
# How often a training by steps sees each picture, in one of its views each time.
_PASSES = 8
# Few pictures are seen so often that there are so many steps. With 500 of CIFAR-10's, 100 reach
# 73.0 % and 250 reach 75.8 %: means of two choices of pictures.
_LEAST_STEPS = 250
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
        classes: of them; 1 where there are targets, which are no classes.
        views: of each picture.
        held_out: pictures that are looked at after training.
        seconds: that it may take.
        passes: how often a training by steps sees each picture; as often as suits their number if
            None. The choice does not depend on it, so that a run goes on at the same place when it
            is given more epochs.
    """

    pictures: int
    classes: int
    views: int
    held_out: int
    seconds: float
    passes: float | None = None

    @property
    def seen(self) -> float:
        """Pictures that a training by steps sees, each as often as it comes."""
        each = passes_over(self.pictures) if self.passes is None else self.passes
        return each * self.pictures

    @property
    def usual(self) -> "Counts":
        """The same, with as many passes as suit the number of pictures."""
        return replace(self, passes=None)


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


def passes_over(pictures: int) -> float:
    """How often a training by steps sees each of so many pictures."""
    return max(_PASSES, _LEAST_STEPS * BATCH_SIZE / pictures)


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
    everything = _all_seconds(total, counts)
    if depth == "all":
        return Choice("all", None, everything, "was asked for")
    if place is not None:
        at = next((one for one in places(graph) if one.name == place), None)
        seconds = 0.0 if at is None else _blocks_seconds(at, counts)
        return Choice("blocks", place, seconds, "was asked for")
    if depth == "auto":
        each = counts.pictures / counts.classes
        if each < _ENOUGH:
            of_classes = " a class" if counts.classes > 1 else ""
            return Choice("head", None, head, f"there are {each:.0f} pictures{of_classes}")
        if counts.pictures >= _MANY and _all_seconds(total, counts.usual) <= counts.seconds:
            return Choice("all", None, everything, f"there are {counts.pictures:,} pictures")
    return _blocks(graph, total, counts, depth, head)


def _blocks(graph: Graph, total: int, counts: Counts, depth: str, head: float) -> Choice:
    """As many of the last blocks as the time allows."""
    candidates = [one for one in places(graph) if one.behind <= _MOST_BEHIND * total]
    candidates = [one for one in candidates if one.shape[1:] != (1, 1)]
    allowed = f"{_duration(counts.seconds)} are allowed"
    for one in candidates:  # the first has the most behind it
        if _blocks_seconds(one, counts.usual) <= counts.seconds:
            return Choice("blocks", one.name, _blocks_seconds(one, counts), allowed)
    if depth == "auto" or not candidates:
        return Choice("head", None, head, allowed if candidates else "it has no blocks to cut at")
    last = candidates[-1]
    return Choice("blocks", last.name, _blocks_seconds(last, counts), "was asked for")


def _head_seconds(total: int, counts: Counts) -> float:
    return (counts.pictures * counts.views + counts.held_out) * total / _PACE + 2


def _all_seconds(total: int, counts: Counts) -> float:
    return 3 * counts.seen * total / _PACE


def _blocks_seconds(place: Place, counts: Counts) -> float:
    """The maps, and training behind them."""
    maps = (counts.pictures * counts.views + counts.held_out) * place.below / _PACE
    behind = (3 * counts.seen + counts.held_out) * place.behind / _PACE
    return maps + behind
