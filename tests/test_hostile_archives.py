"""Archives that are made to do harm: refused at once, with a message, in a little memory."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_hostile_pictures import MOST_BYTES, MOST_SECONDS

from neocog.data.sources import cifar10 as cifar
from neocog.data.sources.archives.ustar import ArchiveError, members

# Loads every archive of a folder; prints what came of each, the processor's time, and by how many
# bytes the process grew in all.
LOAD_ALL = """
import json, resource, sys, time, traceback
from pathlib import Path
from neocog.data import load_data
from neocog.errors import DataError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

found, before = {}, 0
for path in [Path(sys.argv[2]), *sorted(Path(sys.argv[1]).iterdir())]:
    began = time.process_time()
    try:
        load_data(path)
        text = ""
    except DataError as error:
        text = str(error)
    except BaseException:
        text = traceback.format_exc()
    before = before or peak()
    found[path.name] = text, time.process_time() - began, peak() - before
print(json.dumps(found))
"""


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **more) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    for key, value in more.items():
        setattr(member, key, value)
    return member.tobuf(tarfile.USTAR_FORMAT)


def zeros(count: int) -> bytes:
    """A gzip file of so many zeros, without packing them."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + block * (count >> 20) + packer.flush()


def archives() -> dict[str, bytes]:
    name = f"{cifar.FOLDER}/data_batch_1.bin"
    digits = b"7" * 300_000
    pax = header("PaxHeader", len(digits), tarfile.XHDTYPE) + digits + bytes(-len(digits) % 512)
    long = b"n" * 150_000_000
    first = header(name, cifar.FILE_BYTES)
    plain = {
        "digits": pax,
        "digits first": pax + first,
        "no end": first + bytes(1_000),
        "cut header": first[:300],
        "wrong sum": bytes([first[0] ^ 1]) + first[1:],
        "no number": first[:124] + b"9" * 12 + first[136:],
        "negative": first[:124] + b"\xff" * 12 + first[136:],
        "huge": first[:124] + b"\x80" + b"\x7f" * 11 + first[136:],
        "larger than it may be": header("x", 8**11 - 1),
        "many members": b"".join(header(f"{k}") for k in range(2_000)),
        "many links": header(name, 5, tarfile.SYMTYPE, linkname="/etc/passwd") * 500,
        "outside": header("../../../etc/passwd", 4) + b"four" + bytes(508),
        "zeros": bytes(1 << 20),
        "one byte": b"\0",
    }
    packed = {key: gzip.compress(content, 1) for key, content in plain.items()}
    packed["long name"] = gzip.compress(
        header("././@LongLink", len(long), tarfile.GNUTYPE_LONGNAME) + long, 1
    )
    packed["only zeros"] = zeros(3 << 30)
    packed["empty parts"] = gzip.compress(b"") * 300_000
    packed["empty blocks"] = packed["one byte"][:10] + b"\0\0\0\xff\xff" * 1_000_000
    packed["not packed"] = plain["many members"]
    packed["text"] = b"no archive at all\n" * 1_000
    packed["empty"] = b""
    packed["filled up"] = gzip.compress(b"") + bytes(5_000_000)
    return packed


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_every_hostile_archive_is_refused_at_once(tmp_path):
    folder, sound = tmp_path / "hostile", tmp_path / "sound"
    for made in (folder, sound, folder / "folder"):
        made.mkdir()
    records = np.zeros((cifar.RECORDS, cifar.RECORD_BYTES), np.uint8)
    for name in cifar.FILES:
        records.tofile(sound / name)
    for name, content in archives().items():
        (folder / name).write_bytes(content)
    with (folder / "huge and empty").open("wb") as file:
        file.truncate(3 << 30)
    (folder / "of pipes").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
        for name in cifar.FILES:
            os.mkfifo(folder / "of pipes" / name)
        (folder / "device").symlink_to("/dev/zero")
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, str(folder), str(sound)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
    )
    found = json.loads(done.stdout)
    assert found.pop("sound")[0] == ""
    assert len(found) == len(list(folder.iterdir()))
    for name, (text, seconds, size) in found.items():
        what = f"{name}: {text} ({seconds:.2f} s, {size:,} bytes)"
        assert str(folder / name) in text, what
        assert "\n" not in text, what
        assert seconds < MOST_SECONDS, what
        assert size < MOST_BYTES, what
    left = [path.name for path in tmp_path.rglob("*") if path.suffix == ".bin"]
    assert sorted(left) == sorted(cifar.FILES * (2 if hasattr(os, "mkfifo") else 1))


# The reader itself


def read(content: bytes, **more) -> list[tuple[str, bool, bytes]]:
    limits = {"most_bytes": 100_000, "most_members": 9, **more}
    found = []
    for member in members(io.BytesIO(content), **limits):
        found.append((member.name, member.is_file, b"".join(member.content())))
    return found


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("level", [0, 9])
def test_what_tarfile_writes_is_read(kind, level):
    packed = io.BytesIO()
    contents = {"a/b.bin": b"x" * 512, "c": b"", "d" * 60 + "/" + "e" * 60: b"yz" * 700}
    with tarfile.open(fileobj=packed, mode="w:gz", format=kind, compresslevel=level) as out:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            # With a fraction of a second, pax says the time in a member of its own.
            member.size, member.mtime = len(content), 1.5
            out.addfile(member, io.BytesIO(content))
    found = [part for part in read(packed.getvalue()) if part[1]]
    if kind == tarfile.USTAR_FORMAT:
        assert {name: content for name, _, content in found} == contents
    assert [content for _, _, content in found] == list(contents.values())


def test_what_is_not_asked_for_is_passed_over():
    content = header("a", 700) + bytes(1024) + header("b", 3) + b"end" + bytes(509)
    names = [
        m.name for m in members(io.BytesIO(gzip.compress(content)), most_bytes=9999, most_members=9)
    ]
    assert names == ["a", "b"]


def test_a_gzip_file_of_several_parts_that_is_filled_up():
    content = header("a", 3) + b"one" + bytes(509) + header("b", 3) + b"two" + bytes(509)
    parts = [gzip.compress(content[at : at + 700]) for at in range(0, len(content), 700)]
    assert [part[2] for part in read(b"".join(parts) + bytes(100))] == [b"one", b"two"]
    with pytest.raises(ArchiveError, match="too many parts"):
        read(gzip.compress(b"") * 20 + b"".join(parts))


def test_a_wrong_sum_of_the_packed_bytes_is_noticed():
    packed = bytearray(gzip.compress(header("a") + bytes(1024)))
    packed[-6] ^= 1
    with pytest.raises((ArchiveError, zlib.error)):
        list(members(io.BytesIO(bytes(packed)), most_bytes=1024, most_members=9))
