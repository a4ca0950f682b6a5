"""`neocog.check_data`: what it finds in folders that were spoiled on purpose, and what not."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from spoiled_pictures import save, scene

import neocog
from neocog import DataError, NeocogError
from neocog.data.check import check_data
from neocog.data.check.looking import LARGEST_SIDE, look
from neocog.data.dataset import Data
from neocog.data.images import Dataset
from neocog.data.picture import read_picture


def test_nothing_wrong(folder):
    report = check_data(folder)
    assert report.passes() and report.passes(strict=True)
    assert report.count == 21
    assert report.classes == ("ant", "bee", "cow")
    assert report.balance.counts == {
        "train": {"ant": 5, "bee": 5, "cow": 5},
        "test": {"ant": 2, "bee": 2, "cow": 2},
    }
    for found in ("broken", "wrong_endings", "one_color", "exact", "near", "leaks", "conflicts"):
        assert getattr(report, found) == ()
    assert report.complete
    name = folder.name
    assert repr(report) == f"<Report on {name!r}: 21 pictures in 3 classes; nothing found>"


def test_broken_pictures_are_named_with_the_reason(folder):
    whole = (folder / "train/ant/0.png").read_bytes()
    (folder / "train/ant/cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "train/bee/empty.jpg").write_bytes(b"")
    (folder / "test/cow/text.gif").write_text("no picture")
    data = io.BytesIO()
    scene(99, (300, 300)).save(data, "JPEG")
    (folder / "train/cow/cut.jpg").write_bytes(data.getvalue()[:-500])
    report = check_data(folder)
    reasons = {one.picture.name: one.reason for one in report.broken}
    assert sorted(reasons) == [
        "test/cow/text.gif",
        "train/ant/cut.png",
        "train/bee/empty.jpg",
        "train/cow/cut.jpg",
    ]
    assert "truncated" in reasons["train/cow/cut.jpg"]
    assert reasons["train/bee/empty.jpg"].startswith("is not an image that Pillow knows")
    assert all(one.picture.label == one.picture.name.split("/")[1] for one in report.broken)
    assert not report.passes()
    assert report.count == 25
    assert sum(report.formats.values()) == 21


def test_none_can_be_read(tmp_path):
    (tmp_path / "a").mkdir()
    for n in range(3):
        (tmp_path / "a" / f"{n}.png").write_bytes(b"nothing %d" % n)
    report = check_data(tmp_path)
    assert len(report.broken) == 3 and report.sizes is None
    assert json.loads(json.dumps(report.to_dict()))["sizes"] is None


def test_a_bomb_is_refused_by_its_header(folder):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    (folder / "train/ant/bomb.png").write_bytes(bomb + chunk(b"IEND", b""))
    (broken,) = check_data(folder).broken
    assert broken.picture.name == "train/ant/bomb.png"
    assert broken.reason.startswith("is 50000 × 50000 pixels")


def test_a_source_without_parts_is_looked_at_as_training_parts_it(tmp_path):
    for n in range(10):
        save(scene(n), tmp_path / "a" / f"{n}.png")
        save(scene(n + 50), tmp_path / "b" / f"{n}.png")
        # The same pixels in other bytes, which the split does not keep together.
        save(scene(n), tmp_path / "a" / f"{n}.bmp")
    report = check_data(tmp_path, validation=0.3, split_seed=5)
    assert report.balance.counts == {
        "train": {"a": 14, "b": 7},
        "validation": {"a": 6, "b": 3},
    }
    assert "30 % of each class for validation (seed 5)" in report.notes[-1]
    data = neocog.load_data(tmp_path, validation=0.3, split_seed=5)
    held_out = {name.split(".")[0] for name in data.validation.names if name.endswith("png")}
    held_out ^= {name.split(".")[0] for name in data.validation.names if name.endswith("bmp")}
    crossing = {name for name in held_out if name.startswith("a")}
    assert crossing
    assert {pair.first.name.split(".")[0] for pair in report.leaks} == crossing
    report = check_data(tmp_path, validation=0)
    assert report.leaks == () and report.balance.missing == {}
    assert report.balance.counts == {"train": {"a": 20, "b": 10}}


def test_balance(tmp_path):
    counts = {"many": 60, "some": 24, "few": 3}
    for label, count in counts.items():
        for n in range(count):
            save(
                Image.new("L", (1, 1 + n), len(label) * n), tmp_path / "train" / label / f"{n}.png"
            )
    save(scene(0), tmp_path / "test" / "many" / "0.png")
    balance = check_data(tmp_path).balance
    assert (balance.largest, balance.smallest) == (("many", 60), ("few", 3))
    assert balance.ratio == 20 and balance.uneven
    assert balance.majority == pytest.approx(60 / 87)
    assert balance.tiny == ("few",) and balance.empty == ()
    assert balance.missing == {"test": ("few", "some")}


def test_one_picture_and_one_class(tmp_path):
    save(scene(0), tmp_path / "only" / "one.png")
    report = check_data(tmp_path)
    assert report.count == 1 and report.passes(strict=True)
    assert report.balance.ratio == 1 and not report.balance.uneven


def test_sizes_modes_kinds_and_turned_pictures(tmp_path):
    at = tmp_path / "a"
    save(scene(0, (10, 20)), at / "rgb.png")
    save(scene(1, (30, 10)).convert("L"), at / "gray.jpg")
    save(scene(2, (8, 8)).convert("RGBA"), at / "alpha.png")
    save(scene(3, (8, 8)).convert("P"), at / "palette.gif")
    save(scene(4, (8, 8)).convert("CMYK"), at / "print.jpg")
    save(scene(5, (8, 8)).convert("LA"), at / "la.png")
    save(scene(6, (8, 8)).convert("1"), at / "bits.png")
    save(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 900), at / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    save(scene(7, (50, 40)), at / "turned.jpg", exif=exif)
    (at / "rgb16.png").write_bytes(png_of_16_bits())
    report = check_data(tmp_path)
    assert report.broken == ()
    assert report.modes == {
        "RGB": 2,
        "gray": 1,
        "RGB + alpha": 1,
        "palette": 1,
        "CMYK": 1,
        "gray + alpha": 1,
        "black and white": 1,
        "16-bit gray": 1,
        "16-bit RGB": 1,
    }
    assert report.formats == {"PNG": 6, "JPEG": 3, "GIF": 1}
    assert report.turned == 1
    sizes = report.sizes
    assert (sizes.smallest, sizes.largest, sizes.different) == ((2, 1), (40, 50), 5)
    assert sizes.most_frequent[0] == ((8, 8), 6)
    assert (sizes.landscape, sizes.portrait, sizes.square) == (2, 2, 6)
    assert sizes.aspects == (0.5, 1.0, 3.0)
    assert sizes.median == (8.0, 8.0)


def png_of_16_bits():
    """2 × 1 pixels of 16 bits a channel, which Pillow cannot write."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"\0" + struct.pack(">6H", 65535, 0, 300, 20_000, 40_000, 7)
    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_endings_that_say_another_kind(folder):
    (folder / "train/ant/0.png").rename(folder / "train/ant/0.JPEG")
    save(scene(90), folder / "train/ant/fine.JPG", format="JPEG")
    (wrong,) = check_data(folder).wrong_endings
    assert (wrong.picture.name, wrong.says, wrong.is_) == ("train/ant/0.JPEG", "JPEG", "PNG")


def test_what_was_passed_over(folder):
    (folder / "train/ant/.hidden.png").write_bytes(b"")
    (folder / "train/ant/notes.txt").write_text("")
    notes = " ".join(check_data(folder).notes)
    assert "hidden" in notes and ".txt (1)" in notes


def test_any_number_of_threads_finds_the_same(folder):
    save(scene(1), folder / "test/ant/packed.jpg", quality=60)
    (folder / "train/cow/bad.png").write_bytes(b"bad")
    found = [check_data(folder, threads=threads).to_dict() for threads in (1, 2, 7)]
    assert found[0] == found[1] == found[2]


def test_progress(folder):
    told = []
    check_data(folder, progress=lambda *told_: told.append(told_))
    assert ("checking", 21, 21) in told


def test_images_in_memory():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 3), np.uint8)
    data = Data(
        "mine",
        Dataset(images[:8], np.arange(8) % 2),
        Dataset(np.concatenate([images[3:4], images[8:]]), np.array([1, 0, 1, 0, 1])),
        ("no", "yes"),
    )
    report = check_data(data)
    assert [(p.first.name, p.second.name) for p in report.leaks] == [("3", "0")]
    assert report.formats == {"pixels": 13}
    assert report.wrong_endings == ()


def test_data_with_a_name(monkeypatch):
    small = Data("shapes", Dataset(np.zeros((2, 4, 4, 3), np.uint8), [0, 1]), _none(), ("a", "b"))
    monkeypatch.setattr("neocog.data.check.load_data", lambda name, progress: small)
    assert check_data("shapes").count == 2


def _none():
    return Dataset(np.empty((0, 4, 4, 3), np.uint8), np.empty(0, np.int64))


def test_no_such_place(tmp_path):
    with pytest.raises(DataError, match="There is no file or folder"):
        check_data(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no pictures"):
        check_data(tmp_path / "empty")
    with pytest.raises(DataError, match="has no pictures"):
        check_data(Data("none", _none(), _none(), ("a",)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("near", 11), ("near", -1), ("near", 2.5), ("validation", 1.5), ("split_seed", -1)],
)
def test_arguments_that_cannot_be(folder, name, value):
    with pytest.raises(DataError, match=name):
        check_data(folder, **{name: value})


def test_too_little_memory(folder, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 21 * 500)
    with pytest.raises(NeocogError, match="Checking 21 pictures needs"):
        check_data(folder)


def test_large_pictures_are_compared_scaled_down():
    """So no more memory is taken than training takes."""
    large = np.zeros((2 * LARGEST_SIDE, 10, 3), np.uint8)
    large[::2] = 255
    seen = look(large)
    assert seen.head.size == (10, 2 * LARGEST_SIDE)
    assert seen.thumbnail.mean() == pytest.approx(127.5, abs=1)
    assert look(large).pixels == seen.pixels != look(255 - large // 2).pixels


def test_what_trains_is_not_broken(monkeypatch):
    """Also where the memory would not do for the size in which pictures are compared."""
    data = io.BytesIO()
    Image.new("L", (2000, 1500), 90).save(data, "PNG")
    # Decoding takes 3 MB, scaling to 1024 columns 6 MB more, and to 32 columns 0.2 MB.
    monkeypatch.setattr("neocog.data.picture_kinds._ANY", 5_000_000)
    monkeypatch.setattr("neocog.data.picture_kinds._NONE", 5_000_000)
    assert np.all(look(data.getvalue()).thumbnail == 90)
    with pytest.raises(DataError, match="whose decoding takes"):
        read_picture(data.getvalue(), (3, 768, 1024))


def test_to_dict_has_everything_as_plain_data(folder):
    save(scene(1), folder / "test/ant/packed.jpg", quality=60)
    (folder / "train/cow/bad.png").write_bytes(b"bad")
    found = json.loads(json.dumps(check_data(folder).to_dict()))
    assert found["passes"] is False
    assert found["broken"] == [
        {
            "name": "train/cow/bad.png",
            "part": "train",
            "class": "cow",
            "reason": "is not an image that Pillow knows.",
        }
    ]
    (leak,) = found["leaks"]
    assert leak["first"] == {"name": "train/ant/1.png", "part": "train", "class": "ant"}
    assert leak["how"] == "near" and leak["bits"] <= 6
    assert found["parts"]["train"] == {"ant": 5, "bee": 5, "cow": 6}
