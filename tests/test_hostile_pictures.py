"""Pictures that are made to do harm: refused at once, with a message, in a little memory."""

import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import chunk, encoded
from PIL import Image

# Whose pixels are sound, and are read without what is beside them.
HARMLESS = {"exif", "jpeg of few pixels"}
# Of processor time, on a machine that does other things too.
MOST_SECONDS = 2.0
MOST_BYTES = 100_000_000

# Reads every file of a folder; prints what came of each, the time of the processor, and by how many
# bytes the process grew in all.
READ_ALL = """
import json, os, resource, sys, time, traceback
from pathlib import Path
import numpy as np
from neocog.data.picture import read_picture
from neocog.errors import DataError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

read_picture(Path(sys.argv[2]), (3, 32, 32))
found, before = {}, peak()
for path in sorted(Path(sys.argv[1]).iterdir()):
    began = time.process_time()
    try:
        read_picture(path, (3, 32, 32))
        text = ""
    except DataError as error:
        text = str(error)
    except BaseException:
        text = traceback.format_exc()
    found[path.name] = text, time.process_time() - began, peak() - before
print(json.dumps(found))
"""


def png(width, height, depth, kind, *chunks) -> bytes:
    """A PNG of a color type, of parts that are given as (name, data)."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def zeros(count: int) -> bytes:
    """So many zeros, packed by zlib, without packing them: the same block again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(count % (1 << 20))) + packer.flush()
    adler = (count % 65_521) << 16 | 1
    return b"\x78\x9c" + block * (count >> 20) + end + struct.pack(">I", adler)


def tiff(*entries, data=b"", large=False) -> bytes:
    """A TIFF of one directory: entries are (tag, type, count, value)."""
    if large:
        head, kind = b"II+\0" + struct.pack("<HHQ", 8, 0, 16), "<HHQQ"
        directory = struct.pack("<Q", len(entries))
    else:
        head, kind = b"II*\0" + struct.pack("<I", 8), "<HHII"
        directory = struct.pack("<H", len(entries) & 0xFFFF)
    directory += b"".join(struct.pack(kind, *entry) for entry in entries)
    return head + directory + bytes(8) + data


def plain_tiff(width, height, *more, data=b"") -> bytes:
    usual = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1)]
    return tiff(*sorted([*usual, *more]), data=data)


def bmp(width: int, height: int, depth: int, packing: int) -> bytes:
    sizes = struct.pack("<IiiHHI", 40, width, height, 1, depth, packing)
    return b"BM" + struct.pack("<III", 99, 0, 54) + sizes + bytes(20)


def packed_bmp(width: int, height: int, packed: bytes) -> bytes:
    """A BMP of 256 grays whose rows are packed by runs."""
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(packed), 0, 0, 256, 0)
    grays = b"".join(bytes((n, n, n, 0)) for n in range(256))
    return b"BM" + struct.pack("<III", 1078 + len(packed), 0, 1078) + sizes + grays + packed


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(width: int, height: int, before: bytes = b"", progressive: bool = False) -> bytes:
    """A sound JPEG of 16 × 16 pixels that says it has others."""
    content = encoded(Image.new("RGB", (16, 16)), "JPEG", progressive=progressive)
    at = content.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    content = content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]
    return content[:2] + before + content[2:]


def exif_bomb(segments: int) -> bytes:
    """Each of many tags claims all that stands behind them."""
    count = segments * 2_500
    reach = segments * 30_000
    block = b"II*\0" + struct.pack("<IH", 8, count & 0xFFFF)
    block += b"".join(struct.pack("<HHII", tag, 7, reach, 20) for tag in range(count))
    block += bytes(reach)
    parts = [block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    return b"".join(segment(0xE1, b"Exif\0\0" + part) for part in parts)


def pictures() -> dict[str, bytes]:
    one = (b"IDAT", zlib.compress(bytes(8)))
    webp = b"RIFF\x40\0\0\0WEBPVP8L\x20\0\0\0\x2f" + struct.pack("<I", 16_000 | 11_000 << 14)
    big = 9_000 * 11_000
    strip = zeros(big)
    return {
        "empty": b"",
        "gray of 16 bits": png(9_000, 11_000, 16, 0, (b"IDAT", zeros(11_000 * 18_001))),
        "colors of 16 bits": png(7_000, 6_000, 16, 6, (b"IDAT", zeros(6_000 * 56_001))),
        "one row": png(60_000_000, 1, 8, 0, (b"IDAT", zeros(60_000_001))),
        "one column": png(1, 60_000_000, 8, 0, (b"IDAT", zeros(120_000_000))),
        "no pixels": png(0, 5, 8, 0, one),
        "largest png": png(2**31 - 1, 2**31 - 1, 8, 6, one),
        "empty parts": png(1, 1, 8, 0, *[(b"prVt", b"")] * 100_000, one),
        "parts of a byte": png(3, 3, 8, 0, *[(b"IDAT", b"\0")] * 100_000),
        "text": png(1, 1, 8, 0, (b"zTXt", b"Comment\0\0" + zeros(300_000_000)), one),
        "profile": png(1, 1, 8, 0, (b"iCCP", b"icc\0\0" + zeros(300_000_000)), one),
        "largest jpeg": jpeg(65_500, 65_500),
        "jpeg of few pixels": jpeg(8_000, 6_000),
        "progressive jpeg": jpeg(25_000, 15_000, progressive=True),
        "comments": jpeg(16, 16, segment(0xFE, b"") * 200_000),
        "junk before the frame": jpeg(16, 16, bytes(300_000)),
        "exif": jpeg(16, 16, exif_bomb(8)),
        "scans": encoded(Image.new("L", (1, 1)), "JPEG", progressive=True)[:-2]
        + segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") * 200_000,
        "gif": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(30),
        "bmp": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 40_000, 40_000, 1, 24, *[0] * 6),
        "packed bmp": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 9_000, 9_000, 1, 8, 1, 0, 0, 0, 0, 0)
        + b"\xff\0" * 300_000,
        "bmp of rows that end early": packed_bmp(3_500, 3_500, b"\1\0\0\0" * 3_500),
        "bmp of too many runs": packed_bmp(3, 3, b"\xff\0" * 500_000),
        "webp": webp + bytes(40),
        "tiff of many tags": tiff(*[(tag, 3, 1, 1) for tag in range(60_000)]),
        "tiff of many strips": plain_tiff(9, 9, (273, 4, 3_000_000, 200), data=bytes(12_000_000)),
        "tiff of strips as bytes": plain_tiff(9, 9, (273, 1, 3_000_000, 99), data=bytes(3_000_000)),
        "tiff of a large tag": plain_tiff(9, 9, (700, 3, 2**31, 0)),
        "big tiff": tiff(*[(k, 16, 2**60, 2**62) for k in range(256, 300)], large=True),
        "tiff of a large tile": plain_tiff(
            9,
            9,
            (259, 3, 1, 8),
            (322, 4, 1, 30_000),
            (323, 4, 1, 30_000),
            (324, 4, 1, 200),
            (325, 4, 1, len(strip)),
            data=bytes(100) + strip,
        ),
        "tiff": plain_tiff(
            9_000,
            11_000,
            (259, 3, 1, 8),
            (273, 4, 1, 200),
            (278, 4, 1, 11_000),
            (279, 4, 1, len(strip)),
            data=bytes(100) + strip,
        ),
        "tiff in a circle": b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 8),
        "ppm": b"P6 99999 99999 255\n",
        "ppm of too few values": b"P6 450 200 254\n" + bytes(250_000),
        "ppm that begins with a comment": b"P5\n#" + b"x" * 3_000_000,
        "ppm of numbers": b"P2 100000 100000 255\n" + b"1 " * 1000,
        "avif": b"\0\0\0\x20ftypavif" + bytes(range(256)) * 100,
        "blp": b"BLP2" + struct.pack("<IBBBBII", 1, 1, 8, 0, 0, 9_000, 9_000) + bytes(1200),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_every_hostile_picture_is_refused_at_once(tmp_path, monkeypatch):
    folder, sound = tmp_path / "hostile", tmp_path / "sound.png"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (900, 1_000, 3), np.uint8)
    Image.fromarray(noise).save(sound)
    for name, content in pictures().items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "link to nothing").symlink_to("nowhere")
    (folder / "link to itself").symlink_to("link to itself")
    with (folder / "huge and empty.tiff").open("wb") as file:
        file.truncate(3 << 30)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
        (folder / "device").symlink_to("/dev/zero")
        bound = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(folder)  # as the name of a socket may not be long
        bound.bind("socket")
        bound.close()
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(folder), str(sound)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    found = json.loads(done.stdout)
    assert len(found) == len(list(folder.iterdir()))
    largest = 0
    for name, (text, seconds, size) in found.items():
        what = f"{name}: {text} ({seconds:.2f} s, {size - largest:,} bytes)"
        assert (str(folder / name) in text) != (name in HARMLESS), what
        assert "\n" not in text, what
        assert seconds < MOST_SECONDS, what
        assert size < MOST_BYTES, what
        largest = size


@pytest.mark.parametrize("name", ["heic", "heix"])
def test_what_to_do_about_kinds_that_are_not_read(tmp_path, name):
    from neocog.data.picture import read_picture
    from neocog.errors import DataError

    with pytest.raises(DataError, match="is a HEIC photograph: save it as PNG first"):
        read_picture(b"\0\0\0\x18ftyp" + name.encode() + bytes(9), (3, 32, 32))
