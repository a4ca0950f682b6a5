"""Writes features of pictures to files for other programs: NPZ and Parquet.

An NPZ has the arrays

    features    float32 [n, features]
    names       texts [n]
    labels      int64 [n], −1 where there is no label
    classes     texts [classes]

all of which NumPy loads without pickles. A Parquet has a row for each picture, with the columns
``name``, ``label`` (null where there is none) and ``features``, a list of float32.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, printable
from neocog.extras import module_of_extra
from neocog.files import writing
from neocog.limits import require_memory
from neocog.write_errors import check_replaceable, why_not_written

__all__ = ["check_features_file", "write_features"]

# Rows of a group in Parquet, and bytes of a character in NumPy's texts.
_ROWS, _CHARACTER = 4096, 4


def check_features_file(path: Path, overwrite: bool = False) -> None:
    """Check that features can be written to a file, before they are computed.

    Raises:
        FormatError: the suffix is neither .npz nor .parquet, or the file exists.
        NeocogError: pyarrow is missing.
    """
    shown = printable(str(path), 300)
    if path.suffix.lower() not in _WRITERS:
        raise FormatError(f"{shown} must end in {' or '.join(_WRITERS)}, which says its format.")
    check_replaceable(path, overwrite)
    if path.suffix.lower() == ".parquet":
        module_of_extra("pyarrow", "A Parquet file", "pyarrow", "parquet")


def write_features(
    path: Path,
    features: NDArray[np.float32],
    names: Sequence[str],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> None:
    """Write features to a .npz or .parquet, completely or not at all.

    Args:
        path: of the file.
        features: float32 [n, features].
        names: of the n pictures.
        labels: class numbers, int64 [n]; −1 where there is none.
        classes: names of the classes.

    Raises:
        FormatError: the file cannot be written.
        NeocogError: too little memory.
    """
    write = _WRITERS[path.suffix.lower()]
    try:
        with writing(path) as file:
            write(file, features, names, labels, classes)
    except OSError as error:
        raise FormatError(why_not_written(path, error)) from error


def _write_npz(
    file: BinaryIO,
    features: NDArray[np.float32],
    names: Sequence[str],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> None:
    known, of_classes = _texts(names), _texts(classes)
    np.savez(file, features=features, names=known, labels=labels, classes=of_classes)


def _texts(texts: Sequence[str]) -> NDArray[np.str_]:
    size = _CHARACTER * len(texts) * max(map(len, texts), default=0)
    require_memory(size, f"An array of {len(texts):,} names", "Shorten the longest.")
    return np.array(texts, np.str_)


def _write_parquet(
    file: BinaryIO,
    features: NDArray[np.float32],
    names: Sequence[str],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    width = features.shape[1]
    schema = arrow.schema(
        [
            arrow.field("name", arrow.string(), nullable=False),
            arrow.field("label", arrow.string()),
            arrow.field("features", arrow.list_(arrow.float32(), width), nullable=False),
        ]
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for first in range(0, len(features), _ROWS):
            rows = slice(first, first + _ROWS)
            of_rows = [None if k < 0 else classes[k] for k in labels[rows].tolist()]
            numbers = arrow.array(features[rows].ravel())
            columns = [
                arrow.array(list(map(_encodable, names[rows])), arrow.string()),
                arrow.array(of_rows, arrow.string()),
                arrow.FixedSizeListArray.from_arrays(numbers, width),
            ]
            writer.write_batch(arrow.record_batch(columns, schema=schema))


def _encodable(name: str) -> str:
    """A name with the bytes that are no UTF-8 written as in Python's texts."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


_WRITERS: Mapping[str, Callable[..., None]] = {
    ".npz": _write_npz,
    ".parquet": _write_parquet,
}
