"""`Data` of what a program has in its hands: arrays, files with labels, pairs, other data."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog import Data, Dataset, NeocogError, Resize, load_data
from neocog.data.picture import read_picture
from neocog.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 2


def together(data: Data) -> dict[bytes, int]:
    """The labels of all images, by their pixels."""
    return {
        image.tobytes(): int(label)
        for part in data.parts.values()
        for image, label in zip(part.images, part.labels, strict=True)
    }


WANTED = {image.tobytes(): int(label) for image, label in zip(IMAGES, LABELS, strict=True)}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def files(tmp_path) -> list[Path]:
    paths = [tmp_path / f"{n}.png" for n in range(20)]
    for path, pixels in zip(paths, IMAGES, strict=True):
        path.write_bytes(png(pixels))
    return paths


# Arrays


def test_arrays_are_split_and_keep_their_pixels():
    data = Data.from_arrays(IMAGES, LABELS)
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 0)
    assert np.bincount(data.validation.labels).tolist() == [2, 2]
    assert together(data) == WANTED
    assert (data.classes, data.source, data.options) == (("0", "1"), "", {})
    assert load_data((IMAGES, LABELS)).fingerprint == data.fingerprint
    assert load_data(Dataset(IMAGES, LABELS)).fingerprint == data.fingerprint
    other = Data.from_arrays(IMAGES, LABELS, split_seed=1)
    assert together(other) == WANTED
    assert other.fingerprint != data.fingerprint


def test_with_a_test_nothing_is_split_nor_copied():
    data = Data.from_arrays(IMAGES[:12], LABELS[:12], test=(IMAGES[12:], LABELS[12:]))
    assert np.shares_memory(data.train.images, IMAGES)
    assert np.array_equal(data.train.images, IMAGES[:12])
    assert np.array_equal(data.test.labels, LABELS[12:])
    assert len(data.validation) == 0
    held = Data.from_arrays(IMAGES[:12], LABELS[:12], validation=Dataset(IMAGES[12:], LABELS[12:]))
    assert np.array_equal(held.validation.images, IMAGES[12:])
    assert len(held.train) == 12


@pytest.mark.parametrize("kind", ["array", "tensor", "list of arrays", "list of Pillow's", "lists"])
def test_images_of_every_kind(kind):
    images = IMAGES
    if kind == "tensor":
        images = pytest.importorskip("torch").from_numpy(IMAGES)
    elif kind == "list of arrays":
        images = list(IMAGES)
    elif kind == "list of Pillow's":
        images = [Image.fromarray(one) for one in IMAGES]
    elif kind == "lists":
        images = IMAGES.tolist()
    assert together(Data.from_arrays(images, LABELS.tolist())) == WANTED


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 5),
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([1, 3]),
    st.booleans(),
)
def test_channels_first_and_floats(count, height, width, channels, floats):
    images = RNG.integers(0, 256, (count, height, width, channels), np.uint8)
    given_ = images.transpose(0, 3, 1, 2)
    if floats:
        given_ = given_ / np.float32(255)
    data = Data.from_arrays(given_, range(count), layout="NCHW", validation=0)
    back = np.argsort(data.train.labels)  # one class each
    assert np.array_equal(data.train.images[back], images)


def test_gray_images_need_no_channels():
    gray = IMAGES[..., 0]
    assert Data.from_arrays(gray, LABELS).train.images.shape[1:] == (6, 5, 1)
    assert Data.from_arrays(gray, LABELS, layout="NCHW").train.images.shape[1:] == (6, 5, 1)


def test_images_keep_their_size_unless_another_is_asked_for():
    large = RNG.integers(0, 256, (4, 150, 120, 3), np.uint8)
    assert Data.from_arrays(large, [0, 0, 1, 1]).train.images.shape[1:] == (150, 120, 3)
    small = Data.from_arrays(large, [0, 1, 2, 3], size=(30, 24), channels=1, resize=Resize())
    assert small.train.images.shape == (4, 30, 24, 1)
    wanted = read_picture(png(large[2]), (1, 30, 24), Resize())
    assert np.array_equal(small.train.images[small.train.labels == 2][0], wanted)
    five = RNG.integers(0, 256, (4, 8, 8, 5), np.uint8)
    assert Data.from_arrays(five, [0, 1, 2, 3]).train.images.shape == (4, 8, 8, 5)


def test_images_of_several_sizes_are_made_one():
    images = [np.full((8 + n, 10, 3), 10 * n, np.uint8) for n in range(6)]
    data = Data.from_arrays(images, [0, 1] * 3, size=8)
    assert data.train.images.shape[1:] == (8, 8, 3)
    assert sorted(set(data.train.images.ravel()) | set(data.validation.images.ravel())) == [
        10 * n for n in range(6)
    ]


def test_classes_name_numbers_or_choose_among_names():
    data = Data.from_arrays(IMAGES, LABELS, classes=["cat", "dog", "eel"])
    assert data.classes == ("cat", "dog", "eel")
    assert together(data) == WANTED
    names = np.array(["dog", "cat"])[LABELS]
    data = Data.from_arrays(IMAGES, names)
    assert data.classes == ("cat", "dog")
    assert together(data) == {pixels: 1 - label for pixels, label in WANTED.items()}
    assert together(Data.from_arrays(IMAGES, list(names), classes=["dog", "cat"])) == WANTED
    only = Data.from_arrays(IMAGES, names, classes=["cat"])
    assert (only.classes, len(together(only))) == (("cat",), 10)
    with pytest.raises(DataError, match=r"no class 'car'.* Did you mean 'cat'\?"):
        Data.from_arrays(IMAGES, names, classes=["car"])


def test_labels_with_gaps_are_the_classes_that_there_are():
    data = Data.from_arrays(IMAGES, LABELS * 7 - 1)
    assert data.classes == ("-1", "6")
    assert together(data) == WANTED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES.astype(int), LABELS), r"images must be uint8.* not int64"),
        ((IMAGES / 1.0, LABELS), "from 0 to 1, or uint8; they go from 0 to 255"),
        ((IMAGES[0, :, :, 0], LABELS), r"images must be NHWC, .* not \[6, 5\]"),
        ((IMAGES, LABELS[:3]), "labels must be 20, one for each image; there are 3"),
        ((IMAGES, ["a"] * 19 + [3]), "labels must be a number or a name of a class for each"),
        ((IMAGES, [None] * 20), "labels must be a number or a name"),
        (([], []), r"images must be NHWC"),
        ((["a.png"], ["a"]), "can be read: a.png"),
        ((IMAGES, ["a\nb", "c"] * 10), "The name of class 0, .* has a line break"),
    ],
)
def test_arrays_that_cannot_be(arguments, message):
    with pytest.raises(DataError, match=message):
        Data.from_arrays(*arguments)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"layout": "nhwc"}, r"layout \(='nhwc'\) must be 'NHWC' or 'NCHW'"),
        ({"test": 3}, r"test \(=3\) must be a tuple \(images, labels\)"),
        ({"validation": 1.0}, r"validation \(=1.0\) must be a number from 0 to below 1"),
        ({"validation": (IMAGES,)}, r"validation .* must be a tuple \(images, labels\)"),
        ({"test": (IMAGES, list("ab") * 10)}, "names of classes in all parts, or numbers in all"),
        ({"test": (IMAGES, LABELS + 1)}, "the part test has pictures of classes that"),
        ({"classes": ["a"]}, "labels has 1, but there are 1 classes"),
        ({"classes": 3}, "classes"),
    ],
)
def test_settings_that_cannot_be(more, message):
    with pytest.raises(NeocogError, match=message):
        Data.from_arrays(IMAGES, LABELS, **more)


# Files


def test_files_with_labels(files):
    data = Data.from_files(files, LABELS)
    assert together(data) == WANTED
    assert set(data.train.names) <= set(map(str, files))
    for same in (
        Data.from_files(map(str, files), list(LABELS)),
        load_data((files, LABELS)),
        load_data([(file, int(label)) for file, label in zip(files, LABELS, strict=True)]),
    ):
        assert same.fingerprint == data.fingerprint


def test_files_that_are_not_there_are_all_named(files):
    for gone in (files[2], files[7]):
        gone.unlink()
    with pytest.raises(DataError, match="2 of 20 pictures cannot be read") as caught:
        Data.from_files(files, LABELS)
    assert all(str(gone) in str(caught.value) for gone in (files[2], files[7]))
    with pytest.raises(DataError, match="must be a list of paths"):
        Data.from_files("a.png", ["a"])
    with pytest.raises(DataError, match=r"files\[0\] \(=3\) must be the path"):
        Data.from_files([3], ["a"])


def test_folders_and_tables(tmp_path, files):
    for file, label in zip(files, LABELS, strict=True):
        folder = tmp_path / "mine" / "ab"[label]
        folder.mkdir(parents=True, exist_ok=True)
        file.rename(folder / file.name)
    data = Data.from_folder(tmp_path / "mine", validation=0.5)
    assert (data.classes, len(data.validation)) == (("a", "b"), 10)
    assert data.options == {"validation": 0.5}
    assert load_data(data.source, **data.options).fingerprint == data.fingerprint
    with pytest.raises(DataError, match="is a folder: name the table"):
        Data.from_table(tmp_path / "mine")
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataError, match="x is no folder"):
        Data.from_folder(tmp_path / "x")
    with pytest.raises(DataError, match="There is no file or folder"):
        Data.from_table(tmp_path / "nowhere")


# Pairs


def test_pictures_of_every_kind_among_pairs(files):
    torch = pytest.importorskip("torch")
    kinds = itertools.cycle(
        [
            lambda n: files[n],
            lambda n: files[n].read_bytes(),
            lambda n: Image.open(files[n]),
            lambda n: IMAGES[n],
            lambda n: torch.from_numpy(IMAGES[n]) / 255,
        ]
    )
    labels = [torch.tensor(label) if label else np.int32(label) for label in LABELS]
    pairs = ((next(kinds)(n), labels[n]) for n in range(20))
    assert together(Data.from_iterable(pairs)) == WANTED


def test_a_picture_of_pillows_is_read_as_its_file_is(tmp_path):
    pixels = RNG.integers(0, 256, (8, 6, 4), np.uint8)
    palette = Image.fromarray(pixels[:, :, :3]).quantize(5)
    gray = Image.fromarray((pixels[:, :, 0].astype(np.uint16) << 8) + 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    for n, (image, settings_) in enumerate(
        [
            (Image.fromarray(pixels), {}),
            (palette, {"transparency": 2}),
            (gray, {}),
            (Image.fromarray(pixels[:, :, :3]), {"exif": exif}),
        ]
    ):
        path = tmp_path / f"{n}.png"
        image.save(path, **settings_)
        by_path, opened = (
            Data.from_iterable([(one, "a")], validation=0).train.images
            for one in (path, Image.open(path))
        )
        assert np.array_equal(by_path, opened)


def test_any_object_with_items_is_gone_through():
    class Pairs:
        def __getitem__(self, n):
            if n == 20:
                raise IndexError
            return IMAGES[n], ("even", "odd")[n % 2]

    data = Data.from_iterable(Pairs())
    assert data.classes == ("even", "odd")
    assert together(data) == WANTED


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (3, r"pairs \(=3\) must be pairs"),
        ([], "There are no pictures"),
        ([1], r"pairs\[0\] \(=1\) must be a pair of a picture and its label"),
        ([("a.png", 1), ("b.png",)], r"pairs\[1\] .* must be a pair"),
        ([(None, 1)], r"pairs\[0\]\[0\] \(=None\) must be the path of a picture"),
        ([(IMAGES, 1)], r"pairs\[0\]\[0\] must be one picture \[height, width, channels\]"),
        ([(IMAGES[0], 1.5)], r"pairs\[0\]\[1\] \(=1.5\) must be the number or the name of a class"),
        ([(IMAGES[0], np.arange(2))], r"pairs\[0\]\[1\] .* must be the number or the name"),
        ([(b"no picture", 1)], "can be read"),
    ],
)
def test_pairs_that_cannot_be(pairs, message):
    with pytest.raises(DataError, match=message):
        Data.from_iterable(pairs)


def test_pairs_without_end_end_where_memory_does(monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 1 << 20)
    endless = ((np.zeros((512, 512, 3), np.uint8), 0) for _ in itertools.count())
    with pytest.raises(NeocogError, match=r"86 pictures and more needs 64\.0 MiB"):
        Data.from_iterable(endless)


# Data that are there already


def test_data_are_taken_as_they_are_or_changed():
    data = Data.from_arrays(IMAGES, LABELS, classes=["a", "b"])
    assert load_data(data) is data
    small = load_data(data, size=4, channels=1, classes=["b"])
    assert (small.classes, small.train.images.shape) == (("b",), (8, 4, 4, 1))
    assert len(small.validation) == 2
    with pytest.raises(DataError, match="validation says how data are found and split"):
        load_data(data, validation=0.5)


@pytest.mark.parametrize("other", [3, None, {}, (IMAGES,), iter([1]), b"shapes", IMAGES])
def test_other_things_are_no_data(other):
    with pytest.raises(DataError, match=r"The data's name or path \(=.*must be data: a name, the"):
        load_data(other)
