"""`.pth` files whose pickles, tensors or kinds are refused; no code in them runs."""

import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from pth_files import (
    FOUR,
    OLD_TENSOR,
    dict_pickle,
    integer,
    load,
    old_file,
    storage_pickle,
    tensor_pickle,
    text,
)

from neocog.errors import FormatError
from neocog.formats.pth import load_pth


class Runs:
    """A pickle of this runs a command when it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    payload = pickle.dumps({"a": Runs(f"touch '{marker}'")}, protocol=2)
    with pytest.raises(FormatError, match=r"crafted\.pth: it names '(posix|nt)\.system'"):
        load(tmp_path, payload)
    assert not marker.exists()
    pickle.loads(payload)  # the payload does run where pickle loads it
    assert marker.exists()


@pytest.mark.parametrize(
    ("data_pkl", "message"),
    [
        (b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.", r"names 'builtins\.eval'"),
        (b"\x80\x02c__builtin__\ngetattr\n.", r"names '__builtin__\.getattr'"),
        (b"\x80\x02c\\x6fs\nsys\\tem\n.", r"names '\\x6fs\.sys\\tem'"),
        (b"\x80\x02ctorch\nload\n.", r"names 'torch\.load'"),
        (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "_rebuild_sparse_tensor"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "SHORT_BINUNICODE"),
        (b"(i__main__\nThing\n.", "INST"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pdata\n.", "PERSID"),
        (b"\x80\x02ccollections\nOrderedDict\n](K\x01K\x02\x86etR.", "damaged"),
        (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "calls something"),
        (b"\x80\x02X\x01\x00\x00\x00a)R.", "calls something"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "calls something"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls something"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "not a storage"),
        (b"\x80\x02]}b.", "attributes"),
        (b"\x80\x02}]b.", "attributes"),
        (b"\x80\x02}K\x01a.", "appends to a dict"),
        (b"\x80\x02]K\x01K\x02s.", "sets items of a list"),
        (b"\x80\x02}(K\x01K\x02K\x03u.", "sets items"),
        (dict_pickle(text("a"), b"N", text("a"), b"N"), "'a' occurs twice"),
        (b"\x80\x02K\x01.", "it holds a int"),
        (b"\x80\x02N.", "it holds a NoneType"),
        (b"\x80\x02ctorch\nFloatStorage\n.", "not a dict of tensors"),
        (dict_pickle(text("epoch"), b"K\x03"), "'epoch' is a int, not a tensor of numbers"),
        (dict_pickle(text("a"), b"ctorch\nFloatStorage\n"), "not a tensor of numbers"),
        (dict_pickle(text("a"), storage_pickle()), "not a tensor of numbers"),
        (dict_pickle(b"K\x03", tensor_pickle()), "'3' is not the name"),
        (dict_pickle(text("a\x1b[2J"), tensor_pickle()), "is not the name"),
        (dict_pickle(text("a" * 5000), tensor_pickle()), "is not the name"),
        # A dict that holds itself, and marks where values should be.
        (b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.", "'state_dict' is a dict"),
        (b"\x80\x02(q\x00h\x00.", "a value is missing"),
        (b"\x80\x02h\x07.", "nothing is kept as 7"),
        (b"\x80\x02}}.", "left over"),
        (b"\x80\x02u.", "a mark is missing"),
        (b"\x80\x02.", "a value is missing"),
        (b"\x80\x02}", "damaged"),
        (b"", "damaged"),
        (b"\xff\xfe", "instruction 0xff; refused"),
        (b"\x80\x02X\xff\xff\xff\x7fa.", "damaged"),
        (b"\x80\x02X\x02\x00\x00\x00\xff\xff.", "damaged"),
    ],
)
def test_pickles_of_anything_else_are_refused(tmp_path, data_pkl, message):
    with pytest.raises(FormatError, match=message):
        load(tmp_path, data_pkl)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (tensor_pickle(size=(5,)), "reach beyond its storage"),
        (tensor_pickle(size=(2,), stride=(4,)), "reach beyond its storage"),
        (tensor_pickle(size=(2, 2), stride=(2, 2), offset=1), "reach beyond its storage"),
        (tensor_pickle(size=(), stride=(), offset=4), "reach beyond its storage"),
        (tensor_pickle(offset=1), "reach beyond its storage"),
        (tensor_pickle(offset=2**70), "reach beyond its storage"),
        (tensor_pickle(offset=-1), "negative"),
        (tensor_pickle(size=(-4,)), "negative"),
        (tensor_pickle(size=(2, -2), stride=(1, 1)), "negative"),
        (tensor_pickle(stride=(-1,), offset=3), "negative"),
        (tensor_pickle(size=(4, 1)), "do not fit together"),
        (tensor_pickle(size=(1,) * 33, stride=(1,) * 33), "33 dimensions; up to 32"),
        (tensor_pickle(size=(4,), stride=(1,) * 900), "900 dimensions; up to 32"),
        (tensor_pickle(size=(2**40,), stride=(0,)), "far larger than the file"),
        (tensor_pickle(size=(2**62, 2**62), stride=(0, 0)), "far larger than the file"),
        (tensor_pickle(size=(0, 2**62), stride=(1, 1)), "absurd"),
        (tensor_pickle(storage=storage_pickle(numel=5)), "should have 20 bytes and has 16"),
        (tensor_pickle(storage=storage_pickle(numel=2**40)), "should have 4398046511104 bytes"),
        (tensor_pickle(storage=storage_pickle(numel=-4)), "not a storage of numbers"),
        (tensor_pickle(storage=storage_pickle(key="9")), "/data/9' is missing"),
        (tensor_pickle(storage=storage_pickle(key="../data.pkl")), r"/data/\.\./data\.pkl' is"),
        (tensor_pickle(storage=storage_pickle(b"QInt8Storage")), "QInt8Storage"),
        (tensor_pickle(storage=storage_pickle(b"ComplexFloatStorage")), "ComplexFloatStorage"),
    ],
)
def test_tensors_that_cannot_be_are_refused(tmp_path, tensor, message):
    with pytest.raises(FormatError, match=message):
        load(tmp_path, dict_pickle(text("a"), tensor))


def test_a_storage_of_two_types_is_refused(tmp_path):
    other = tensor_pickle(storage=storage_pickle(b"IntStorage"))
    with pytest.raises(FormatError, match="two types of numbers"):
        load(tmp_path, dict_pickle(text("a"), tensor_pickle(), text("b"), other))


def test_many_expanded_tensors_do_not_fill_the_memory(tmp_path):
    big = tensor_pickle(size=(2**22,), stride=(0,))
    items = [part for i in range(100) for part in (text(str(i)), big)]
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="far larger than the file"):
            load(tmp_path, dict_pickle(*items))
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_the_strides_of_single_numbers_do_not_matter(tmp_path):
    tensor = tensor_pickle(size=(1, 4, 1), stride=(2**80, 1, 7))
    state = load(tmp_path, dict_pickle(text("a"), tensor))
    np.testing.assert_array_equal(state["a"], [[[1], [2], [3], [4]]])


def test_huge_pickles_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"data\.pkl.* bytes, not up to"):
        load(tmp_path, b"\x80\x02" + b"N" * 5_000_000 + b".")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_bare_pickles_are_refused(tmp_path, protocol):
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol))
    message = "not a PyTorch checkpoint" if protocol == 0 else "bare pickle, not a PyTorch check"
    with pytest.raises(FormatError, match=message):
        load_pth(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"keys": ()}, "'data/0' is missing"),
        ({"keys": ("0", "0")}, "list of storages is damaged"),
        ({"keys": ("1",)}, "list of storages is damaged"),
        ({"keys": (3,)}, "list of storages is damaged"),
        ({"numbers": struct.pack("<q", 5) + FOUR + FOUR}, "damaged or cut short at the storage 0"),
        ({"numbers": struct.pack("<q", 4) + FOUR[:-1]}, "damaged or cut short at the storage 0"),
        ({"saved": b"\x80\x02cos\nsystem\n."}, r"it names 'os\.system'"),
        (
            {"saved": dict_pickle(text("a"), OLD_TENSOR.replace(b"NtQ", b"K\x01tQ"))},
            "not a storage",
        ),
    ],
)
def test_damaged_files_of_old_torch_are_refused(tmp_path, changed, message):
    parts = {"saved": dict_pickle(text("a.b"), OLD_TENSOR)} | changed
    (tmp_path / "a.pth").write_bytes(old_file(**parts))
    with pytest.raises(FormatError, match=message):
        load_pth(tmp_path / "a.pth")


def test_whole_modules_are_refused(tmp_path, torch):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"it names 'torch\.nn\.modules\.linear\.Linear'"):
        load_pth(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "content", [b"", b"P", b"hello", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.pth: (this is not|the file is damaged)"):
        load_pth(tmp_path / "a.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    for name in ("pipe.pth", "zero.pth"):
        with pytest.raises(FormatError, match="a pipe, a device or a socket, not a regular file"):
            load_pth(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b.pth", "a" * 5000 + ".pth"])
def test_paths_that_cannot_be_are_refused(tmp_path, name):
    with pytest.raises(FormatError, match=r"cannot be the name of a file|too long"):
        load_pth(tmp_path / name)


@pytest.mark.parametrize("numel", [b"\x88", b"G" + struct.pack(">d", 4.0), b"N", integer(2**60)])
def test_storages_whose_length_is_no_sensible_number_are_refused(tmp_path, numel):
    storage = storage_pickle().replace(integer(4) + b"tQ", numel + b"tQ")
    with pytest.raises(FormatError, match="not a storage of numbers"):
        load(tmp_path, dict_pickle(text("a"), tensor_pickle(storage=storage)))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(FormatError, match="No such file"):
        load_pth(tmp_path / "missing.pth")
    with pytest.raises(FormatError, match=r"directory|denied"):
        load_pth(tmp_path)
