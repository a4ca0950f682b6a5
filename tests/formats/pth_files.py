"""Pickles and zips of `.pth` files, byte by byte."""

import pickle
import struct
import zipfile

import numpy as np

from neocog.formats.pth import load_pth

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


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype.newbyteorder("="), name
        assert actual[name].shape == array.shape
        assert actual[name].flags.c_contiguous
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


COUNTED = struct.pack("<q", 4) + FOUR


def old_file(saved: bytes, keys=("0",), numbers=COUNTED) -> bytes:
    """A checkpoint as torch wrote it before 1.6."""
    sizes = {"short": 2, "int": 4, "long": 4}
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    preamble = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, facts)]
    return b"".join([*preamble, saved, pickle.dumps(list(keys), 2), numbers])


OLD_TENSOR = tensor_pickle(storage=storage_pickle().replace(b"tQ", b"NtQ"))
