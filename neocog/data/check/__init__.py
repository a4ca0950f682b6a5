"""Checks pictures for problems before a network is trained on them.

Every picture is read and decoded once. Half a kilobyte is kept of each (`table.py`), from which
everything else is computed.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data import NAMES, load_data
from neocog.data.check.balance import find_balance
from neocog.data.check.duplicates import Same, find_duplicates
from neocog.data.check.findings import Broken, Group, Odd, Pair, Picture, Sizes, WrongEnding
from neocog.data.check.looking import KINDS, LARGEST_SIDE, MODES, kind_by_name
from neocog.data.check.outliers import CONSPICUOUS, NEAREST, SMALLEST_CLASS, outlier_scores
from neocog.data.check.report import Report
from neocog.data.check.table import Everything, Table, look_at_all
from neocog.data.dataset import Data
from neocog.data.loading import list_pictures, split_listing
from neocog.data.options import VALIDATION, LoadOptions
from neocog.data.progress import Progress, counting
from neocog.data.sources import ALL, PARTS, Listing
from neocog.data.sources.arrays import of_datasets
from neocog.errors import DataError
from neocog.files import user_path
from neocog.limits import available_cores
from neocog.validation import file_path, whole

__all__ = ["NEAR", "Report", "check_data"]

#: Bits in which the perceptual hashes of near duplicates may differ.
NEAR = 6
_MOST_NEAR = 10
# Sizes that are listed.
_MOST_SIZES = 8


def check_data(
    source: str | os.PathLike[str] | Data,
    *,
    classes: Sequence[str] | None = None,
    file_column: str | None = None,
    label_column: str | None = None,
    validation: float = VALIDATION,
    split_seed: int = 0,
    near: int = NEAR,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check the pictures of a source, and report problems and statistics.

    The report lists pictures that cannot be decoded; exact and near duplicates, above all those
    that are in two parts or have two labels; classes that are small or missing; pictures that are
    far from all others of their class; and the sizes and formats of the files.

    Args:
        source: anything that `neocog.load_data` takes or returns.
        classes: as in `load_data`.
        file_column: as in `load_data`.
        label_column: as in `load_data`.
        validation: as in `load_data`; a source without a split is checked with the split that
            `load_data` would make.
        split_seed: as in `load_data`.
        near: bits of 64 in which the perceptual hashes of near duplicates may differ, 0 to 10. Up
            to 6, hardly any other pairs are found.
        threads: number of threads that decode; None uses as many as this process may use.
        progress: called for "checking" and "comparing", with numbers of pictures.

    Raises:
        DataError: there are no such data or no pictures. A picture that cannot be read is part of
            the report instead.
        NeocogError: a bad argument, or less memory than half a kilobyte per picture.
    """
    near = whole("near", near, 0, _MOST_NEAR, error=DataError)
    options = LoadOptions.of(
        classes=classes,
        file_column=file_column,
        label_column=label_column,
        validation=validation,
        split_seed=split_seed,
        threads=threads,
        progress=progress,
    )
    found = _listing(source, options)
    # The same place as in training, whose digests of the pictures' contents are then reused.
    place = "" if isinstance(source, Data) else str(user_path(source).absolute())
    parts = split_listing(found, options.validation, options.split_seed, place)
    everything = Everything({part: parts[part] for part in PARTS if len(parts.get(part, ()))})
    notes = list(found.notes)
    if ALL in found.parts:
        notes.append(
            "The source has no split; the pictures are checked with the one that training would "
            f"make: {100 * options.validation:g} % of each class for validation (seed "
            f"{options.split_seed})."
        )
    table = look_at_all(
        everything, options.threads or available_cores(), counting(progress, "checking")
    )
    return _report(found, everything, table, near, notes, progress)


def _listing(source: str | os.PathLike[str] | Data, options: LoadOptions) -> Listing:
    if not isinstance(source, Data):
        file_path("The data's name or path", source, error=DataError)
        name = os.fspath(source)
        if name not in NAMES:
            return list_pictures(name, options.request())
        source = load_data(name, progress=options.progress)
    parts = {part: images for part, images in source.parts.items() if len(images)}
    if not parts:
        raise DataError(f"{source.name} has no pictures.")
    return of_datasets(
        "arrays", source.name, parts, source.classes, options.request(), source.notes
    )


def _report(
    found: Listing,
    everything: Everything,
    table: Table,
    near: int,
    notes: list[str],
    progress: Progress | None,
) -> Report:
    """Turn the table into a report."""

    def picture(index: int) -> Picture:
        part = everything.parts[int(everything.part[index])]
        label = found.classes[int(everything.labels[index])]
        return Picture(everything.name(index), part, label, index)

    def pair(one: Same) -> Pair:
        return Pair(picture(one.first), picture(one.second), one.how, one.bits)

    good = np.flatnonzero(table.good)
    same = find_duplicates(table, everything.part, everything.labels, near)
    groups = [Group(how, tuple(map(picture, members))) for how, members in same.exact]
    scores = np.zeros(len(everything))
    scores[good] = outlier_scores(
        table.features[good],
        everything.labels[good],
        len(found.classes),
        counting(progress, "comparing"),
    )
    far = sorted(np.flatnonzero(scores >= CONSPICUOUS).tolist(), key=lambda n: (-scores[n], n))
    kinds = {int(n): KINDS[table.kind[n]] for n in good}
    endings = [(n, kind_by_name(everything.name(n)), is_) for n, is_ in kinds.items()]
    return Report(
        name=found.name,
        kind=found.kind,
        classes=found.classes,
        count=len(everything),
        notes=tuple(notes),
        balance=find_balance(everything.parts, everything.part, everything.labels, found.classes),
        sizes=_sizes(table.size[good]),
        modes=_most_first(MODES[mode] for mode in table.mode[good]),
        formats=_most_first(kinds.values()),
        turned=int(table.turned[good].sum()),
        broken=tuple(Broken(picture(one.place), one.reason) for one in table.broken),
        wrong_endings=tuple(
            WrongEnding(picture(n), says, is_)
            for n, says, is_ in endings
            if says not in (None, is_) and is_ != "pixels" and says is not None
        ),
        one_color=tuple(picture(int(n)) for n in good[table.one_color[good]]),
        exact=tuple(groups),
        near=tuple(Group("near", tuple(map(picture, members))) for members in same.near),
        leaks=tuple(map(pair, same.leaks)),
        conflicts=tuple(map(pair, same.conflicts)),
        odd=tuple(Odd(picture(n), round(float(scores[n]), 1)) for n in far),
        complete=same.complete,
        methods=_methods(near),
        everything=everything,
    )


def _most_first(names: Iterable[str]) -> Mapping[str, int]:
    return dict(Counter(names).most_common())


def _sizes(sizes: NDArray[np.int32]) -> Sizes | None:
    if not len(sizes):
        return None
    each, counts = np.unique(sizes, axis=0, return_counts=True)
    area = each[:, 0].astype(np.int64) * each[:, 1]
    ratio = sizes[:, 0] / sizes[:, 1]
    often = np.argsort(-counts, kind="stable")[:_MOST_SIZES]

    def size(row: NDArray[np.int32]) -> tuple[int, int]:
        return int(row[0]), int(row[1])

    middle = np.median(sizes, axis=0)
    return Sizes(
        smallest=size(each[area.argmin()]),
        median=(float(middle[0]), float(middle[1])),
        largest=size(each[area.argmax()]),
        most_frequent=tuple((size(each[n]), int(counts[n])) for n in often),
        different=len(each),
        aspects=(float(ratio.min()), float(np.median(ratio)), float(ratio.max())),
        landscape=int((ratio > 1).sum()),
        portrait=int((ratio < 1).sum()),
        square=int((ratio == 1).sum()),
    )


def _methods(near: int) -> dict[str, str]:
    return {
        "exact": (
            "The same bytes, or the same pixels and size when decoded. Pictures with a side of "
            f"more than {LARGEST_SIDE} pixels are compared scaled to it."
        ),
        "near": (
            f"At most {near} of the 64 bits of their perceptual hashes differ (DCT, of 32 × 32 "
            "gray pixels), and their thumbnails of 8 × 8 pixels by less than a tenth of the range "
            "gray pixels), and their 8 × 8 thumbnails differ by less than a tenth of the range of "
            "levels. This finds copies that were compressed, scaled or slightly changed in "
            "brightness, but not mirrored, rotated or clearly cropped ones. Pictures of one color "
            "are left out. Two photographs of one thing can look alike without being copies."
        ),
        "odd": (
            "Each picture's thumbnail, colors and gradients are compared with those of its class. "
            "The score is by how many robust standard deviations the mean distance to the "
            f"{NEAREST} nearest pictures exceeds the class's median; pictures from {CONSPICUOUS} "
            f"on are listed. Classes of fewer than {SMALLEST_CLASS} pictures are left out. The "
            "score is a hint where to look, not proof of a mistake: rare pictures score high, and "
            "wrong labels often do not."
        ),
    }
