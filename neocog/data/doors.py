"""Makes `Data` from objects: arrays, files with labels, any iterable.

These functions are class methods of `Data`, where they are described.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from neocog.data.choices import choose_resize
from neocog.data.finding import find, look
from neocog.data.images import Dataset
from neocog.data.loaded import LoadedData
from neocog.data.loading import prepare
from neocog.data.options import VALIDATION, LoadOptions, Options, ReadOptions
from neocog.data.sources import ALL, Listing, Request, Store
from neocog.data.sources.arrays import ArrayStore, of_datasets, of_stores
from neocog.data.sources.base import ONE
from neocog.data.sources.given import GivenStore, as_given
from neocog.data.sources.pixel_files.batches import LAYOUTS, as_batch
from neocog.data.sources.pixel_files.labels import as_label_column, number_labels
from neocog.data.survey import Survey
from neocog.errors import DataError
from neocog.files import exists, user_path
from neocog.limits import require_memory
from neocog.validation import as_whole, choice, file_path, refuse, shown

__all__ = [
    "from_anything",
    "from_arrays",
    "from_files",
    "from_folder",
    "from_iterable",
    "from_table",
]

# Iterables may be endless: after this many pictures the free memory is checked.
_CHECKED_EVERY = 64 << 20
_EACH = 200
_WANTED = (
    "data: a name, the path of a folder or file, a tuple (images, labels), a list of pairs "
    "(picture, label), a Dataset or a Data"
)


def from_folder(path: str | os.PathLike[str], **options: Unpack[Options]) -> LoadedData:
    """`Data.from_folder`."""
    settings, place = LoadOptions.of(**options), _place(path)
    if not place.is_dir():
        raise DataError(f"{place} is no folder: write Data.from_table, or load_data.")
    return find(path, settings).load()


def from_table(path: str | os.PathLike[str], **options: Unpack[Options]) -> LoadedData:
    """`Data.from_table`."""
    settings, place = LoadOptions.of(**options), _place(path)
    if place.is_dir():
        raise DataError(f"{place} is a folder: name the table, or write Data.from_folder.")
    return find(path, settings).load()


def _place(path: str | os.PathLike[str]) -> Any:
    place = user_path(file_path("path", path, error=DataError))
    if not exists(place):
        raise DataError(f"There is no file or folder {place}.")
    return place


def from_arrays(
    images: Any,
    labels: Any,
    *,
    classes: Sequence[str] | None = None,
    test: Any = None,
    validation: Any = VALIDATION,
    layout: str = "NHWC",
    **options: Unpack[ReadOptions],
) -> LoadedData:
    """`Data.from_arrays`."""
    given = {"train": (images, labels)}
    if isinstance(validation, tuple | Dataset):
        given["validation"] = _pair(validation, "validation")
        validation = VALIDATION
    if test is not None:
        given["test"] = _pair(test, "test")
    settings = LoadOptions.of(validation=validation, **options)
    layout = choice("layout", layout, LAYOUTS, error=DataError)
    stores: dict[str, Store] = {}
    columns = {}
    for part, (some, their) in given.items():
        prefix = "" if part == "train" else f"{part} "
        stores[part], count = _store(some, layout, f"{prefix}images")
        columns[part] = as_label_column(their, count, f"{prefix}labels")
    return _loaded("arrays", stores, columns, classes, settings)


def from_files(
    files: Iterable[str | os.PathLike[str]],
    labels: Any,
    *,
    classes: Sequence[str] | None = None,
    validation: float = VALIDATION,
    **options: Unpack[ReadOptions],
) -> LoadedData:
    """`Data.from_files`."""
    settings = LoadOptions.of(validation=validation, **options)
    wanted = f"files (={shown(files)}) must be a list of paths."
    if isinstance(files, str | bytes | os.PathLike):
        raise DataError(wanted)
    try:
        given = list(files)
    except TypeError:
        raise DataError(wanted) from None
    paths = (file_path(f"files[{n}]", one, error=DataError) for n, one in enumerate(given))
    store = GivenStore([user_path(path) for path in paths])
    column = as_label_column(labels, len(store))
    stores: dict[str, Store] = {"train": store}
    return _loaded("files", stores, {"train": column}, classes, settings)


def from_iterable(
    pairs: Iterable[tuple[Any, Any]],
    *,
    classes: Sequence[str] | None = None,
    validation: float = VALIDATION,
    layout: str = "NHWC",
    **options: Unpack[ReadOptions],
) -> LoadedData:
    """`Data.from_iterable`."""
    settings = LoadOptions.of(validation=validation, **options)
    layout = choice("layout", layout, LAYOUTS, error=DataError)
    try:
        all_pairs = iter(pairs)
    except TypeError:
        raise DataError(
            f"pairs (={shown(pairs)}) must be pairs of a picture and its label."
        ) from None
    given, labels, held = [], [], 0
    for n, pair in enumerate(all_pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(
                f"pairs[{n}] (={shown(pair)}) must be a pair of a picture and its label."
            )
        one = as_given(pair[0], layout, f"pairs[{n}][0]")
        given.append(one)
        number = as_whole(pair[1])  # also a NumPy number or a tensor
        if number is None and not isinstance(pair[1], str):
            raise refuse(f"pairs[{n}][1]", pair[1], "the number or the name of a class", DataError)
        labels.append(pair[1] if number is None else number)
        held += _EACH + (len(one) if isinstance(one, bytes) else getattr(one, "nbytes", 0))
        if held > _CHECKED_EVERY:
            held = 0
            require_memory(_CHECKED_EVERY, f"{n + 1:,} pictures and more", "Give files instead.")
    stores: dict[str, Store] = {"train": GivenStore(given)}
    column = as_label_column(labels, len(given))
    return _loaded("pictures", stores, {"train": column}, classes, settings)


def from_anything(data: Any, options: LoadOptions) -> LoadedData:
    """Load data from an object that is neither a name nor a path, for `neocog.load_data`.

    Raises:
        DataError: data cannot be made from such an object.
    """
    if isinstance(data, LoadedData):
        return _changed(data, options)
    plain: dict[str, Any] = {
        name: getattr(options, name) for name in LoadOptions.__dataclass_fields__
    }
    for name in ("file_column", "label_column"):
        if plain.pop(name) is not None:
            raise DataError(f"{name} is for tables; these data have none.")
    if plain.pop("labels") != ONE:
        raise DataError(
            "labels is for tables. Give fit and evaluate images with targets, (images, targets), "
            "float32 [n, outputs]."
        )
    if isinstance(data, Dataset):
        return from_arrays(data.images, data.labels, **plain)
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        if isinstance(images, list | tuple) and images and isinstance(images[0], str | os.PathLike):
            return from_files(images, labels, **plain)
        return from_arrays(images, labels, **plain)
    if isinstance(data, list):
        return from_iterable(data, **plain)
    raise DataError(f"The data's name or path (={shown(data)}) must be {_WANTED}.")


def _changed(data: LoadedData, options: LoadOptions) -> LoadedData:
    """`Data` with other options: the same parts in another shape, or only some of the classes."""
    if options == LoadOptions(threads=options.threads):
        return data
    usual = LoadOptions()
    for name in ("validation", "split_seed", "file_column", "label_column", "labels"):
        if getattr(options, name) != getattr(usual, name):
            raise DataError(f"{name} says how data are found and split; {data.name} has its parts.")
    parts = {part: images for part, images in data.parts.items() if len(images)}
    found = of_datasets("data", data.name, parts, data.classes, options.request(), data.notes)
    made = _kept_shape(found, options, next(iter(parts.values())).images.shape[1:])
    return replace(made, source=data.source, options={**data.options, **made.options})


def _pair(given: Any, part: str) -> tuple[Any, Any]:
    if isinstance(given, Dataset):
        return given.images, given.labels
    if isinstance(given, tuple) and len(given) == 2:
        return given
    raise DataError(f"{part} (={shown(given)}) must be a tuple (images, labels) or a Dataset.")


def _store(images: Any, layout: str, what: str) -> tuple[Store, int]:
    """A store of the images, and their number."""
    if isinstance(images, list | tuple) and images and not isinstance(images[0], list | tuple):
        given = [as_given(one, layout, f"{what}[{n}]") for n, one in enumerate(images)]
        arrays = [one for one in given if isinstance(one, np.ndarray)]
        if len(arrays) < len(given) or len({one.shape for one in arrays}) > 1:
            return GivenStore(given), len(given)
        require_memory(sum(one.nbytes for one in arrays), f"{len(arrays):,} images", "Give fewer.")
        return ArrayStore(np.stack(arrays)), len(given)
    if isinstance(images, list | tuple):
        images = _of_numbers(images, what)
    found = as_batch(images, layout, what)
    return ArrayStore(found), len(found)


def _of_numbers(images: Any, what: str) -> NDArray[Any]:
    """An array from nested lists of numbers; whole numbers become bytes."""
    try:
        found = np.array(images)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise DataError(f"{what} must be images of one size: {error}.") from error
    if found.dtype.kind == "i" and found.size and found.min() >= 0 and found.max() <= 255:
        return found.astype(np.uint8)
    return found


def _loaded(
    name: str,
    stores: Mapping[str, Store],
    columns: Mapping[str, NDArray[Any]],
    classes: Sequence[str] | None,
    options: LoadOptions,
) -> LoadedData:
    """Split and decode. Given classes name the numbers, or select some of the names."""
    by_name = any(column.dtype.kind in "OU" for column in columns.values())
    if classes is not None:
        options = replace(options, classes=classes if by_name else None)  # type: ignore[arg-type]
    known, numbers = number_labels(columns, None if by_name else classes)
    if not sum(map(len, numbers.values())):
        raise DataError("There are no pictures.")
    parts = {part: (store, numbers[part]) for part, store in stores.items()}
    if len(parts) == 1:
        parts = {ALL: next(iter(parts.values()))}
    request = Request(options.classes)
    found = of_stores(name, name, parts, known, request)
    options = replace(options, classes=None)  # the classes are selected already
    first = next(iter(stores.values()))
    if isinstance(first, ArrayStore):
        return _kept_shape(found, options, first.pixels.shape[1:])
    return look(found, options).load()


def _kept_shape(found: Listing, options: LoadOptions, shape: tuple[int, ...]) -> LoadedData:
    """Images in memory keep their shape unless another is asked for."""
    height, width, channels = shape
    wanted = (options.channels or channels, *(options.size or (height, width)))
    looks = Survey(1, ((width, height),), int(channels == 1))
    return prepare(found, wanted, options.resize or choose_resize(looks, wanted), options)
