"""NPZ files: names and forms that people use, and what is refused before there is room for it."""

import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog import NeocogError
from neocog.data import load_data
from neocog.errors import DataError

RNG = np.random.default_rng(0)
# Of a machine that has other things to do, and of a folder that each example empties.
LOOSE = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
IMAGES = RNG.integers(0, 256, (40, 6, 5), np.uint8)
LABELS = np.arange(40) % 4


def save(folder: Path, **arrays) -> Path:
    np.savez_compressed(folder / "it.npz", **arrays)
    return folder / "it.npz"


def members(path: Path, contents: dict[str, bytes], packing=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as out:
        for name, content in contents.items():
            out.writestr(name, content)
    return path


def npy(array: np.ndarray, **more) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **more)
    return stream.getvalue()


def in_order(data, count: int) -> np.ndarray:
    """The images of a source without parts, as they were before the split."""
    assert len(data.validation) == 0
    order = np.argsort([str(n) for n in range(count)], kind="stable")
    back = np.argsort(order)
    return data.train.images[back]


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("X_train", "Y_train", "X_valid", "Y_valid", "X_test", "Y_test"),
        *[
            (
                "train_images",
                "train_labels",
                "val_images",
                "val_labels",
                "test_images",
                "test_labels",
            )
        ],
    ],
)
def test_parts_by_their_names(tmp_path, names):
    pieces = [IMAGES[:20], LABELS[:20], IMAGES[20:28], LABELS[20:28], IMAGES[28:], LABELS[28:]]
    data = load_data(save(tmp_path, **dict(zip(names, pieces, strict=True))))
    for part, images, labels in zip(data.parts.values(), pieces[::2], pieces[1::2], strict=True):
        assert np.array_equal(part.images, images[..., None])
        assert np.array_equal(part.labels, labels)
    assert (data.name, data.classes) == ("it", ("0", "1", "2", "3"))


@pytest.mark.parametrize("names", [("images", "labels"), ("X", "y")])
def test_images_without_parts_are_split(tmp_path, names):
    data = load_data(save(tmp_path, **dict(zip(names, (IMAGES, LABELS), strict=True))))
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 8, 0)
    assert np.bincount(data.validation.labels).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS[:, None].astype(np.uint8), "0123"),
        (np.eye(4)[LABELS], "0123"),
        (np.eye(4, dtype=bool)[LABELS], "0123"),
        (LABELS.astype(np.float32), "0123"),
        (LABELS.astype(">i2"), "0123"),
        (LABELS + 3, "3456"),
        (np.array(list("dacb"))[LABELS], "abcd"),
    ],
)
def test_labels_in_every_form(tmp_path, labels, classes):
    data = load_data(save(tmp_path, X=IMAGES, y=labels), validation=0)
    assert data.classes == tuple(classes)
    # By value or by name, so that "dacb" are the numbers 3, 0, 2 and 1.
    wanted = [[3, 0, 2, 1][n] for n in LABELS] if classes == "abcd" else LABELS
    order = np.argsort([str(n) for n in range(40)], kind="stable")
    assert np.array_equal(data.train.labels, np.array(wanted)[order])


def test_names_of_classes_may_be_there(tmp_path):
    names = np.array(["cat", "dog", "eel", "fox"])
    assert load_data(save(tmp_path, X=IMAGES, y=LABELS, class_names=names)).classes == tuple(names)
    with pytest.raises(DataError, match="has 3, but there are 3 classes, whose numbers are 0 to 2"):
        load_data(save(tmp_path, X=IMAGES, y=LABELS, class_names=names[:3]))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.dtype(">f4")])
def test_floats_from_0_to_1_are_bytes(tmp_path, kind):
    floats = (np.arange(256) / 255).reshape(1, 16, 16).repeat(2, 0).astype(kind)
    data = load_data(save(tmp_path, X=floats, y=[0, 1]), validation=0)
    tolerance = 0 if np.dtype(kind).itemsize > 2 else 1  # a half has 11 bits
    difference = data.train.images[0].reshape(-1).astype(int) - np.arange(256)
    assert abs(difference).max() <= tolerance


def test_channels_first_where_nothing_else_fits(tmp_path):
    images = RNG.integers(0, 256, (4, 3, 6, 5), np.uint8)
    data = load_data(save(tmp_path, X=images, y=np.zeros(4, int)), validation=0)
    assert np.array_equal(in_order(data, 4), images.transpose(0, 2, 3, 1))
    assert data.notes == ("x is read as [n, channels, height, width]: [4, 3, 6, 5].",)
    last = RNG.integers(0, 256, (4, 3, 6, 3), np.uint8)
    data = load_data(save(tmp_path, X=last, y=np.zeros(4, int)), validation=0)
    assert np.array_equal(in_order(data, 4), last)
    assert data.notes == ()


@settings(max_examples=30, deadline=None, suppress_health_check=LOOSE)
@given(
    *[st.integers(1, 6), st.integers(4, 40), st.integers(4, 40), st.sampled_from([0, 1, 3])],
    *[st.booleans(), st.booleans()],
)
def test_images_of_any_shape_and_order(tmp_path, count, height, width, channels, fortran, packed):
    shape = (count, height, width, channels) if channels else (count, height, width)
    images = RNG.integers(0, 256, shape, np.uint8)
    kept = np.asfortranarray(images) if fortran else images
    path = tmp_path / "it.npz"
    (np.savez_compressed if packed else np.savez)(path, images=kept, labels=np.zeros(count, int))
    data = load_data(path, size=(height, width), channels=channels or 1, validation=0)
    assert np.array_equal(in_order(data, count), images.reshape(*shape[:3], channels or 1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": IMAGES}, "it has x, but no array y. There are: x"),
        ({"foo": IMAGES, "bar": LABELS}, "no arrays x_train and .* There are: foo, bar"),
        (
            {"X": IMAGES[0], "y": LABELS},
            r"x must be images \[n, height, width\] or .*, not \[6, 5\]",
        ),
        ({"X": IMAGES[:, None, :, :, None], "y": LABELS}, r"not \[40, 1, 6, 5, 1\]"),
        ({"X": np.zeros((4, 7, 6, 5), np.uint8), "y": LABELS}, r"not \[4, 7, 6, 5\]"),
        (
            {"X": IMAGES.astype(int), "y": LABELS},
            r"floats from 0 to 1, not int64 .*astype\(np.uint8\)",
        ),
        ({"X": IMAGES / 1, "y": LABELS}, "floats from 0 to 1, or uint8; they go from 0 to 255"),
        ({"X": IMAGES / np.nan, "y": LABELS}, "floats from 0 to 1"),
        ({"X": IMAGES, "y": LABELS[:7]}, "y must be 40, one for each image; there are 7"),
        ({"X": IMAGES, "y": np.ones((40, 4))}, "a column for each class with one 1 in each row"),
        ({"X": IMAGES, "y": LABELS + 0.5}, "y must be whole numbers or names of classes"),
        ({"X": IMAGES, "y": LABELS + 1j}, "array y is no array of numbers or texts"),
        ({"X": np.zeros((0, 6, 5), np.uint8), "y": LABELS[:0]}, "has no pictures"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        load_data(save(tmp_path, **arrays))
    assert "\n" not in str(caught.value)
    assert "it.npz" in str(caught.value) or "it has no pictures" in str(caught.value)


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm",)


def test_objects_are_never_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harm = npy(np.array([Harm()], object), allow_pickle=True)
    for contents in ({"X.npy": harm}, {"X.npy": npy(IMAGES), "y.npy": harm}):
        with pytest.raises(DataError, match=r"no array of numbers or texts: {'descr': '|O'"):
            load_data(members(tmp_path / "it.npz", contents))
    with pytest.raises(DataError, match="array x is no NumPy array"):
        load_data(members(tmp_path / "it.npz", {"X.npy": pickle.dumps(Harm())}))
    assert not (tmp_path / "harm").exists()


def header(shape: str, descr="|u1", order="False") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("(99999999999999, 28, 28)") + bytes(10), "should have 78,399,999,999,999,"),
        (header("(2, 2, 2)"), "should have .* bytes and has"),
        (header("(2, 2, 2)") + bytes(9), "should have .* bytes and has"),
        (header("(2, -2, 2)"), "no array of numbers or texts"),
        (header("(2,) * 9**9"), "no array of numbers or texts"),
        (header("(" * 3000), "no array of numbers or texts"),
        (header(f"({'1, ' * 40})") + b"x", r"is an array \[1, 1, .* which is not read"),
        (header("(0,)", "<u3"), "numbers of the unknown kind <u3"),
        (header("(0,)", "<U0"), "is an array .* of <U0, which is not read"),
        (b"\x93NUMPY\x02\0" + b"\xff" * 4, "no array of numbers or texts"),
        (b"\x93NUMPI\1\0", "no NumPy array"),
        (b"\x93NUM", "ends too soon"),
        (b"", "ends too soon"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, content, message):
    path = members(tmp_path / "it.npz", {"X.npy": content, "y.npy": npy(LABELS)})
    with pytest.raises(DataError, match=message) as caught:
        load_data(path)
    assert len(str(caught.value)) < 500


def test_a_bomb_is_refused_before_there_is_room_for_it(tmp_path, monkeypatch):
    path = tmp_path / "it.npz"
    head = header("(64, 1024, 1024)")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        with out.open("X.npy", "w") as file:
            file.write(head)
            for _ in range(64):
                file.write(bytes(1 << 20))
        out.writestr("y.npy", npy(np.zeros(64, int)))
    assert path.stat().st_size < 200_000
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 10_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(NeocogError, match=r"An array of \[64, 1024, 1024\] needs 64.0 MiB"):
            load_data(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_zip_of_very_many_entries_is_refused(tmp_path):
    path = members(tmp_path / "it.npz", {f"{n}.npy": b"" for n in range(1_001)})
    with pytest.raises(DataError, match="it holds more than 1,000 arrays"):
        load_data(path)


def test_more_than_can_be_unpacked_is_refused_whatever_memory_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: None)
    path = members(tmp_path / "it.npz", {"X.npy": header("(1000, 2000, 2000)"), "y.npy": b""})
    content, size = path.read_bytes(), len(header("(1000, 2000, 2000)"))
    at = content.index(b"PK\x01\x02") + 24  # where the list has the size
    assert content[at : at + 4] == size.to_bytes(4, "little")
    path.write_bytes(content[:at] + (size + 4 * 10**9).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(DataError, match="its array x says that it unpacks to more than it can"):
        load_data(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_an_array_that_is_longer_than_its_entry_says(tmp_path, packing):
    array = header("(2, 2, 2)") + bytes(8)
    path = members(tmp_path / "it.npz", {"X.npy": array + b"more", "y.npy": b""}, packing)
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02") + 24
    path.write_bytes(content[:at] + len(array).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(DataError, match="its array x is longer than it says"):
        load_data(path)


def test_a_wrong_checksum_is_noticed(tmp_path):
    path = tmp_path / "it.npz"
    np.savez(path, X=IMAGES, y=LABELS)
    content = path.read_bytes()
    assert content.count(IMAGES.tobytes()) == 1
    path.write_bytes(content.replace(IMAGES.tobytes(), IMAGES[::-1].tobytes()))
    with pytest.raises(DataError, match="its array x is damaged: its checksum is another"):
        load_data(path)


@pytest.mark.parametrize("name", ["../X.npy", "/X.npy", "a/X.npy"])
def test_names_that_lead_elsewhere_are_other_arrays(tmp_path, name):
    path = members(tmp_path / "it.npz", {name: npy(IMAGES), "y.npy": npy(LABELS)})
    with pytest.raises(DataError, match="it has no arrays"):
        load_data(path)


def test_a_file_that_is_cut_or_changed_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: None)
    path = save(tmp_path, X=IMAGES[:3, :4, :4], y=LABELS[:3])
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), 2):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        for changed in (content[:at], bytes(flipped)):
            path.write_bytes(changed)
            try:
                load_data(path)
            except DataError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > len(content) / 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "it.npz")
    with pytest.raises(DataError, match="cannot be read: This is a pipe"):
        load_data(tmp_path / "it.npz")
