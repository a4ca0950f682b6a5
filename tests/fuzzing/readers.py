"""The readers of files that are fuzzed, each with good files to begin with."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

__all__ = ["READERS", "Reader", "settle"]

SHAPE = (1, 8, 8)


@dataclass(frozen=True)
class Reader:
    """One of the readers.

    Attributes:
        load: imports the reader and returns it: a function of a path.
        seeds: contents of good files.
    """

    load: Callable[[], Callable[[Path], Any]]
    seeds: Callable[[], list[bytes]]


def settle(reader: Reader, content: bytes, path: Path) -> bool:
    """Read a file of this content; whether it is one. All but a NeocogError is passed on."""
    from neocog.errors import NeocogError, is_plain

    path.write_bytes(content)
    try:
        reader.load()(path)
    except NeocogError as error:
        assert is_plain(str(error).replace("\n", " ")), repr(str(error))
        return False
    return True


def _network() -> Any:
    """A small network with several kinds of layers and of weights."""
    from neocog.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual
    from neocog.network import Network

    network = Network(
        input_shape=SHAPE, conv=Conv2d(1, 2, 3), norm=BatchNorm2d(2), relu=ReLU(),
        block=Residual(Conv2d(2, 2, 1)), pool=MaxPool2d(2), flatten=Flatten(), fc=Linear(18, 2),
    )  # fmt: skip
    network.initialize(0)
    return network


def _saved(name: str) -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        _network().save(path)
        return [path.read_bytes()]


def _onnx() -> Callable[[Path], Any]:
    from neocog.formats.onnx.reading.reader import read_onnx

    return read_onnx


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    head = bytes([number << 3 | 2])
    size = len(value)
    return head + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + value


def _node(operator: str, inputs: str, output: str, *attributes: bytes) -> bytes:
    named = b"".join(_field(1, one.encode()) for one in inputs.split())
    rest = b"".join(_field(5, one) for one in attributes)
    return named + _field(2, output.encode()) + _field(4, operator.encode()) + rest


def _onnx_files() -> list[bytes]:
    """Files as any exporter writes them; one of neocog's where the package is installed."""
    weight = struct.pack("<8f", *range(8))
    tensor = (
        _field(1, 2) + _field(1, 4) + _field(2, 1) + _field(8, b"fc.weight") + _field(9, weight)
    )
    image = b"".join(_field(1, _field(1, size)) for size in (1, *SHAPE))
    value = _field(1, b"x") + _field(2, _field(1, _field(1, 1) + _field(2, image)))
    pool = _field(1, b"kernel_shape") + _field(8, 4) + _field(8, 4)
    strides = _field(1, b"strides") + _field(8, 4) + _field(8, 4)
    nodes = [
        _node("MaxPool", "x", "a", pool, strides), _node("Sigmoid", "a", "b"),
        _node("Mul", "a b", "c"), _node("Shape", "c", "d"), _node("Flatten", "c", "e"),
        _node("Gemm", "e fc.weight", "y", _field(1, b"transB") + _field(3, 1)),
    ]  # fmt: skip
    graph = b"".join(_field(1, one) for one in nodes)
    graph += _field(5, tensor) + _field(11, value) + _field(12, _field(1, b"y"))
    files = [_field(1, 8) + _field(7, graph) + _field(8, _field(2, 17))]
    try:
        from neocog.formats.onnx.writing.writer import make_onnx
    except ImportError:
        return files
    return [*files, make_onnx(_network().parts()).SerializeToString()]


def _pth() -> Callable[[Path], Any]:
    from neocog.formats.pth import load_pth

    return load_pth


def _model_file() -> Callable[[Path], Any]:
    from neocog.formats.model_file import read_model

    return read_model


def _checkpoint() -> Callable[[Path], Any]:
    from neocog.formats.checkpoint import read_checkpoint

    return read_checkpoint


def _checkpoints() -> list[bytes]:
    import numpy as np

    from neocog.formats.checkpoint import Checkpoint, write_checkpoint

    with TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(True)}
        write_checkpoint(path, Checkpoint(arrays, {"epoch": 3, "loss": float("nan")}))
        return [path.read_bytes()]


def _picture() -> Callable[[Path], Any]:
    from neocog.data.picture import read_picture

    return lambda path: read_picture(path, (3, 8, 8))


def _pictures() -> list[bytes]:
    picture = Image.linear_gradient("L").resize((12, 10)).convert("RGB")
    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


READERS = {
    "onnx": Reader(_onnx, _onnx_files),
    "pth": Reader(_pth, lambda: _saved("net.pth")),
    "safetensors": Reader(_model_file, lambda: _saved("net.safetensors")),
    "checkpoint": Reader(_checkpoint, _checkpoints),
    "picture": Reader(_picture, _pictures),
}
