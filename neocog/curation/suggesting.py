"""`suggest`: which pictures of a folder to label next, and which labels look wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
from neocog.curation.confident_learning import confident_learning
from neocog.curation.embedding import Embedding, embedded, features_cache
from neocog.curation.findings import ToLabel, WrongLabel
from neocog.curation.pictures import UNKNOWN, Source, pictures_of
from neocog.curation.suggestions import Suggestions
from neocog.curation.uncertainty import entropies, spread_out
from neocog.data.progress import Progress
from neocog.errors import DataError, printable
from neocog.losses import check_classifier, has_targets, probabilities_of
from neocog.network import Network, check_network
from neocog.settings.training import LOSSES, check_threads
from neocog.transfer.head import Head, fit_head
from neocog.validation import flag, refuse, whole

__all__ = ["suggest"]

_LEAST_PICTURES, _LEAST_CLASSES = 2, 2
_MOST_NAMED = 8


def suggest(
    network: Network,
    pictures: Source,
    *,
    count: int = 20,
    seed: int = 0,
    threads: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> Suggestions:
    """Say which pictures to label next, and which labels look wrong.

    *Which to label next* is for pictures without a label: those of which the network is least
    certain, by the entropy of their probabilities, and that are unlike each other, by a greedy
    weighted k-center on their features. The probabilities are the network's own if it knows all
    classes of the folder; otherwise those of a last layer that is fitted on the labeled pictures.

    *Which labels look wrong* is for pictures with a label, of at least two classes: a last layer is
    fitted on their features in cross-validation, so that every picture gets probabilities by a
    layer that has not seen its label, and confident learning compares these with the labels.
    What the layers below have learned of these labels themselves is not undone by that, so the
    best network for it is one that has not been trained on them, or in its last layer only.

    Args:
        network: with weights, ending in a linear layer.
        pictures: as in `neocog.embed`. In a folder, pictures beside the folders of classes or in a
            folder called ``unlabeled`` have no label.
        count: how many pictures to label are named at most.
        seed: of the folds of cross-validation.
        threads: as in `neocog.embed`.
        cache: as in `neocog.embed`.
        progress: as in `neocog.embed`, and then with fits for the "strength" of the last layer's
            penalty, at most, and for the "head".

    Raises:
        ArchitectureError: the network has no weights, or does not end in a linear layer.
        DataError: there are no pictures, or neither pictures without a label nor two classes of two
            pictures.
        NeocogError: a bad argument, too little memory, or features that are not finite.
    """
    if progress is not None and not callable(progress):
        raise refuse("progress", progress, "a function, or None")
    most, seed = whole("count", count, 1), whole("seed", seed, 0)
    threads = check_threads(threads)
    kept = features_cache(check_network(network), threads, flag("cache", cache))
    found = embedded(network, kept, pictures_of(pictures), threads, progress)
    labeled = _Labeled.of(found)
    unlabeled = np.flatnonzero(found.labels == UNKNOWN)
    if not (len(unlabeled) or labeled.enough):
        raise DataError(
            f"There is nothing to suggest for {found.source.name}: labels are checked where there "
            f"are at least {_LEAST_CLASSES} classes of {_LEAST_PICTURES} pictures, and pictures to "
            "label lie beside the folders of classes, or in a folder called unlabeled."
        )
    head = labeled.head(found, seed, progress) if labeled.enough else None
    by, to_label = "network", tuple[ToLabel, ...]()
    if len(unlabeled):
        by, names, probabilities = _probabilities(network, found, labeled, head, unlabeled)
        to_label = _to_label(found, unlabeled, probabilities, names, most)
    return Suggestions(
        embedding=found,
        to_label=to_label,
        wrong_labels=() if head is None else _wrong_labels(found, labeled, head),
        labeled=int((found.labels != UNKNOWN).sum()),
        unlabeled=len(unlabeled),
        checked=len(labeled.rows) if head is not None else 0,
        accuracy=None if head is None else labeled.accuracy(head),
        by=by,
        notes=(*found.notes, *labeled.notes(found)),
    )


@dataclass(frozen=True, eq=False)
class _Labeled:
    """The labeled pictures of classes that have enough of them.

    Attributes:
        rows: of the embedding, int64.
        classes: their numbers in the embedding, in order.
        labels: places of the rows' labels in `classes`, int64.
        few: classes that have too few pictures.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    labels: NDArray[np.int64]
    few: NDArray[np.int64]

    @classmethod
    def of(cls, found: Embedding) -> "_Labeled":
        known = found.labels[found.labels != UNKNOWN]
        counts = np.bincount(known, minlength=len(found.classes))
        classes = np.flatnonzero(counts >= _LEAST_PICTURES)
        few = np.flatnonzero((counts > 0) & (counts < _LEAST_PICTURES))
        rows = np.flatnonzero(np.isin(found.labels, classes))
        return cls(rows, classes, np.searchsorted(classes, found.labels[rows]), few)

    @property
    def enough(self) -> bool:
        """Whether a last layer can be fitted on them."""
        return len(self.classes) >= _LEAST_CLASSES

    def head(self, found: Embedding, seed: int, progress: Progress | None) -> Head:
        """A last layer for them, with its scores in cross-validation."""
        rows = found.features if len(self.rows) == len(found) else found.features[self.rows]
        return fit_head([rows], self.labels, len(self.classes), LOSSES[0], seed, progress)

    def accuracy(self, head: Head) -> float:
        """Of the last layers in cross-validation, 0 to 1."""
        return float((head.scores.argmax(axis=1) == self.labels).mean())

    def names(self, found: Embedding) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(found.classes[k] for k in self.classes.tolist())

    def notes(self, found: Embedding) -> list[str]:
        """Why some labels are not checked, or none."""
        if not self.enough:
            if len(self.rows) + len(self.few) == 0:
                return []
            return [
                "Labels are not checked, which takes at least "
                f"{_LEAST_CLASSES} classes of {_LEAST_PICTURES} pictures."
            ]
        if not len(self.few):
            return []
        some = [printable(found.classes[k], 60) for k in self.few[:_MOST_NAMED].tolist()]
        more = f" and {len(self.few) - _MOST_NAMED:,} more" if len(self.few) > _MOST_NAMED else ""
        return [f"Labels with one picture are not checked: {', '.join(some)}{more}."]


def _probabilities(
    network: Network,
    found: Embedding,
    labeled: _Labeled,
    head: Head | None,
    rows: NDArray[np.int64],
) -> tuple[str, tuple[str, ...], NDArray[np.floating]]:
    """What gives pictures without a label their probabilities, names of classes, and these."""
    features = found.features[rows]
    names = class_labels(network)
    of_folder = {found.classes[k] for k in np.unique(found.labels).tolist() if k != UNKNOWN}
    own = not has_targets(network.loss) and of_folder <= set(names)
    if head is not None and not own:
        scores = features @ head.weight.T + head.bias
        return "last layer", labeled.names(found), probabilities_of(LOSSES[0], scores)
    check_classifier(network.loss, "Suggesting pictures to label")
    last, state = network.graph.nodes[-1].name, network.state_dict()
    scores = features @ state[f"{last}.weight"].T
    if f"{last}.bias" in state:
        scores = scores + state[f"{last}.bias"]
    return "network", names, probabilities_of(network.loss, scores, network.temperature)


def _to_label(
    found: Embedding,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    names: tuple[str, ...],
    most: int,
) -> tuple[ToLabel, ...]:
    unclear = entropies(probabilities)
    chosen = spread_out(unclear, found.features[rows], most)
    return tuple(
        ToLabel.of(found.names[rows[n]], int(rows[n]), probabilities[n], names, float(unclear[n]))
        for n in chosen
    )


def _wrong_labels(found: Embedding, labeled: _Labeled, head: Head) -> tuple[WrongLabel, ...]:
    scores = head.scores - head.scores.max(axis=1, keepdims=True)
    p = np.exp(scores)
    p /= p.sum(axis=1, keepdims=True)
    names = labeled.names(found)
    confident = confident_learning(p, labeled.labels)
    suggestions = []
    for n, j in zip(confident.wrong.tolist(), confident.instead.tolist(), strict=True):
        i, row = int(labeled.labels[n]), int(labeled.rows[n])
        suggestions.append(
            WrongLabel(found.names[row], row, names[i], names[j], float(p[n, j]), float(p[n, i]))
        )
    return tuple(suggestions)
