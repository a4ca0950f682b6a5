"""Checkpoints: both ways with PyTorch, and every way in which a file can be bad."""

import io
import os
import pickle
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import FormatError
from neocog.formats.pth import load_pth, save_pth

# What torch 2.13 wrote for torch.nn.Linear(2, 3).state_dict(), metadata and all.
LINEAR_PICKLE = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x06\x00\x00\x00weightq\x02"
    b"ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04"
    b"ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x06tq\x08Q"
    b"K\x00K\x03K\x02\x86q\tK\x02K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\rX\x04\x00\x00\x00biasq\x0e"
    b"h\x03((h\x04h\x05X\x01\x00\x00\x001q\x0fh\x07K\x03tq\x10QK\x00K\x03\x85q\x11K\x01\x85q\x12"
    b"\x89h\x00)Rq\x13tq\x14Rq\x15u}q\x16X\t\x00\x00\x00_metadataq\x17h\x00)Rq\x18X\x00\x00\x00\x00"
    b"q\x19}q\x1aX\x07\x00\x00\x00versionq\x1bK\x01sssb."
)
LINEAR_DATA = [np.arange(6, dtype="<f4").tobytes(), np.arange(3, dtype="<f4").tobytes()]


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def write_zip(path, data_pkl, storages=(), compression=zipfile.ZIP_STORED, **others):
    entries = {"data.pkl": data_pkl, "byteorder": b"little", "version": b"3\n", **others}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(f"archive/{name}", data)
        for key, data in enumerate(storages):
            archive.writestr(f"archive/data/{key}", data)
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(n: int) -> bytes:
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def storage_pickle(kind=b"FloatStorage", key="0", numel=4):
    return b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu") + (
        integer(numel) + b"tQ"
    )  # fmt: skip


def tensor_pickle(size=(4,), stride=(1,), offset=0, storage=None):
    shapes = (b"(" + b"".join(map(integer, numbers)) + b"t" for numbers in (size, stride))
    return b"".join(
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            storage_pickle() if storage is None else storage,
            integer(offset),
            *shapes,
            b"\x89}tR",
        ]
    )


def dict_pickle(*items: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(items) + b"u."


FOUR = np.array([1, 2, 3, 4], "<f4").tobytes()


def load(tmp_path, data_pkl, storages=(FOUR,), **others):
    return load_pth(write_zip(tmp_path / "crafted.pth", data_pkl, storages, **others))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    kinds = ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "?"]
    return {
        **{f"a.{k}": (rng.normal(size=(2, 3)) * 9).astype(k) for k in kinds},
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "big endian": np.arange(3, dtype=">f4"),
        "conv1.weight": rng.normal(size=(16, 3, 3, 3)).astype(np.float32),
        "größe": np.ones(300, np.float32),
    }


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype.newbyteorder("="), name
        assert actual[name].shape == array.shape
        assert actual[name].flags.c_contiguous
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


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


def test_torch_loads_what_was_saved(tmp_path, arrays, torch):
    save_pth(arrays, tmp_path / "a.pth")
    for mmap in (False, True):
        state = torch.load(tmp_path / "a.pth", weights_only=True, mmap=mmap)
        assert type(state).__name__ == "OrderedDict"
        assert_same({name: tensor.numpy() for name, tensor in state.items()}, arrays)


def test_torch_modules_are_loaded(tmp_path, torch):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(7, 2, bias=False)
    ).to(memory_format=torch.channels_last)
    torch.save(module.state_dict(), tmp_path / "a.pth")
    expected = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    loaded = load_pth(tmp_path / "a.pth")
    assert_same(loaded, expected)


def test_views_parameters_and_all_types_of_torch_are_loaded(tmp_path, torch):
    base = torch.arange(24.0)
    tensors = {
        "tied": base,
        "part": base[4:10],
        "turned": base.view(4, 6).t(),
        "steps": base[::5],
        "expanded": base[:1].expand(3, 2),
        "one row": base.view(4, 6)[1:2],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(base[:3].clone()),
        "truth": torch.tensor([True, False]),
        **{
            str(kind): torch.arange(-2, 3).to(kind)
            for kind in (
                torch.float64, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8,
                torch.uint8,
            )
        },
    }  # fmt: skip
    torch.save(tensors, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), {k: t.detach().numpy() for k, t in tensors.items()})


def test_bfloat16_becomes_float32(tmp_path, torch):
    tensor = torch.tensor([1.5, -3e38, float("inf"), 1e-40]).bfloat16()
    torch.save({"a.b": tensor}, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), {"a.b": tensor.float().numpy()})


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.",
                                    "_orig_mod.module."])  # fmt: skip
def test_checkpoints_of_wrapped_modules_are_loaded(tmp_path, torch, key, prefix):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = module.state_dict(prefix=prefix)
    checkpoint = {"epoch": 3, "lr": 0.1, "note": None, "optimizer": optimizer.state_dict()}
    torch.save({**checkpoint, key: state}, tmp_path / "a.pth")
    expected = {k: t.numpy() for k, t in module.state_dict().items()}
    assert_same(load_pth(tmp_path / "a.pth"), expected)


def linear(torch, **kind):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    return module, {k: t.detach().numpy() for k, t in module.state_dict().items()}


def test_what_torch_calls_safe_is_skipped_beside_weights(tmp_path, torch):
    module, expected = linear(torch)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    beside = {
        "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3, 9]).state_dict(),
        "shape": torch.Size([1, 28, 28]),
        "device": torch.device("cuda", 1),
        "dtype": torch.bfloat16,
        "frozen": {"0.bias"},
        "digest": b"\x00\xff",
        "root": 2 - 1j,
        "array": bytearray(b"abc"),
        "names": {(1, 2): "of a tuple", None: 1, 1.5: 2},
        "seed": -(2**90),
        "complex": torch.ones(2, dtype=torch.complex64),
        "float8": torch.ones(2).to(torch.float8_e5m2),
        "sparse": torch.eye(2).to_sparse(),
        "count": torch.tensor(3),
    }
    for content in ({"model": module.state_dict(), **beside}, {**beside, **module.state_dict()}):
        content = dict(content)
        if "model" not in content:  # tensors that are not weights would be taken for such
            for name in ("complex", "float8", "sparse", "count"):
                del content[name]
        torch.save(content, tmp_path / "a.pth")
        torch.load(tmp_path / "a.pth", weights_only=True)
        assert_same(load_pth(tmp_path / "a.pth"), expected)


@pytest.mark.parametrize(
    "path",
    ["net", "network", "model_ema", "a name of one's own", "checkpoint.model", "epoch 3.best.net"],
)
def test_the_weights_are_found_by_looking(tmp_path, torch, path):
    module, expected = linear(torch)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = module.state_dict()
    for key in reversed(path.split(".")):
        content = {"optimizer": optimizer.state_dict(), "acc": 0.5, key: content, "extra": {}}
    torch.save(content, tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), expected)


def test_weights_of_several_networks_are_not_guessed(tmp_path, torch):
    states = {name: linear(torch)[0].state_dict() for name in ("netG", "netD")}
    torch.save({"epoch": 1, **states}, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"weights of several networks: netG, netD\. Save one"):
        load_pth(tmp_path / "a.pth")
    torch.save({"ema": states["netD"], "model": states["netG"]}, tmp_path / "a.pth")
    expected = {name: tensor.numpy() for name, tensor in states["netG"].items()}
    assert_same(load_pth(tmp_path / "a.pth"), expected)


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


@pytest.mark.parametrize("kind", ["sparse", "complex", "float8"])
def test_weights_of_kinds_that_are_not_read_are_named(tmp_path, torch, kind):
    weight = {
        "sparse": lambda: torch.eye(2).to_sparse(),
        "complex": lambda: torch.ones(2, dtype=torch.complex128),
        "float8": lambda: torch.ones(2).to(torch.float8_e4m3fn),
    }[kind]()
    torch.save({"fc.bias": torch.ones(2), "fc.weight": weight}, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"fc\.weight.*(such tensors are|which is) not read"):
        load_pth(tmp_path / "a.pth")


def test_torchs_files_without_checksums_are_loaded(tmp_path, torch):
    module, expected = linear(torch)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(module.state_dict(), tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(load_pth(tmp_path / "a.pth"), expected)


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


def test_huge_pickles_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"data\.pkl.* bytes, not up to"):
        load(tmp_path, b"\x80\x02" + b"N" * 5_000_000 + b".")


def test_changed_numbers_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", dict_pickle(text("a"), tensor_pickle()), [FOUR])
    data = path.read_bytes()
    assert data.count(FOUR) == 1
    path.write_bytes(data.replace(FOUR, FOUR[::-1]))
    with pytest.raises(FormatError, match="CRC"):
        load_pth(path)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_bare_pickles_are_refused(tmp_path, protocol):
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"a": [1, 2]}, protocol))
    message = "not a PyTorch checkpoint" if protocol == 0 else "bare pickle, not a PyTorch check"
    with pytest.raises(FormatError, match=message):
        load_pth(path)


COUNTED = struct.pack("<q", 4) + FOUR


def old_file(saved: bytes, keys=("0",), numbers=COUNTED) -> bytes:
    """A checkpoint as torch wrote it before 1.6."""
    sizes = {"short": 2, "int": 4, "long": 4}
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    preamble = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, facts)]
    return b"".join([*preamble, saved, pickle.dumps(list(keys), 2), numbers])


OLD_TENSOR = tensor_pickle(storage=storage_pickle().replace(b"tQ", b"NtQ"))
A_PART = OLD_TENSOR.replace(b"NtQ", b"K\x01tQ")


def test_files_of_old_torch_are_loaded_without_torch(tmp_path):
    (tmp_path / "a.pth").write_bytes(old_file(dict_pickle(text("a.b"), OLD_TENSOR)))
    assert_same(load_pth(tmp_path / "a.pth"), {"a.b": np.array([1, 2, 3, 4], np.float32)})


def test_files_of_old_torch_are_loaded(tmp_path, torch):
    module, _ = linear(torch)
    base = torch.arange(12.0)
    state = {
        **module.state_dict(),
        "rows.part": base.view(3, 4)[1:, ::2],
        "half.part": base[:3].half(),
        "brain.part": base[:3].bfloat16(),
        "truth.part": base > 3,
    }
    others = {"complex": torch.ones(3, dtype=torch.complex64), "size": torch.Size([3])}
    old = {"_use_new_zipfile_serialization": False}
    torch.save({"model": state, **others}, tmp_path / "a.pth", **old)
    expected = {name: tensor.float().numpy() for name, tensor in state.items()}
    expected["half.part"] = state["half.part"].numpy()
    expected["truth.part"] = state["truth.part"].numpy()
    assert_same(load_pth(tmp_path / "a.pth"), expected)
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth", **old)
    with pytest.raises(FormatError, match=r"it names 'torch\.nn\.modules\.linear\.Linear'"):
        load_pth(tmp_path / "a.pth")


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


def test_weights_beside_something_else_in_a_tuple_are_loaded(tmp_path, torch):
    module, expected = linear(torch)
    torch.save((module.state_dict(), 3), tmp_path / "a.pth")
    assert_same(load_pth(tmp_path / "a.pth"), expected)


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


def test_zips_of_other_things_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("word/document.xml", b"<a/>")
    with pytest.raises(FormatError, match=r"lacks a data\.pkl"):
        load_pth(tmp_path / "a.pth")


def test_an_unknown_byte_order_is_refused(tmp_path):
    with pytest.raises(FormatError, match="byte order is b'middle'"):
        load(tmp_path, LINEAR_PICKLE, LINEAR_DATA, byteorder=b"middle")


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


def good_file() -> bytes:
    file = io.BytesIO()
    write_zip(file, LINEAR_PICKLE, LINEAR_DATA)
    return file.getvalue()


@pytest.mark.parametrize("data", [good_file(), old_file(dict_pickle(text("a.b"), OLD_TENSOR))])
def test_files_cut_short_anywhere_are_refused(tmp_path, data):
    path = tmp_path / "a.pth"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError):
            load_pth(path)


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(CHANGES, st.booleans())
def test_changed_files_give_a_dict_or_a_format_error(tmp_path_factory, changes, old):
    data = bytearray(old_file(dict_pickle(text("a.b"), OLD_TENSOR)) if old else good_file())
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzz.pth"
    path.write_bytes(data)
    try:
        state = load_pth(path)
    except FormatError:
        return
    assert all(isinstance(array, np.ndarray) for array in state.values())


@settings(max_examples=800, deadline=None, derandomize=True)
@given(CHANGES)
def test_changed_pickles_give_a_dict_or_a_format_error(tmp_path_factory, changes):
    data = bytearray(LINEAR_PICKLE)
    for at, value in changes:
        data[at % len(data)] = value
    path = write_zip(tmp_path_factory.getbasetemp() / "fuzz.pth", bytes(data), LINEAR_DATA)
    try:
        state = load_pth(path)
    except FormatError:
        return
    assert all(isinstance(array, np.ndarray) for array in state.values())
