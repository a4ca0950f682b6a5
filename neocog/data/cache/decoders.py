"""A fingerprint of the code that decodes and resizes pictures."""

import contextlib
import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import PIL
from PIL import features

__all__ = ["decoders"]

# Pillow's libraries that decode or scale pictures.
_MODULES = ("webp", "avif")
_CODECS = ("jpg", "jpg_2000", "zlib", "libtiff")


@cache
def decoders() -> str:
    """A fingerprint that changes when decoded pixels may change: 32 hex digits.

    It covers the versions of Pillow, its libraries and simplejpeg, and every source file in
    `neocog.data` as well as the kernel that scales pictures.
    """
    versions = [PIL.__version__, str(features.version_feature("libjpeg_turbo"))]
    versions += [str(features.version_codec(name)) for name in _CODECS]
    versions += [str(features.version_module(name)) for name in _MODULES]
    with contextlib.suppress(PackageNotFoundError):
        versions.append(f"simplejpeg {version('simplejpeg')}")
    digest = hashlib.sha256(repr(versions).encode())
    folder = Path(__file__).parent.parent
    for path in (*sorted(folder.glob("*.py")), folder.parent / "kernels" / "input" / "resizing.py"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]
