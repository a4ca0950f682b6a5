"""JPEGs of colors decoded by simplejpeg, where it is installed: the same pixels in less time.

It is libjpeg-turbo, as in Pillow, without the way through Pillow's own lines of pixels. Whatever it
finds amiss in a file, if only a missing end, is left to Pillow, so that the same files are refused,
in the same words.
"""

from PIL import Image, features
from PIL.ImageFile import ImageFile

from neocog.data.picture_kinds import PictureFile

try:
    import simplejpeg
except ImportError:  # it is an extra: pip install 'neocog[fast-jpeg]'
    simplejpeg = None

__all__ = ["IS_HERE", "fast_jpeg"]

#: Whether it is used: where Pillow has another libjpeg, its pixels may be others.
IS_HERE = simplejpeg is not None and bool(features.check("libjpeg_turbo"))

# Bytes of a file that is read as a whole; Pillow reads a part at a time.
_LARGEST = 2**25


def fast_jpeg(file: PictureFile, picture: ImageFile) -> Image.Image | None:
    """The decoded picture, of mode RGBX; None where Pillow must do it.

    Args:
        file: where it lies.
        picture: opened by Pillow, not decoded.
    """
    if not IS_HERE or picture.mode != "RGB" or file.size > _LARGEST:
        return None
    try:
        pixels = simplejpeg.decode_jpeg(file.content(), "RGBX")
    except ValueError:
        return None
    if pixels.shape[:2] != (picture.height, picture.width):
        return None
    return Image.frombuffer("RGBX", picture.size, pixels, "raw", "RGBX", 0, 1)
