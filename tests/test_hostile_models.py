"""Files that somebody made to do harm: each is refused at once, by one message.

A process of its own reads each, so that what it takes can be seen: less than a second and 100 MB.
"""

import json
import os
import struct
import sys
import zipfile

import pytest
from cost_of_reading import check_refused


def number(n: int) -> bytes:
    return b"J" + struct.pack("<i", n)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + (
    number(4) + b"tQ"
)  # fmt: skip
MAKE = b"ctorch._utils\n_rebuild_tensor_v2\n"


def kept(place: int, value: bytes) -> bytes:
    """Keep a value for later, and drop it from the stack into the list below."""
    return value + b"q" + bytes([place]) + b"a"


def sized(dimensions: int) -> bytes:
    return b"(" + b"K\x01" * dimensions + b"t"


def tensors(dimensions: int, count: int) -> bytes:
    """Many tensors of many dimensions, whose sizes are written once."""
    once = kept(0, MAKE) + kept(1, STORAGE) + kept(2, sized(dimensions))
    return b"\x80\x02]" + once + b"(" + b"h\x00(h\x01K\x00h\x02h\x02tR" * count + b"e."


def named(count: int) -> bytes:
    """One tensor under many names."""
    first = MAKE + b"(" + STORAGE + b"K\x00K\x04\x85K\x01\x85tRq\x00"
    items = (text(f"{n}.weight") + (b"h\x00" if n else first) for n in range(count))
    return b"\x80\x02}(" + b"".join(items) + b"u."


PICKLES = {
    "dicts": b"\x80\x02](" + b"}" * 3_000_000 + b"e.",
    "kept": b"\x80\x02](" + b"".join(b"}r" + struct.pack("<I", n) for n in range(600_000)) + b"e.",
    "nested": b"\x80\x02)" + b"\x85" * 2_000_000 + b".",
    "dimensions": tensors(70_000, 300),
    "tensors": tensors(30, 200_000),
    "names": named(60_000),
    # Whole numbers with one hash: a dict of them is slow.
    "keys": b"\x80\x02}("
    + b"".join(
        b"\x8a\x20" + (n * (2**61 - 1)).to_bytes(32, "little") + b"N" for n in range(1, 90_000)
    )
    + b"u.",
    "tuples": b"\x80\x02}(" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"Nu.",
    "true": b"\x80\x02}(" + text("a") + STORAGE.replace(number(4), b"\x88") + b"u.",
    "itself": b"\x80\x02}q\x00(" + b"".join(text(f"{n}") + b"h\x00" for n in range(9000)) + b"u.",
    "code": b"\x80\x02cos\nsystem\n" + text("touch ran") + b"\x85R.",
}


def pickled(name):
    def make(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", PICKLES[name])
            archive.writestr("a/data/0", b"\0" * 16)

    return make


def many_entries(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        for n in range(31_000):
            archive.writestr(f"a/{n}", b"")


def claims_entries(path):
    """The end of a zip, whose list would be as long as the file: gigabytes of holes."""
    size = 2**33
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(size)
        file.write(struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0,
                               size // 46, size // 46, size - 46, 0))  # fmt: skip
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1))
        file.write(struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1,
                               2**32 - 1, 0))  # fmt: skip


def model_file(header: object, claimed: int | None = None):
    def make(path):
        content = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", claimed or len(content)) + content)

    return make


def described(**changes: object):
    description = {
        "version": 1,
        "input_shape": [1, 8, 8],
        "layers": [{"name": "a", "type": "ReLU"}],
        "classes": None,
        "preprocessing": {"mean": [0.5], "std": [0.5]},
    }
    return model_file({"__metadata__": {"neocog": json.dumps(description | changes)}})


def layer(kind: str, **arguments: object) -> list[dict[str, object]]:
    return [{"name": "a", "type": kind, **arguments}]


CONV = {"in_channels": 1, "out_channels": 1, "kernel_size": 1}


def nested(depth: int, count: int) -> list[dict[str, object]]:
    """Layers within layers of long names, all of which are in the names of the innermost."""
    layers: list[dict[str, object]] = [{"name": f"{n}", "type": "ReLU"} for n in range(count)]
    for _ in range(depth):
        layers = [{"name": "n" * 900, "type": "Sequential", "layers": layers}]
    return layers


def misspelled(count: int) -> list[dict[str, object]]:
    """Many nodes of similar names, and one that reads none of them."""
    nodes = [{"name": "n" * 90 + f"{n}", "type": "ReLU", "inputs": []} for n in range(count)]
    return [*nodes, {"name": "last", "type": "ReLU", "inputs": ["n" * 95]}]


MODELS = {
    "names within names": described(layers=nested(100, 9_000)),
    "similar names": described(version=2, nodes=misspelled(9_000)),
    "long": model_file(b'{"a":[' + b"{}," * 6_000_000 + b"{}]}"),
    "values": model_file(b'{"a":[' + b"{}," * 1_000_000 + b"{}]}"),
    "deep": model_file(b"[" * 3_000_000),
    "digits": model_file(b'{"a":' + b"7" * 3_000_000 + b"}"),
    "claimed": model_file(b"{}", 2**62),
    "version": described(version="\x1b]0;owned\x07" * 5000),
    "argument": described(layers=layer("ReLU", **{"\x1b[2J\u202e": [-1]})),
    "large": described(input_shape=[1, 2**15, 2**15]),
    "padded": described(layers=layer("Conv2d", **CONV, padding=9000)),
    "weights": described(layers=layer("Conv2d", **CONV | {"out_channels": 2**31 - 1})),
    "layers": described(layers=layer("ReLU") * 100_000),
    "classes": described(classes=["\x1b[2J"] * 300_000),
    "numbers": described(preprocessing={"mean": [10**4000], "std": [1e308]}),
}
RECIPES = {
    "dots": "x" + ".x" * 30_000 + " = 1",
    "lines": "\n".join("[" + ".".join("abcdefgh" * 12) + f".k{n}]" for n in range(300)),
    "brackets": "a = " + "[" * 60_000,
    "digits": "epochs = " + "9" * 60_000,
    "size": "#" * 50_000_000,
    "escapes": 'model = "\\u001b[2J"\nepochs = "\\u001b[2J"',
}


@pytest.mark.skipif(sys.platform == "win32", reason="what a process takes is read otherwise there")
def test_hostile_files_are_refused_at_once(tmp_path):
    files = {
        **{f"{name}.pth": pickled(name) for name in PICKLES},
        "entries.pth": many_entries,
        "claims.pth": claims_entries,
        **{f"{name}.safetensors": make for name, make in MODELS.items()},
        **{
            f"{name}.toml": lambda p, t=content: p.write_text(t)
            for name, content in RECIPES.items()
        },
    }
    for name, make in files.items():
        make(tmp_path / name)
    for suffix in ("pth", "safetensors", "toml") if hasattr(os, "mkfifo") else ():
        os.mkfifo(tmp_path / f"pipe.{suffix}")
        (tmp_path / f"zero.{suffix}").symlink_to("/dev/zero")
        files |= dict.fromkeys((f"pipe.{suffix}", f"zero.{suffix}"))
    check_refused(files, tmp_path)
    assert not (tmp_path / "ran").exists()
