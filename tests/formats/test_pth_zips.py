"""`.pth` files whose zip is not as PyTorch writes it, or claims too much."""

import struct
import warnings
import zipfile

import pytest
from pth_files import (
    FOUR,
    LINEAR_DATA,
    LINEAR_PICKLE,
    dict_pickle,
    load,
    tensor_pickle,
    text,
    write_zip,
)

from neocog.errors import FormatError
from neocog.formats.pth import load_pth


def test_compressed_files_are_refused(tmp_path):
    data = b"\x00" * 10**6
    with pytest.raises(FormatError, match="compressed"):
        load(tmp_path, LINEAR_PICKLE, [data], compression=zipfile.ZIP_DEFLATED)


def test_two_entries_of_one_name_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, LINEAR_DATA)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("archive/data/0", b"x" * 24)
    with pytest.raises(FormatError, match="same name"):
        load_pth(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, [b"x" * 5000] + [b""] * 4)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        start, first = archive.start_dir, next(e for e in entries if e.filename.endswith("/0"))
    data = bytearray(path.read_bytes())
    for entry in entries[-4:]:  # let the empty ones point at the bytes of the first
        at = data.index(entry.filename.encode(), start) - 46
        struct.pack_into("<III", data, at + 16, first.CRC, 5000, 5000)
        struct.pack_into("<I", data, at + 42, first.header_offset)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="larger than the file"):
        load_pth(path)


def zip64(data: bytes, count: int, size: int | None = None) -> bytes:
    """A zip whose end says, in 64 bits as torch does, that it has so many entries."""
    at = data.rindex(b"PK\x05\x06")
    actual, offset = struct.unpack_from("<LL", data, at + 12)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count,
                         actual if size is None else size, offset)  # fmt: skip
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    return data[:at] + record + locator + data[at:]


def test_zips_that_claim_too_much_are_refused_before_it_is_read(tmp_path):
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, LINEAR_DATA)
    data = path.read_bytes()
    path.write_bytes(zip64(data, 5))
    assert load_pth(path).keys() == {"weight", "bias"}
    for count, size, message in (
        (4, None, "data/1' is missing"),
        (6, None, "list of its zip is too short"),
        (2**63, None, r"its zip has 9,223,372,036,854,775,808 entries"),
        (5, 2**40, r"listed in 1,099,511,627,776 bytes"),
        (5, 2**20, "lacks its list"),
    ):
        path.write_bytes(zip64(data, count, size))
        with pytest.raises(FormatError, match=message):
            load_pth(path)
    at = data.rindex(b"PK\x05\x06")
    for field, value, message in (
        ("<H", 65_535, "entries"),
        ("<L", 2**32 - 1, "listed in"),
        ("<L", 2**32 - 1, "lacks its list"),
    ):
        place = {"entries": 10, "listed in": 12, "lacks its list": 16}[message]
        changed = bytearray(data)
        struct.pack_into(field, changed, at + place, value)
        path.write_bytes(changed)
        with pytest.raises(FormatError, match=message):
            load_pth(path)


def test_entries_over_one_another_are_refused(tmp_path):
    """A small entry that lies within a large one: both together still fit into the file."""
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, [b"x" * 5000, b""])
    with zipfile.ZipFile(path) as archive:
        outer, inner = archive.infolist()[-2:]
        start = archive.start_dir
    data = bytearray(path.read_bytes())
    at = data.index(inner.filename.encode(), start) - 46
    struct.pack_into("<L", data, at + 42, outer.header_offset + 40)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="overlap"):
        load_pth(path)


def test_more_after_the_end_of_the_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, LINEAR_DATA)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(FormatError, match="something follows the end"):
        load_pth(path)


def test_changed_numbers_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", dict_pickle(text("a"), tensor_pickle()), [FOUR])
    data = path.read_bytes()
    assert data.count(FOUR) == 1
    path.write_bytes(data.replace(FOUR, FOUR[::-1]))
    with pytest.raises(FormatError, match="CRC"):
        load_pth(path)


def test_zips_of_other_things_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("word/document.xml", b"<a/>")
    with pytest.raises(FormatError, match=r"lacks a data\.pkl"):
        load_pth(tmp_path / "a.pth")


def test_an_unknown_byte_order_is_refused(tmp_path):
    with pytest.raises(FormatError, match="byte order is b'middle'"):
        load(tmp_path, LINEAR_PICKLE, LINEAR_DATA, byteorder=b"middle")
