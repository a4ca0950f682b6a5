"""Pictures to be decoded and kept: small ones of one color each."""

import io

import numpy as np
from PIL import Image

from neocog.data.cache.decoded_cache import Decoding
from neocog.data.sources.base import Pictures
from neocog.preprocessing import Resize

SHAPE = (3, 4, 5)
SIZE = 4 * 5 * 3


def png(level, size=(5, 4)):
    file = io.BytesIO()
    Image.new("RGB", size, (level, 255 - level, 7)).save(file, "PNG")
    return file.getvalue()


def make_folder(root, classes=2, each=5):
    for c in range(classes):
        (root / f"class{c}").mkdir(parents=True)
        for n in range(each):
            (root / f"class{c}" / f"{n}.png").write_bytes(png(20 * c + n))
    return root


class Store:
    """Pictures in memory that are stamped as files are."""

    def __init__(self, contents):
        self.contents = contents
        self.reads = []

    def name(self, row):
        return f"picture {row}"

    def stamp(self, row):
        return f"picture {row}\0{self.size(row)}"

    def size(self, row):
        return len(self.contents[row])

    def read(self, row):
        self.reads.append(row)
        if isinstance(self.contents[row], OSError):
            raise self.contents[row]
        return self.contents[row]


def pictures_of(store, count=None):
    rows = np.arange(len(store.contents) if count is None else count)
    return Pictures(store, rows, rows % 2)


def ways(**changes):
    settings = {"shape": SHAPE, "resize": Resize(), "threads": 2, "place": "here"} | changes
    return Decoding(**settings)


def expected(levels):
    """What the pictures' pixels are, as they were drawn."""
    pixels = np.empty((len(levels), 4, 5, 3), np.uint8)
    for image, level in zip(pixels, levels, strict=True):
        image[...] = (level, 255 - level, 7)
    return pixels
