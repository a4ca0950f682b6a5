"""CIFAR-100: the binary files or the Python ones, by the path of their folder or archive.

A record of ``train.bin`` (50,000) or ``test.bin`` (10,000) is the byte of the coarse label, that of
the fine one, and 3,072 pixel bytes (https://www.cs.toronto.edu/~kriz/cifar.html).

Every image has two labels, which are chosen like columns of a table: ``label_column="coarse"`` has
20 superclasses, and "fine", the default, 100 classes.
"""

import os
from pathlib import Path

from neocog.data.sources.archives import cached_archive
from neocog.data.sources.archives.cached_archive import Form, holds, is_archive, is_file
from neocog.data.sources.arrays import of_datasets
from neocog.data.sources.base import Listing, Request, Source
from neocog.data.sources.pixel_files.cifar_python import read_batch
from neocog.data.sources.pixel_files.cifar_records import (
    PIXELS,
    Records,
    check_size,
    empty,
    read_records,
)
from neocog.errors import DataError
from neocog.files import open_regular
from neocog.validation import choice

__all__ = ["COARSE", "FINE", "SOURCE"]

KIND = "CIFAR-100"
_FINE = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch "
    "crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo "
    "keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain "
    "mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain "
    "plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
_COARSE = (
    "aquatic_mammals fish flowers food_containers fruit_and_vegetables "
    "household_electrical_devices household_furniture insects large_carnivores "
    "large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores "
    "medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 "
    "vehicles_2"
)
#: The 100 classes, and the 20 superclasses.
FINE, COARSE = tuple(_FINE.split()), tuple(_COARSE.split())

TRAIN_RECORDS, TEST_RECORDS = 50_000, 10_000
RECORD_BYTES = 2 + 3 * PIXELS
BINARY = Form(KIND, "cifar-100-binary", ("train.bin", "test.bin"), None, "cifar-100-binary.tar.gz")
PYTHON = Form(KIND, "cifar-100-python", ("train", "test"), None, "cifar-100-python.tar.gz")
_FORMS = (BINARY, PYTHON)
_PICKLE = b"\x80\x02"


def _recognizes(path: Path) -> bool:
    return _place_in(path) is not None


def _place_in(path: Path) -> tuple[Path, Form | None] | None:
    """The folder of the files and their form, or the archive, that `path` is or contains."""
    if not path.is_dir():
        named = path.name in (BINARY.archive, PYTHON.archive)
        return (path, None) if named or (is_archive(path) and holds(path, "cifar-100-")) else None
    if (folder := BINARY.place_in(path)) is not None:
        return folder, BINARY
    # Many folders of pictures have folders called train and test.
    for folder in (path, path / PYTHON.folder):
        if any(_is_pickle(folder / name) for name in PYTHON.files):
            return folder, PYTHON
    for form in _FORMS:
        if os.path.lexists(path / form.archive):
            return path / form.archive, None
    return None


def _is_pickle(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(_PICKLE)) == _PICKLE
    except OSError:
        return False


def _read(path: Path, request: Request) -> Listing:
    place = _place_in(path)
    try:
        if place is None or (place[1] is None and not is_file(place[0])):
            raise DataError(f"{path} has no CIFAR-100: {BINARY.archive} is no regular file.")
        folder, form = place
        if form is None:
            remedy = f"Give the path of {BINARY.folder}"
            cache = cached_archive.cache(KIND, remedy)
            folder, form = cached_archive.unpacked(folder, _FORMS, cache)
        return _read_files(folder, form, request)
    except OSError as error:
        raise DataError(f"CIFAR-100 could not be read: {error}.") from error


def _read_files(folder: Path, form: Form, request: Request) -> Listing:
    fine = _wants_fine(request)
    classes = FINE if fine else COARSE
    parts = {}
    for part, name, count in zip(
        ("train", "test"), form.files, (TRAIN_RECORDS, TEST_RECORDS), strict=True
    ):
        size = RECORD_BYTES * count if form is BINARY else None
        check_size(folder / name, size, KIND, form.files)
        parts[part] = empty(count)
    for images, name in zip(parts.values(), form.files, strict=True):
        if form is BINARY:
            records = Records(len(images), 2, int(fine), len(classes))
            read_records(folder / name, images, records)
        else:
            key = "fine_labels" if fine else "coarse_labels"
            read_batch(folder / name, images, key, len(classes))
    name = "cifar100" if fine else "cifar100-coarse"
    return of_datasets(KIND, name, parts, classes, request)


def _wants_fine(request: Request) -> bool:
    """Whether the fine labels are wanted, by the names of columns in tables of CIFAR-100."""
    if request.label_column is None:
        return True
    known = {
        f"{kind}{end}": kind for kind in ("fine", "coarse") for end in ("", "_label", "_labels")
    }
    column = choice(
        "label_column",
        request.label_column,
        tuple(known),
        wanted="'fine' or 'coarse' for CIFAR-100",
        error=DataError,
    )
    return known[column] == "fine"


SOURCE = Source(KIND, _recognizes, _read)
