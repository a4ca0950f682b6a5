"""Shows data to people: a summary in lines of text, and a contact sheet of images."""

import base64
import html as html_escapes
import io
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from neocog.data.images import Dataset
from neocog.data.loaded import LoadedData
from neocog.errors import DataError
from neocog.files import user_path, write_bytes
from neocog.validation import choice, file_path, whole
from neocog.write_errors import why_not_written

__all__ = ["contact_sheet", "html", "summary"]

# Classes that are listed, and those on a contact sheet.
_MOST_LISTED, _MOST_SHOWN = 40, 30
_MOST_PER_CLASS = 50
_LONGEST_NAME = 40
# Sides of an image on a sheet, in pixels; smaller ones are enlarged, larger ones scaled down.
_LEAST_SIDE, _MOST_SIDE = 64, 128
_GAP, _TEXT = 8, 14


def summary(data: LoadedData) -> str:
    """Parts, sizes, and the images of each class, in lines of text."""
    parts = {part: images for part, images in data.parts.items() if len(images)}
    total = sum(map(len, parts.values()))
    height, width, channels = data.train.images.shape[1:]
    kind = {1: "gray", 3: "in colors"}.get(channels, f"of {channels} channels")
    what = _what(data.train)
    lines = [
        f"{data.name}: {_counted(total, 'image')} of {_counted(len(data.classes), what)}, "
        f"{height} × {width} pixels, {kind}"
    ]
    if data.source:
        lines.append(f"from {data.source}")
    names = [_short(name) for name in data.classes[:_MOST_LISTED]]
    across = max([len(what), *map(len, names)])
    counts = {part: _counts(images, len(data.classes)) for part, images in parts.items()}
    lines.append(_row(what, parts, across))
    for number, name in enumerate(names):
        lines.append(_row(name, [f"{counts[part][number]:,}" for part in parts], across))
    if len(data.classes) > _MOST_LISTED:
        lines.append(f"… and {_counted(len(data.classes) - _MOST_LISTED, f'more {what}')}")
    lines.append(_row("all", [f"{len(images):,}" for images in parts.values()], across))
    if what == "number":
        lines += [_range(name, part, images) for part, images in parts.items() for name in names]
    return "\n".join([*lines, *data.notes])


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "es" if what.endswith("s") else "s")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _row(name: str, cells: "list[str] | dict[str, Dataset]", across: int) -> str:
    return "  ".join([f"{name:<{across}}", *(f"{cell:>10}" for cell in cells)])


def _what(images: Dataset) -> str:
    """What an image has one of, or several."""
    if images.labels.ndim == 1:
        return "class"
    return "label" if np.isin(images.labels, (0, 1)).all() else "number"


def _range(name: str, part: str, images: Dataset) -> str:
    """Between which values the numbers of a part are."""
    low, mean, high = (getattr(images.labels, how)() for how in ("min", "mean", "max"))
    return f"{name} in {part}: from {low:g} to {high:g}, mean {mean:g}"


def _with(images: Dataset, number: int) -> NDArray[np.bool_]:
    """Which images are of a class, have a label, or have a number, as all do."""
    what = _what(images)
    if what == "class":
        return np.asarray(images.labels == number)
    return np.asarray(images.labels[:, number] > 0) | (what == "number")


def _counts(images: Dataset, classes: int) -> NDArray[np.int64]:
    return np.array([np.count_nonzero(_with(images, number)) for number in range(classes)])


def contact_sheet(
    data: LoadedData, part: str, per_class: int, path: str | os.PathLike[str] | None = None
) -> Image.Image:
    """`Data.show`."""
    part = choice("part", part, tuple(data.parts), error=DataError)
    per_class = whole("per_class", per_class, 1, _MOST_PER_CLASS, error=DataError)
    if path is not None:
        path = user_path(file_path("path", path, error=DataError))
    images = data.parts[part]
    if not len(images):
        there = ", ".join(name for name, some in data.parts.items() if len(some))
        raise DataError(f"{data.name} has no images in the part {part}. There are: {there}.")
    sheet = _drawn(data, images, per_class)
    if path is not None:
        stream = io.BytesIO()
        sheet.save(stream, "PNG")
        try:
            write_bytes(path, stream.getvalue())
        except OSError as error:
            raise DataError(why_not_written(path, error)) from error
    return sheet


def _drawn(data: LoadedData, images: Dataset, per_class: int) -> Image.Image:
    rows = list(_some_of_each(images, len(data.classes), per_class))
    height, width, _channels = images.images.shape[1:]
    longer = max(height, width)
    if longer < _LEAST_SIDE:
        scale: float = -(-_LEAST_SIDE // longer)
    else:
        scale = min(1.0, _MOST_SIDE / longer)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    cell = max(size[0], _LEAST_SIDE) + _GAP, size[1] + _TEXT + _GAP
    columns = max(len(places) for _number, places in rows)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, len(rows) * cell[1] + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT - 3)
    for row, (number, places) in enumerate(rows):
        name = _fitting(data.classes[number], font, cell[0] - _GAP)
        for column, place in enumerate(places):
            at = _GAP + column * cell[0], _GAP + row * cell[1]
            sheet.paste(_picture(images.images[place]).resize(size, how), at)
            draw.text((at[0], at[1] + size[1] + 1), name, "black", font)
    return sheet


def _some_of_each(images: Dataset, classes: int, per_class: int) -> Iterator[tuple[int, list[int]]]:
    """For each class its number and the indices of some of its images, evenly spaced."""
    there = np.flatnonzero(_counts(images, classes))[:_MOST_SHOWN]
    for number in there.tolist():
        places = np.flatnonzero(_with(images, number))
        chosen = np.linspace(0, len(places) - 1, min(per_class, len(places))).astype(int)
        yield number, places[chosen].tolist()


def _fitting(name: str, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont", width: int) -> str:
    """As much of a name as fits into one line."""
    name = " ".join(name.split())[:_LONGEST_NAME]
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    pixels = pixels if pixels.shape[2] in (3, 4) else pixels[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def html(data: LoadedData) -> str:
    """The HTML for notebooks: the summary, and a sheet of the first part that has images."""
    text = f"<pre>{html_escapes.escape(summary(data))}</pre>"
    part = next((part for part, images in data.parts.items() if len(images)), None)
    if part is None:
        return text
    stream = io.BytesIO()
    contact_sheet(data, part, 8).save(stream, "PNG")
    image = base64.b64encode(stream.getvalue()).decode()
    return f'{text}<img alt="Some images of each class" src="data:image/png;base64,{image}">'
