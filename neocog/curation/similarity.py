"""Which pictures look like another one to a network: the cosine of their features."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.curation.embedding import Embedding, embedded, features_cache
from neocog.curation.findings import Match
from neocog.curation.pictures import Source, pictures_of
from neocog.curation.similar_page import similar_page
from neocog.data.picture import fit_picture, read_picture
from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.progress import Progress
from neocog.errors import DataError
from neocog.files import read_bytes, user_path, write_bytes
from neocog.network import Network, check_network
from neocog.settings.training import check_threads
from neocog.validation import file_path, flag, refuse, whole

__all__ = ["SimilarPictures", "cosines", "similar"]

# Rows that are multiplied at a time, in float64.
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class SimilarPictures:
    """The result of `neocog.similar`.

    Attributes:
        matches: the most similar first; of equally similar pictures the earlier one.
        embedding: the pictures that were compared, with their features, and those that could not
            be read.
        picture: the path or the pixels of the one that they are compared with.
    """

    matches: tuple[Match, ...]
    embedding: Embedding
    picture: Path | NDArray[np.uint8] = field(repr=False)

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """Write an HTML file with thumbnails of the pictures.

        They are read again. Raises OSError if the file cannot be written.
        """
        name = str(self.picture) if isinstance(self.picture, Path) else "the picture"
        write_bytes(path, similar_page(name, self._read, self.matches, self.embedding).encode())

    def _read(self) -> bytes | NDArray[np.uint8]:
        if isinstance(self.picture, Path):
            return read_bytes(user_path(self.picture), LARGEST_FILE)
        return self.picture


def similar(
    network: Network,
    picture: str | os.PathLike[str] | NDArray[np.uint8],
    pictures: Source,
    *,
    count: int = 10,
    threads: int | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> SimilarPictures:
    """Find the pictures that look most like another one to a network.

    Pictures are compared by the cosine of their features, which the network's last linear layer
    reads: 1 if they are the same to the network. If `picture` itself lies among the pictures, it is
    left out; a copy of it is not.

    Args:
        network: with weights, ending in a linear layer.
        picture: the path of a picture, or its pixels, uint8 [height, width, channels].
        pictures: where to look, as in `neocog.embed`.
        count: how many are found at most.
        threads: as in `neocog.embed`.
        cache: as in `neocog.embed`.
        progress: as in `neocog.embed`.

    Raises:
        ArchitectureError: the network has no weights, or does not end in a linear layer.
        DataError: `picture` cannot be read, or there are no other pictures that can.
        NeocogError: a bad argument, too little memory, or features that are not finite.
    """
    if progress is not None and not callable(progress):
        raise refuse("progress", progress, "a function, or None")
    most, threads = whole("count", count, 1), check_threads(threads)
    kept = features_cache(check_network(network), threads, flag("cache", cache))
    pixels = _pixels(network, picture)
    source = pictures_of(pictures)
    asked = kept.features.of(pixels[None])[0]
    found = embedded(network, kept, source, threads, progress)
    values = cosines(found.features, asked)
    order = np.argsort(-values, kind="stable")[: most + 1].tolist()
    matches = [Match(found.names[n], float(values[n]), found.label(n), n) for n in order]
    if source.folder is not None and not isinstance(picture, np.ndarray):
        own = os.path.realpath(user_path(picture))
        matches = [m for m in matches if os.path.realpath(source.folder / m.name) != own]
    if not matches:
        raise DataError(f"{source.name} has no other pictures to compare with.")
    asked_for = picture if isinstance(picture, np.ndarray) else Path(picture)
    return SimilarPictures(tuple(matches[:most]), found, asked_for)


def _pixels(
    network: Network, picture: str | os.PathLike[str] | NDArray[np.uint8]
) -> NDArray[np.uint8]:
    shape, resize = network.input_shape, network.preprocessing.resize
    if not isinstance(picture, np.ndarray):
        return read_picture(file_path("picture", picture, error=DataError), shape, resize)
    if picture.dtype != np.uint8 or picture.ndim != 3 or 0 in picture.shape:
        raise DataError(
            f"picture must be a path, or uint8 [height, width, channels], not {picture.dtype} "
            f"{list(picture.shape)}."
        )
    try:
        return fit_picture(picture, shape, resize)
    except DataError as error:
        raise DataError(f"picture {error}") from error


def cosines(features: NDArray[np.float32], one: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine of each row with a vector, float64 [n]; 0 where either has no length."""
    found = np.zeros(len(features))
    vector = one.astype(np.float64)
    length = float(np.linalg.norm(vector))
    for first in range(0, len(features), _ROWS):
        rows = features[first : first + _ROWS].astype(np.float64)
        lengths = np.linalg.norm(rows, axis=1) * length
        # Row by row, as a product of matrices would round by the rows beside it.
        products = np.array([row @ vector for row in rows])
        np.divide(products, lengths, out=found[first : first + _ROWS], where=lengths > 0)
    return np.clip(found, -1, 1)
