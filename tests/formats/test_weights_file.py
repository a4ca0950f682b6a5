"""Files with weights alone: every type of number, and headers that lie."""

import json
import struct

import numpy as np
import pytest
import safetensors.numpy

from neocog.errors import FormatError
from neocog.formats.weights_file import read_weights


def test_every_type_of_number(tmp_path):
    rng = np.random.default_rng(0)
    kinds = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1"]
    arrays = {kind: (9 * rng.normal(size=(2, 3))).astype(kind) for kind in kinds}
    arrays["count"] = np.array(7, np.int64)
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file(arrays, path, {"format": "pt"})
    found = read_weights(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def written(path, header, data=b"", length=None):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def spec(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_bfloat16_becomes_float32(tmp_path):
    numbers = np.array([1.5, -2.0], np.float32)
    halves = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    path = written(tmp_path / "b.safetensors", {"w": spec("BF16", end=4)}, halves)
    found = read_weights(path)["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"w": spec(shape=[2], end=4)}, "'w' does not fit its place"),
        ({"w": spec(shape=[200], end=800)}, "'w' does not fit its place, or the file is cut short"),
        ({"w": spec(begin=-8, end=0)}, "'w' has no place in it"),
        ({"w": spec(begin=8, end=0)}, "'w' does not fit its place"),
        ({"w": spec(end=8.0)}, "'w' has no place in it"),
        ({"w": spec(shape=[-2])}, "'w' has no sensible shape"),
        ({"w": spec(shape=[0])}, "'w' has no sensible shape"),
        ({"w": spec(shape=[True, 2])}, "'w' has no sensible shape"),
        ({"w": spec(shape=[1] * 9)}, "'w' has no sensible shape"),
        ({"w": spec("F8_E5M2")}, "'w' is of F8_E5M2; such numbers are not read"),
        ({"w": spec(["F32"])}, "such numbers are not read"),
        ({"w": None}, "'w' has no sensible shape"),
        ({"w": spec(), "v": spec()}, "its tensors overlap"),
        ({"a\x1b[2J": spec()}, r"'a\\x1b\[2J' is not the name of a tensor"),
        ({f"w{n}": spec() for n in range(20_001)}, "it has 20,001 tensors; up to 20,000 are read"),
        (b"[]", "its header is damaged"),
        (b"{ ", "its header is damaged"),
    ],
)
def test_headers_that_lie(tmp_path, header, message):
    path = written(tmp_path / "bad.safetensors", header, bytes(8))
    with pytest.raises(FormatError, match=message) as error:
        read_weights(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_lengths_that_lie(tmp_path):
    for length in (0, 2**40, 2**64 - 1):
        path = written(tmp_path / "bad.safetensors", {"w": spec()}, bytes(8), length)
        with pytest.raises(FormatError, match=r"not a safetensors file, or it is cut short"):
            read_weights(path)
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(FormatError, match="cut short"):
        read_weights(tmp_path / "empty.safetensors")


def test_files_that_are_none(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.safetensors: No such file"):
        read_weights(tmp_path / "gone.safetensors")
    with pytest.raises(FormatError, match=r"weights are read from \.safetensors, \.pth, \.pt"):
        read_weights(tmp_path / "weights.npz")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(FormatError, match="Is a directory"):
        read_weights(tmp_path / "folder.safetensors")
