"""Checkpoint files: to the bit, readable by others, and never believed when they are damaged."""

import hashlib
import json
import math
import os
import re
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from checkpointing import checkpoint_of, same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neocog.errors import FormatError, NeocogError
from neocog.formats.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    checkpoint_size,
    read_checkpoint,
    write_checkpoint,
)

DTYPES = ["?", "i1", "u1", "i2", "u2", "f2", "i4", "u4", "f4", "i8", "u8", "f8"]


def arrays(dtype):
    """Of any bits, NaNs with payloads among them, and of any shape, also none and empty ones."""

    def of_shape(shape):
        kind = np.dtype(dtype)
        size = math.prod(shape)
        if dtype == "?":
            return st.lists(st.booleans(), min_size=size, max_size=size).map(
                lambda bits: np.array(bits, bool).reshape(shape)
            )
        count = kind.itemsize * size
        return st.binary(min_size=count, max_size=count).map(
            lambda data: np.frombuffer(data, kind).reshape(shape)
        )

    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    return shapes.flatmap(of_shape)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters()),  # with halves of pairs, as a file's name may have
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda n: n != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(arrays),
        max_size=6,
    ),
    st.dictionaries(st.text(), JSON, max_size=4),
)
def test_what_was_written_is_read_to_the_bit(tmp_path_factory, named, values):
    path = tmp_path_factory.mktemp("checkpoint") / "a.safetensors"
    written = Checkpoint(named, values)
    write_checkpoint(path, written)
    found = read_checkpoint(path)
    assert same(found, written)
    assert json.dumps(found.values) == json.dumps(values)  # 1 and 1.0, 0.0 and -0.0, True and 1
    for array in found.arrays.values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.c_contiguous
    # And by the format's own reader.
    for name, array in safetensors.numpy.load_file(path).items():
        assert array.tobytes() == named[name].tobytes()
        assert (array.dtype, array.shape) == (named[name].dtype, named[name].shape)


def test_special_bits(tmp_path):
    payload = np.array([0x7FC12345, 0xFFA00001, 0x80000000, 1], np.uint32).view(np.float32)
    double = np.array(0x7FF0DEADBEEF0001, np.uint64).view(np.float64)
    write_checkpoint(tmp_path / "a", Checkpoint({"p": payload, "d": double}, {}))
    found = read_checkpoint(tmp_path / "a").arrays
    assert found["p"].view(np.uint32).tolist() == [0x7FC12345, 0xFFA00001, 0x80000000, 1]
    assert found["d"].shape == ()
    assert int(found["d"].view(np.uint64)) == 0x7FF0DEADBEEF0001


def test_values_that_are_no_numbers_come_back(tmp_path):
    write_checkpoint(tmp_path / "a", Checkpoint({}, {"loss": [math.nan, math.inf, -math.inf]}))
    nan, high, low = read_checkpoint(tmp_path / "a").values["loss"]
    assert math.isnan(nan)
    assert (high, low) == (math.inf, -math.inf)


def test_arrays_that_are_not_in_one_piece(tmp_path):
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    write_checkpoint(tmp_path / "a", Checkpoint({"t": whole.T, "s": whole[::2, 1::2]}, {}))
    found = read_checkpoint(tmp_path / "a").arrays
    assert found["t"].tolist() == whole.T.tolist()
    assert found["s"].tolist() == [[1, 3, 5], [13, 15, 17]]


def test_what_the_file_is(tmp_path):
    """As the docstring says it, and the same for the same checkpoint."""
    for name in "ab":
        write_checkpoint(tmp_path / name, checkpoint_of(3))
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    assert (8 + size) % 64 == 0
    with safetensors.safe_open(tmp_path / "a", "np") as file:
        metadata = file.metadata()
    assert metadata["neocog_checkpoint"] == "1"
    assert int(metadata["file_size"]) == len(content)
    assert json.loads(metadata["values"]) == checkpoint_of(3).values
    zeroed = content.replace(metadata["sha256"].encode(), b"0" * 64)
    assert hashlib.sha256(zeroed).hexdigest() == metadata["sha256"]
    # float32 [3, 5], int64, uint32 [7], three booleans
    assert checkpoint_size(checkpoint_of(3)) == 60 + 8 + 28 + 3


def test_what_cannot_be_held(tmp_path):
    for array, word in ((np.array(["a"]), "<U1"), (np.zeros(2, ">f4"), ">f4"), (np.array(1j), "c")):
        with pytest.raises(TypeError, match=rf"cannot hold odd, whose numbers are {word}"):
            write_checkpoint(tmp_path / "a", Checkpoint({"odd": array}, {}))
    with pytest.raises(ValueError, match="__metadata__"):
        write_checkpoint(tmp_path / "a", Checkpoint({"__metadata__": np.zeros(1)}, {}))
    with pytest.raises(TypeError, match="JSON"):
        write_checkpoint(tmp_path / "a", Checkpoint({}, {"odd": object()}))
    with pytest.raises(ValueError, match=r"take 134,2\d\d,\d\d\d bytes; up to 134,217,728"):
        write_checkpoint(tmp_path / "a", Checkpoint({}, {"long": "x" * 2**27}))
    assert list(tmp_path.iterdir()) == []


# Damage


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a"
    write_checkpoint(path, checkpoint_of(5))
    return path.read_bytes()


def test_cut_short_at_every_place(tmp_path, content):
    path = tmp_path / "cut"
    assert len(content) > 200
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError, match="it is cut short") as caught:
            read_checkpoint(path)
        assert str(path) in str(caught.value)
        assert f"{length:,}" in str(caught.value)


def test_every_bit_that_flips_is_seen(tmp_path, content):
    """A bit of each of the first 200 bytes and 500 anywhere; whatever is said, nothing is read."""
    path = tmp_path / "flipped"
    random = np.random.default_rng(1)
    places = [8 * byte + byte % 8 for byte in range(200)]
    places += random.integers(0, 8 * len(content), 500).tolist()
    for place in places:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(path)


def test_bytes_that_are_added_moved_or_lost(tmp_path, content):
    path = tmp_path / "odd"
    middle = len(content) // 2
    for changed, said in (
        (content + b"\0", "it is too long: it should have"),
        (content[:middle] + content[middle + 1 :] + b"\0", "does not match its SHA-256"),
        (content[:-8] + b"\0" * 8, "does not match its SHA-256"),
        (b"\0" * len(content), "does not begin as a checkpoint does"),
        (safetensors.numpy.save({"a": np.zeros(100)}), "does not begin as a checkpoint does"),
        (b"", "it is cut short, to 0 bytes, or is no checkpoint"),
        (b"not a checkpoint", "it is cut short, to 16 bytes, or is no checkpoint"),
    ):
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpointError, match=said) as caught:
            read_checkpoint(path)
        assert str(caught.value) == f"{path} is damaged: {caught.value.reason}."


def forged(header: bytes, data: bytes = b"") -> bytes:
    """A file with a header of somebody's own, and the digest that is right for it."""
    text = b'{"__metadata__":{"neocog_checkpoint":"1","file_size":"SIZE","sha256":"DIGEST",'
    text += header + b" " * (-(len(text + header) + 14 + 58 + 8) % 64)
    size = len(text) + 14 + 58
    text = struct.pack("<Q", size) + text.replace(b"SIZE", b"%018d" % (8 + size + len(data)))
    digest = hashlib.sha256(text.replace(b"DIGEST", b"0" * 64) + data).hexdigest()
    return text.replace(b"DIGEST", digest.encode()) + data


def tensor(dtype="F32", shape="[2]", begin=0, end=8):
    return (
        f'"values":"{{}}"}},"a":{{"dtype":"{dtype}","shape":{shape},'
        f'"data_offsets":[{begin},{end}]}}}}'
    ).encode()


def test_the_forger_can_write_what_is_right(tmp_path):
    (tmp_path / "a").write_bytes(forged(tensor(), struct.pack("<2f", 1.5, 2.5)))
    assert read_checkpoint(tmp_path / "a").arrays["a"].tolist() == [1.5, 2.5]


HUGE = 2**62


@pytest.mark.parametrize(
    "header",
    [
        tensor(dtype="F33"),
        tensor(dtype="C64"),
        tensor(shape="[3]"),
        tensor(shape="[-2]"),
        tensor(shape="[-1, -2]"),
        tensor(shape="[2.0]"),
        tensor(shape="[true, 2]"),
        tensor(shape='"2"'),
        tensor(shape="2"),
        tensor(shape=f"[0, {HUGE}, {HUGE}]"),
        tensor(shape=f"[0, {HUGE}, {HUGE}]", end=0),
        tensor(shape=f"[{'1,' * 100}2]"),
        tensor(begin=1, end=9),
        tensor(begin=8, end=0),
        tensor(begin=-8, end=0),
        tensor(end=HUGE),
        tensor(dtype="F32", shape="[1]", end=4),
        tensor(dtype="F32", shape="[1]", begin=4, end=8),
        tensor(dtype="BOOL", shape="[8]"),
        tensor()[:-1] + b',"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        tensor()[:-1] + b',"b":3}',
        tensor()[:-1] + b',"b":{}}',
        b'"values":"[]"}}',
        b'"values":"{"}}',
        b'"values":3}}',
        b'"other":"{}"}}',
        b'"values":"' + b"[" * 100_000 + b'"}}',
        b'"values":"{}"},"a":' + b"[" * 100_000 + b"}",
        b'"values":"{}"}',
        b'"values":"{}","__metadata__":{}},"__metadata__":3}',
        b"\xff\xfe",
    ],
    ids=lambda header: header[14:70].decode("latin-1"),
)
def test_headers_that_nobody_writes(tmp_path, header):
    (tmp_path / "a").write_bytes(forged(header, b"\2" * 8))
    with pytest.raises(DamagedCheckpointError) as caught:
        read_checkpoint(tmp_path / "a")
    assert len(str(caught.value)) < 400


def test_a_header_that_is_longer_than_its_file(tmp_path):
    content = bytearray(forged(tensor(), bytes(8)))
    content[:8] = struct.pack("<Q", 2**63)
    place = content.index(b'"sha256":"') + 10
    content[place : place + 64] = b"0" * 64
    content[place : place + 64] = hashlib.sha256(content).hexdigest().encode()
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="a length that none has"):
        read_checkpoint(tmp_path / "a")


def test_a_later_version(tmp_path, content):
    later = re.sub(rb'_checkpoint":"1"', b'_checkpoint":"2"', content)
    place = later.index(b'"sha256":"') + 10
    zeroed = later[:place] + b"0" * 64 + later[place + 64 :]
    digest = hashlib.sha256(zeroed).hexdigest().encode()
    (tmp_path / "a").write_bytes(zeroed.replace(b"0" * 64, digest))
    with pytest.raises(FormatError, match=r"later neocog \(version 2") as caught:
        read_checkpoint(tmp_path / "a")
    assert not isinstance(caught.value, DamagedCheckpointError)
    (tmp_path / "a").write_bytes(later)  # which says so, and is damaged
    with pytest.raises(DamagedCheckpointError, match="SHA-256"):
        read_checkpoint(tmp_path / "a")


# Files that cannot be read


def test_what_is_no_file(tmp_path):
    with pytest.raises(FormatError, match="cannot be read: No such file") as caught:
        read_checkpoint(tmp_path / "none")
    assert not isinstance(caught.value, DamagedCheckpointError)
    with pytest.raises(DamagedCheckpointError, match=r"it cannot be read \(Is a directory"):
        read_checkpoint(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DamagedCheckpointError, match="not a regular file"):
        read_checkpoint(tmp_path / "pipe")
    write_checkpoint(tmp_path / "a", checkpoint_of(1))
    (tmp_path / "link").symlink_to("a")
    assert same(read_checkpoint(tmp_path / "link"), checkpoint_of(1))
    with pytest.raises(DamagedCheckpointError, match="symbolic link"):
        read_checkpoint(tmp_path / "link", follow_links=False)


def test_no_memory_is_taken_that_there_is_not(tmp_path, monkeypatch, content):
    (tmp_path / "a").write_bytes(content)
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 100)
    with pytest.raises(NeocogError, match=r"This checkpoint needs .* of memory"):
        read_checkpoint(tmp_path / "a")


def test_a_name_is_printed_as_it_can_be(tmp_path):
    (tmp_path / "a\x1b[2J").write_bytes(b"")
    with pytest.raises(DamagedCheckpointError) as caught:
        read_checkpoint(tmp_path / "a\x1b[2J")
    assert "a\\x1b[2J is damaged" in str(caught.value)
