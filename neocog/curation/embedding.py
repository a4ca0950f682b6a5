"""Features of pictures: what a network's last linear layer reads, one vector a picture."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.curation.feature_files import check_features_file, write_features
from neocog.curation.pictures import PictureList, Source, pictures_of
from neocog.data.decoding import BadPicture
from neocog.data.progress import Progress, counting
from neocog.data.reading_ahead import read_ahead
from neocog.errors import DataError, FormatError, NeocogError, printable
from neocog.limits import available_cores
from neocog.network import Network, check_network
from neocog.settings.training import check_threads
from neocog.transfer.feature_cache import FeatureCache
from neocog.transfer.features import Features
from neocog.validation import file_path, flag, refuse

__all__ = ["Embedding", "embed", "embedded", "features_cache"]

# Pictures in memory at a time, and the bytes that they may take.
_AT_A_TIME = 256
_MOST_BYTES = 2**25


@dataclass(frozen=True, eq=False, repr=False)
class Embedding:
    """Pictures with their features, as `neocog.embed` gives them.

    Attributes:
        features: float32 [n, features].
        names: of the n pictures: paths in the folder.
        labels: class numbers, int64 [n]; −1 where no label is known.
        classes: names of the classes, in the order of their numbers.
        skipped: the pictures that could not be read and are not among the n: their place in the
            source, their name and the reason.
        notes: sentences about the source, such as about ignored files.
        computed: how many features were computed; the others were in the cache.
        why_not_kept: why the cache keeps nothing; empty if it does, or was not to.
    """

    features: NDArray[np.float32]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    skipped: tuple[BadPicture, ...] = ()
    notes: tuple[str, ...] = ()
    computed: int = 0
    why_not_kept: str = ""
    source: PictureList = field(kw_only=True)
    places: NDArray[np.int64] = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        n, features = self.features.shape
        return f"<Embedding of {n} pictures in {features} features>"

    def label(self, index: int) -> str | None:
        """The name of a picture's class; None if it has no label."""
        number = int(self.labels[index])
        return None if number < 0 else self.classes[number]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the features to a ``.npz`` or ``.parquet``, completely or not at all.

        `neocog.curation.feature_files` says what is in them.

        Raises:
            FormatError: the suffix is another, the file exists and is not to be overwritten, or it
                cannot be written.
            NeocogError: pyarrow is missing, or there is too little memory.
        """
        place = file_path("path", path, error=FormatError)
        check_features_file(place, flag("overwrite", overwrite))
        write_features(place, self.features, self.names, self.labels, self.classes)

    def errors(self) -> list[dict[str, str]]:
        """The pictures that could not be read, as plain data for JSON."""
        return [{"file": one.name, "error": f"{one.name} {one.reason}"} for one in self.skipped]

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """A picture's file or pixels; raises OSError or DataError if it is gone."""
        return self.source.pictures.read(int(self.places[index]))


def embed(
    network: Network,
    pictures: Source,
    *,
    threads: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> Embedding:
    """The features of pictures: what the last linear layer of a network reads.

    Pictures with like features look alike to the network, so features are for finding similar
    pictures, for clustering, and for classifiers of other programs. They are the same, bit for bit,
    with any number of threads. Pictures are decoded some at a time, so memory grows by the features
    alone.

    Args:
        network: with weights, ending in a linear layer.
        pictures: a folder or file as `neocog.load_data` takes it, also a folder without classes; or
            a `Data` or `Dataset`. In a folder, pictures beside the folders of classes or in a
            folder called ``unlabeled`` have no label.
        threads: number of threads that decode and compute; None uses as many as can run at once.
        cache: whether features are kept on the disk, by the pictures' content, and found there.
        progress: called with "features", how many pictures are done, and how many there are.

    Raises:
        ArchitectureError: the network has no weights, or does not end in a linear layer.
        DataError: there are no pictures, or none that can be read.
        NeocogError: a bad argument, too little memory, or features that are not finite.
    """
    if progress is not None and not callable(progress):
        raise refuse("progress", progress, "a function, or None")
    kept = features_cache(check_network(network), check_threads(threads), flag("cache", cache))
    return embedded(network, kept, pictures_of(pictures), threads, progress)


def features_cache(network: Network, threads: int | None, cache: bool) -> FeatureCache:
    """What gives the features before a network's last linear layer."""
    return FeatureCache(Features(network, None, threads), cache)


def embedded(
    network: Network,
    cache: FeatureCache,
    source: PictureList,
    threads: int | None,
    progress: Progress | None,
) -> Embedding:
    """The features of all pictures of a source that can be read.

    Args:
        network: whose preprocessing says how pictures are resized.
        cache: its features.
        source: the pictures.
        threads: number of threads that decode.
        progress: as in `embed`.

    Raises:
        DataError: none can be read.
        NeocogError: as `embed`.
    """
    bad: list[BadPicture] = []
    features = cache.of_batches(
        _batches(network, source, threads or available_cores(), bad, progress), len(source)
    )
    if not len(features):
        first = bad[0]
        raise DataError(
            f"None of the {len(source):,} pictures of {source.name} can be read. The first: "
            f"{printable(first.name, 200)} {first.reason}"
        )
    if not np.isfinite(features).all():
        raise NeocogError(
            "The network gives features that are NaN or infinite: its weights are damaged, or come "
            "from a training that diverged."
        )
    places = np.delete(np.arange(len(source)), [one.place for one in bad])
    return Embedding(
        np.asarray(features, np.float32),
        tuple(map(source.picture_name, places.tolist())),
        source.labels[places],
        source.classes,
        tuple(bad),
        source.notes,
        cache.computed,
        cache.why_not_kept,
        source=source,
        places=places,
    )


def _batches(
    network: Network,
    source: PictureList,
    threads: int,
    bad: list[BadPicture],
    progress: Progress | None,
) -> Iterator[NDArray[np.uint8]]:
    """Images, some at a time; those that cannot be read are added to `bad`."""
    shape, resize = network.input_shape, network.preprocessing.resize
    told = counting(progress, "features")

    def read(index: int) -> NDArray[np.uint8]:
        return source.decoded(index, shape, resize)

    size = max(1, int(np.prod(shape)))
    at_a_time = max(1, min(_AT_A_TIME, _MOST_BYTES // size))
    for some, found in read_ahead(range(len(source)), read, at_a_time=at_a_time, threads=threads):
        images: list[Any] = []
        for place, one in zip(some, found, strict=True):
            if isinstance(one, DataError):
                bad.append(BadPicture(place, source.picture_name(place), str(one)))
            else:
                images.append(one)
        if images:
            yield np.stack(images)
        if told is not None:
            told(some[-1] + 1, len(source))
