"""Pictures in tar files, as in WebDataset: one file, a folder of them, or a pattern.

Members of a sample have the same name with different endings: ``000012.jpg`` and ``000012.cls`` (or
``.json`` with a label, or ``.txt``). Without such labels, the folders in the archives are the
classes. Parts are named by the files (``train-000000.tar``) or their folders. The files may be
larger than the memory: headers are read once, pictures when they are needed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from neocog.data.sources import class_folders
from neocog.data.sources.archives.shard_index import ShardIndex
from neocog.data.sources.archives.shard_paths import is_pattern, part_of_shard, shards_of_pattern
from neocog.data.sources.archives.tar_headers import RECORD, is_header
from neocog.data.sources.base import ALL, PARTS, Listing, Request, Source, listing
from neocog.data.sources.class_folders import part_of
from neocog.data.sources.files import walk
from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.tree import Tree, is_hidden
from neocog.errors import DataError, printable
from neocog.files import open_regular

__all__ = ["PACKED", "SOURCE"]

_KIND = "tar shards"
_PACKED_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


def _recognizes(path: Path) -> bool:
    try:
        if is_pattern(str(path)) and not path.exists():
            return True
        return _has_shards(path) if path.is_dir() else _is_tar(path)
    except OSError:
        return False


def _is_tar(path: Path) -> bool:
    if path.suffix.lower() == ".tar":
        return path.is_file()
    with open_regular(path) as file:
        return is_header(file.read(RECORD))


def _has_shards(folder: Path) -> bool:
    """Whether it has tar files, possibly in folders of parts, and no folders of pictures."""
    inner, found = [], False
    for entry in folder.iterdir():
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            if part_of(entry.name) is None:
                return False
            inner.append(entry)
        found = found or entry.suffix.lower() == ".tar"
    return found or any(one.suffix.lower() == ".tar" for part in inner for one in part.iterdir())


def _read(path: Path, request: Request) -> Listing:
    passed_over = PassedOver()
    try:
        if path.is_dir():
            names = [file.name for file in walk(path, passed_over, suffixes={".tar"})]
            paths = [path / name for name in names]
        else:
            paths = [path] if path.exists() else shards_of_pattern(str(path))
            names = _apart(paths)
        index = ShardIndex(paths, names, request.label_column)
    except OSError as error:
        shown = printable(str(error.filename or path), 300)
        raise DataError(f"{shown} cannot be read: {error.strerror}.") from error
    return _listing(path, names, index, request, [*passed_over.notes()])


def _apart(paths: Sequence[Path]) -> list[str]:
    """The files' names; with their folders if two are the same."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    if len(set(paths)) < len(paths):
        raise DataError("The same tar file is named twice.")
    return [path.as_posix() for path in paths]


def _listing(
    path: Path, names: Sequence[str], index: ShardIndex, request: Request, notes: list[str]
) -> Listing:
    store, shown = index.store, printable(str(path), 300)
    if not len(store):
        found = [f"{shown} has no pictures.", *notes, *index.passed_over.notes()]
        raise DataError(" ".join(found))
    parts = [part_of_shard(name) for name in names] if len(names) > 1 else [None]
    notes = [*notes, *index.passed_over.notes()]
    if "train" not in parts:
        parts = [None] * len(names)
    elif None in parts:
        odd = [name for name, part in zip(names, parts, strict=True) if part is None]
        raise DataError(
            f"{shown} has tar files for parts, and {printable(odd[0], 100)}, whose name says no "
            "part. Rename it, or take it out."
        )
    name = printable(path.resolve().name, 100)
    if not index.classes:
        tree = Tree(shown, name, _InParts(store.names, store.shards, parts), store, notes)
        return class_folders.of_tree(tree, request, _KIND)
    if index.further:
        notes.append(f"Further pictures of one sample are passed over: {index.further:,}.")
    labels = index.labels
    if without := int((labels < 0).sum()):
        notes.append(f"Pictures without a label are passed over: {without:,}.")
    of_part = np.array([[*PARTS, None].index(part) for part in parts])[store.shards]
    of_parts: dict[str, tuple[list[int], list[str]]] = {}
    for number, part in enumerate((*PARTS, ALL)):
        rows = np.flatnonzero((of_part == number) & (labels >= 0))
        if len(rows):
            of_parts[part] = rows.tolist(), [index.classes[k] for k in labels[rows].tolist()]
    if list(of_parts) == ["train"]:
        of_parts = {ALL: of_parts["train"]}
    return listing(_KIND, name, store, of_parts, request, notes=notes)


class _InParts(Sequence[str]):
    """Names of pictures, each in the folder of its shard's part."""

    def __init__(self, names: Sequence[str], shards: Sequence[int], parts: Sequence[str | None]):
        self._names, self._shards = names, shards
        self._before = [f"{part}/" if part else "" for part in parts]

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]
        return self._before[self._shards[row]] + self._names[row]

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


def _is_packed(path: Path) -> bool:
    return path.name.lower().endswith(_PACKED_ENDINGS) and path.is_file()


def _refuse_packed(path: Path, _request: Request) -> Listing:
    shown = printable(str(path), 300)
    raise DataError(
        f"{shown} is packed as a whole, so that no picture in it can be read without all that are "
        f"before it. Unpack it (tar -xf {shown}) and name the folder that comes out."
    )


SOURCE = Source(_KIND, _recognizes, _read)
#: Compressed tar files; after the kinds that have archives of their own, such as CIFAR-10.
PACKED = Source("packed tar files", _is_packed, _refuse_packed)
