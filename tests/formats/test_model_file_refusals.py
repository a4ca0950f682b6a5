"""Model files that are damaged, foreign, or ask for too much."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy
from model_files import header_of, put, rewrite, write

from neocog.errors import FormatError, is_plain
from neocog.formats.model_file import read_training
from neocog.network_files import load_model


def test_files_cut_short_or_long_are_refused(saved):
    data = saved.read_bytes()
    for length in range(len(data)):
        saved.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"model\.safetensors: "):
            load_model(saved)
    saved.write_bytes(data + b"\0")
    with pytest.raises(FormatError, match="should hold 128 bytes of weights and holds 129"):
        load_model(saved)


@pytest.mark.parametrize("read", [load_model, read_training])
def test_missing_and_foreign_files_are_refused(tmp_path, read):
    path = tmp_path / "a.safetensors"
    with pytest.raises(FormatError, match="No such file"):
        read(path)
    for content in (b"", b"hello", b"hello, this is no model at all", struct.pack("<Q", 2**63)):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="not a safetensors file"):
            read(path)
    safetensors.numpy.save_file({"fc.weight": np.ones((2, 2), np.float32)}, path)
    with pytest.raises(FormatError, match="not the architecture"):
        read(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[1]", "header is damaged"),
        (b"{}}", "header is damaged: Extra data"),
        (b"\xff\xff\xff", "header is damaged"),
        (b"[" * 100_000, "header is damaged"),
        (b'{"a": 1, "a": 2}', "a name occurs twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "header is damaged"),
        ({"__metadata__": {"neocog": {}}}, "description of the network is not a text"),
        ({"__metadata__": {"neocog": "{"}}, "description of the network is damaged"),
        ({"__metadata__": []}, "metadata is damaged"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, header, message):
    write(tmp_path / "a.safetensors", header, b"")
    for read in (load_model, read_training):
        with pytest.raises(FormatError, match=message):
            read(tmp_path / "a.safetensors")


def test_absurd_inputs_are_refused_even_without_weights(tmp_path, saved):
    header, _ = header_of(saved)
    description = json.loads(header["__metadata__"]["neocog"])
    description |= {
        "input_shape": [1, 2**30, 2**30],
        "layers": [{"name": "relu", "type": "ReLU"}],
        "classes": None,
    }
    header = {"__metadata__": {"neocog": json.dumps(description)}}
    write(tmp_path / "a.safetensors", header, b"")
    with pytest.raises(FormatError, match=r"input: the shape .* absurdly large"):
        load_model(tmp_path / "a.safetensors")


def test_huge_weights_are_refused_before_they_are_allocated(saved):
    header, numbers = header_of(saved)
    description = json.loads(header["__metadata__"]["neocog"])
    description["layers"][-1]["out_features"] = 2**25
    description["classes"] = None
    header["__metadata__"]["neocog"] = json.dumps(description)
    header["fc.weight"]["shape"] = [2**25, 12]
    header["fc.bias"]["shape"] = [2**25]
    write(saved, header, numbers)
    with pytest.raises(FormatError, match="should hold 1744830488 bytes of weights and holds 128"):
        load_model(saved)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"dtype": "F64"}, "should be float32"),
        ({"shape": [2]}, "should be float32 of the shape"),
        ({"data_offsets": [0, 2**60]}, "offset"),
        ({"data_offsets": [-8, 0]}, "header"),
        ({"data_offsets": "0"}, "header"),
    ],
)
def test_tensors_that_cannot_be_are_refused(saved, spec, message):
    header, numbers = header_of(saved)
    header["fc.weight"] |= spec
    write(saved, header, numbers)
    with pytest.raises(FormatError, match=f"(?i){message}"):
        load_model(saved)


def test_messages_show_no_control_characters(saved):
    for change in (
        put("version", "\x1b]0;t\x07"),
        put("layers", 0, "\x1b[1m", -1),
        put("layers", 0, "\u202e", "a"),
        put("layers", 0, "type", "\x9b2J"),
        put("layers", 1, "name", "line\nbreak"),
        put("classes", ["\x1b[2J", "b"]),
    ):
        original = saved.read_bytes()
        rewrite(saved, change)
        with pytest.raises(FormatError) as caught:
            load_model(saved)
        assert is_plain(str(caught.value))
        saved.write_bytes(original)
    header, numbers = header_of(saved)
    header["\x1b[2J"] = header.pop("fc.bias")
    write(saved, header, numbers)
    with pytest.raises(FormatError, match=r"for example '\\x1b\[2J'"):
        load_model(saved)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("read", [load_model, read_training])
def test_pipes_and_devices_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    for name in ("pipe.safetensors", "zero.safetensors"):
        with pytest.raises(FormatError, match="not a regular file"):
            read(tmp_path / name)
    for name in ("a\0.safetensors", "a" * 5000 + ".safetensors"):
        with pytest.raises(FormatError, match=r"cannot be the name of a file|too long"):
            read(name)


def test_large_headers_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    write(path, b'{"a":"' + b" " * (4 * 2**20) + b'"}', b"")
    with pytest.raises(FormatError, match=r"its header has 4,194,312 bytes; up to 4,194,304"):
        load_model(path)
    write(path, b'{"a":[' + b"{}," * 250_000 + b"{}]}", b"")
    with pytest.raises(FormatError, match=r"its header has 500,003 values; up to 400,000"):
        load_model(path)
