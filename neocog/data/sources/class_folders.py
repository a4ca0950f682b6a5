"""A folder that has a folder of pictures for each class.

Either ``root/CLASS/…``, or ``root/PART/CLASS/…`` with the parts train, val (also valid or
validation) and test. Below a class's folder there may be others, whose pictures are the class's.
"""

from pathlib import Path

from neocog.data.sources.base import ALL, PARTS, Listing, Request, Source, listing
from neocog.data.sources.files import FileStore, FoundFile, PassedOver, walk
from neocog.errors import DataError, printable

__all__ = ["SOURCE", "part_of"]

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


def part_of(name: str) -> str | None:
    """The part that a folder or file of this name holds; None for one that names no part."""
    return _PART_NAMES.get(name.lower())


def _recognizes(path: Path) -> bool:
    return path.is_dir()


def _read(path: Path, request: Request) -> Listing:
    passed_over = PassedOver()
    try:
        files = list(walk(path, passed_over))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    name = printable(path.resolve().name or str(path), 100)
    return of_files(path, name, files, passed_over.notes(), request)


def of_files(
    path: Path, name: str, files: list[FoundFile], notes: list[str], request: Request
) -> Listing:
    """The listing of picture files whose folders are their classes."""
    tops = {file.name.partition("/")[0] for file in files if "/" in file.name}
    parts = {top: part_of(top) for top in tops}
    has_parts = "train" in parts.values() and all(parts.values())
    if has_parts and len(set(parts.values())) < len(parts):
        raise DataError(f"{path} has two folders for one part: {', '.join(sorted(parts))}.")
    rows: dict[str, list[int]] = {}
    names: dict[str, list[str]] = {}
    loose = 0
    for row, file in enumerate(files):
        levels = file.name.split("/")
        part = parts[levels.pop(0)] if has_parts and len(levels) > 1 else ALL
        if len(levels) < 2 or part is None:
            loose += 1
            continue
        rows.setdefault(part, []).append(row)
        names.setdefault(part, []).append(levels[0])
    if not rows:
        raise DataError(_without_classes(path, loose, notes))
    if loose:
        notes = [*notes, f"Pictures beside the folders of classes are passed over: {loose:,}."]
    if has_parts and len(rows) == 1:  # only train
        rows, names = {ALL: rows["train"]}, {ALL: names["train"]}
    in_order = [part for part in (*PARTS, ALL) if part in rows]
    return listing(
        KIND,
        name,
        FileStore(path, files),
        {part: (rows[part], names[part]) for part in in_order},
        request,
        notes=notes,
    )


def _without_classes(path: Path, loose: int, notes: list[str]) -> str:
    if loose:
        return (
            f"{path} has {loose:,} pictures, but they lie in no folders that say of which class "
            "they are. Put those of each class into a folder of its name, or name a table of files "
            "and labels (.csv or .jsonl)."
        )
    return " ".join([f"{path} has no pictures.", *notes])


SOURCE = Source(KIND, _recognizes, _read)
