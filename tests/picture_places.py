"""Folders and archives of pictures for tests, and what is found in them."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import neocog
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.errors import DataError

LOAD = """
import resource, sys
import neocog
from neocog.errors import DataError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

neocog.load_data(sys.argv[2])
before = peak()
try:
    neocog.load_data(sys.argv[1], size=16)
except DataError as error:
    print(error)
print(peak() - before)
"""


def picture(value: int = 0, kind: str = "PNG") -> bytes:
    """A picture file of one color, which tells it from others."""
    file = io.BytesIO()
    color = (value % 256, value // 256, 0)
    Image.new("RGB", (8, 8), color).save(file, kind)
    return file.getvalue()


def put(root: Path, **classes: int) -> Path:
    """A folder with so many pictures for each class, all of them different."""
    value = 0
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / name / f"{number}.png").write_bytes(picture(value := value + 1))
    return root


def load_apart(path: Path, sound: Path) -> tuple[str, int]:
    """What a process of its own says of a path, and the bytes by which it grew."""
    run = [sys.executable, "-c", LOAD, str(path), str(sound)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, _line, grown = done.stdout.rstrip().rpartition("\n")
    return said, int(grown)


def refused(path, **options) -> str:
    with pytest.raises(DataError) as caught:
        neocog.load_data(path, **options)
    assert "\x1b" not in str(caught.value)
    return str(caught.value)


def tar(path: Path, *members, form=tarfile.GNU_FORMAT) -> Path:
    """A tar file of members (name, content), or of headers that are made already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def zipped(path: Path, members: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def samples(first: int, labels, ending="cls"):
    """Pictures with a member beside each that is its label."""
    for number, label in enumerate(labels, first):
        yield f"{number:06}.png", picture(number)
        yield f"{number:06}.{ending}", label.encode()


def found(path, **request):
    """{part: {picture's name: class}}, the notes, and the classes."""
    listing = list_pictures(path, Request(**request))
    parts = {
        part: {pictures.name(n): listing.classes[pictures.labels[n]] for n in range(len(pictures))}
        for part, pictures in listing.parts.items()
    }
    return parts, " ".join(listing.notes), listing.classes
