"""A folder that has a folder of pictures for each class.

Either ``root/CLASS/…``, or ``root/PART/CLASS/…`` with the parts train, val (also valid or
validation) and test. Pictures in deeper folders belong to the class, too. A single folder around
everything, as archives often have, is skipped. Pictures beside the folders of classes have no
class, and neither have those in a folder called ``unlabeled``.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from neocog.data.sources.base import ALL, PARTS, Listing, Request, Source, listing
from neocog.data.sources.files import folder_tree
from neocog.data.sources.tree import Tree
from neocog.errors import DataError, printable

__all__ = ["KIND", "SOURCE", "of_tree", "part_and_class", "part_of"]

#: As in `Source`.
KIND = "class folders"
_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_UNLABELED = re.compile("unlabell?ed", re.IGNORECASE)


def part_of(name: str) -> str | None:
    """The part that a folder or file of this name has; None if it is not the name of a part."""
    return _PART_NAMES.get(name.lower())


def _recognizes(path: Path) -> bool:
    return path.is_dir()


def _read(path: Path, request: Request) -> Listing:
    return of_tree(folder_tree(path), request)


def of_tree(tree: Tree, request: Request, kind: str = KIND) -> Listing:
    """The listing of picture files whose folders are their classes.

    Args:
        tree: the files.
        request: which classes are wanted.
        kind: as in `Listing`.

    Raises:
        DataError: no file lies in a folder, or as `listing` does.
    """
    rows: dict[str, list[int]] = {}
    classes: dict[str, list[str]] = {}
    loose = 0
    for row, found in enumerate(part_and_class(tree)):
        if found is None:
            loose += 1
        else:
            part, one = found
            rows.setdefault(part, []).append(row)
            classes.setdefault(part, []).append(one)
    notes = list(tree.notes)
    if not rows:
        raise DataError(_without_classes(tree, loose))
    if loose:
        notes.append(f"Pictures beside the folders of classes are passed over: {loose:,}.")
    if len(rows) == 1:
        rows, classes = {ALL: rows.popitem()[1]}, {ALL: classes.popitem()[1]}
    made = listing(
        kind,
        tree.name,
        tree.store,
        {part: (rows[part], classes[part]) for part in (*PARTS, ALL) if part in rows},
        request,
        notes=notes,
    )
    if len(made.classes) > 1 or request.classes is not None:
        return made
    only = printable(made.classes[0], 100)
    one = f"All pictures are of one class, {only!r}: there is nothing to tell them apart by."
    return Listing(kind, made.name, made.classes, made.parts, (*made.notes, one))


def part_and_class(tree: Tree) -> list[tuple[str, str] | None]:
    """The part and the class of each picture, in the order of the files; None if it has no class.

    Raises:
        DataError: two folders are for one part.
    """
    of_files = [name.rpartition("/")[0] for name in tree.names]
    meaning = _meanings(tree, set(of_files))
    return [meaning[folder] for folder in of_files]


def _meanings(tree: Tree, folders: Iterable[str]) -> dict[str, tuple[str, str] | None]:
    """The part and the class of the pictures in each folder; None if they have no class."""
    levels = {folder: folder.split("/") if folder else [] for folder in folders}
    unlabeled = [folder for folder, path in levels.items() if any(map(_UNLABELED.fullmatch, path))]
    for folder in unlabeled:
        del levels[folder]
    while _have_wrapper(levels.values()):
        levels = {folder: path[1:] for folder, path in levels.items()}
    tops = {path[0] for path in levels.values() if path}
    parts = {top: part_of(top) for top in tops}
    found: dict[str, tuple[str, str] | None] = dict.fromkeys(unlabeled)
    has_parts = "train" in parts.values() and all(parts.values())
    if has_parts and len(set(parts.values())) < len(parts):
        twice = ", ".join(printable(top, 60) for top in sorted(parts))
        raise DataError(f"{tree.place} has two folders for one part: {twice}.")
    for folder, path in levels.items():
        if has_parts:
            part = parts[path[0]] if path else None
            found[folder] = (part, path[1]) if part and len(path) > 1 else None
        else:
            found[folder] = (ALL, path[0]) if path else None
    return found


def _have_wrapper(paths: Iterable[list[str]]) -> bool:
    """Whether all are in one folder that is neither a part nor, having no pictures, a class."""
    tops = {path[0] if len(path) > 1 else None for path in paths}
    top = tops.pop() if len(tops) == 1 else None
    return top is not None and part_of(top) is None


def _without_classes(tree: Tree, loose: int) -> str:
    if loose:
        return (
            f"{tree.place} has {loose:,} pictures, but they lie in no folders that say of which "
            "class they are. Put those of each class into a folder of its name, or name a table of "
            "files and labels (.csv or .jsonl)."
        )
    return " ".join([f"{tree.place} has no pictures.", *tree.notes])


SOURCE = Source(KIND, _recognizes, _read)
