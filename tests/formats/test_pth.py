"""`.pth` files: what is saved comes back, and what PyTorch wrote is read without PyTorch."""

import struct
import zipfile

import numpy as np
import pytest
from pth_files import (
    LINEAR_DATA,
    LINEAR_PICKLE,
    OLD_TENSOR,
    assert_same,
    dict_pickle,
    load,
    old_file,
    storage_pickle,
    tensor_pickle,
    text,
    write_zip,
)

from neocog.errors import FormatError
from neocog.formats.pth import load_pth, save_pth

# Both ways


def test_what_was_saved_is_loaded(tmp_path, arrays):
    save_pth(arrays, tmp_path / "a.pth")
    loaded = load_pth(tmp_path / "a.pth")
    assert_same(loaded, arrays)
    for array in loaded.values():
        assert array.flags.writeable


def test_the_bytes_are_the_same_for_any_path_and_time(tmp_path, arrays):
    save_pth(arrays, tmp_path / "a.pth")
    save_pth(arrays, str(tmp_path / "another name.pt"))
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "another name.pt").read_bytes()


def test_numbers_start_at_multiples_of_64(tmp_path, arrays):
    save_pth(arrays, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
            assert (entry.header_offset + 30 + name + extra) % 64 == 0
            assert entry.compress_type == zipfile.ZIP_STORED


@pytest.mark.parametrize("array", [np.ones(2, np.complex64), np.array(["a"]), np.ones(2, "u2")])
def test_arrays_that_cannot_be_saved_are_named(tmp_path, array):
    with pytest.raises(FormatError, match=r"odd: a \.pth cannot hold an array of"):
        save_pth({"odd": array}, tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())


def test_what_torch_wrote_is_loaded_without_torch(tmp_path):
    state = load(tmp_path, LINEAR_PICKLE, LINEAR_DATA)
    expected = {
        "weight": np.arange(6, dtype=np.float32).reshape(3, 2),
        "bias": np.arange(3, dtype=np.float32),
    }
    assert_same(state, expected)


def nested_pickle(content) -> bytes:
    """Dicts within dicts; a number n stands for the state dict {"fc.weight": 1 + n numbers}."""
    parts = []
    for key, value in content.items():
        if key.endswith("fc.weight"):
            inside = tensor_pickle(size=(1 + value,))
        else:
            inside = nested_pickle({"fc.weight": value} if isinstance(value, int) else value)
        parts.append(text(key) + inside)
    return b"}(" + b"".join(parts) + b"u"


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        ({"student": {"state_dict": 0}, "teacher": {"state_dict": 1}}, None),
        ({"a": {"model": 0}, "b": {"c": {"model": 1}}}, 0),
        ({"teacher": {"state_dict": 0}, "model": 1}, 1),
        ({"a": {"ema": 0}, "b": {"ema": 1}}, None),
        ({"ema": {"state_dict": 0}, "model": {"state_dict": 1}}, 1),
        ({"ema": 0, "net": {"weights": 1}}, 1),
        ({"ema": 0, "fc.weight": 1}, 1),
        ({"model": 0, "fc.weight": 1}, 1),
        ({"a": {"ema": 0}}, 0),
    ],
)
def test_weights_are_taken_only_where_it_is_clear_whose(tmp_path, content, taken):
    data_pkl = b"\x80\x02" + nested_pickle(content) + b"."
    if taken is None:
        with pytest.raises(FormatError, match="the weights of several networks: "):
            load(tmp_path, data_pkl)
    else:
        assert load(tmp_path, data_pkl)["fc.weight"].shape == (1 + taken,)


def test_files_without_checksums_are_loaded(tmp_path):
    path = write_zip(tmp_path / "a.pth", LINEAR_PICKLE, LINEAR_DATA)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        start = data.find(signature)
        while start >= 0:
            struct.pack_into("<L", data, start + at, 0)
            start = data.find(signature, start + 4)
    path.write_bytes(data)
    assert load_pth(path).keys() == {"weight", "bias"}


def test_prefixes_that_not_all_names_have_are_kept(tmp_path):
    arrays = {"module.a.weight": np.ones(2), "b.weight": np.ones(3)}
    save_pth(arrays, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), arrays)


def test_a_layer_called_module_keeps_its_name(tmp_path):
    arrays = {"module.weight": np.ones(2), "module.bias": np.ones(3)}
    save_pth(arrays, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), arrays)


def test_big_endian_numbers_are_loaded(tmp_path):
    data = np.array([1, 2, 3, 4], ">f4").tobytes()
    state = load(tmp_path, dict_pickle(text("a"), tensor_pickle()), [data], byteorder=b"big")
    np.testing.assert_array_equal(state["a"], [1, 2, 3, 4])


def test_a_missing_byte_order_means_little(tmp_path):
    state = load(tmp_path, dict_pickle(text("a"), tensor_pickle()), byteorder=None)
    np.testing.assert_array_equal(state["a"], [1, 2, 3, 4])


def test_bytes_of_truth_other_than_1_are_true(tmp_path):
    tensor = tensor_pickle(storage=storage_pickle(b"BoolStorage"))
    state = load(tmp_path, dict_pickle(text("a"), tensor), [b"\x00\x01\x02\xff"])
    assert state["a"].view(np.uint8).tolist() == [0, 1, 1, 1]


# Refused


def test_files_of_old_torch_are_loaded_without_torch(tmp_path):
    (tmp_path / "a.pth").write_bytes(old_file(dict_pickle(text("a.b"), OLD_TENSOR)))
    assert_same(load_pth(tmp_path / "a.pth"), {"a.b": np.array([1, 2, 3, 4], np.float32)})
