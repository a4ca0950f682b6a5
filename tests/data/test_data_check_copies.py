"""`neocog.check_data`: copies, near ones too, and which parts they lie in."""

import numpy as np
import pytest
from PIL import Image
from spoiled_pictures import save, scene

from neocog.data.check import check_data


def names(pictures):
    return [one.name for one in pictures]


def both(pairs):
    return [(pair.first.name, pair.second.name, pair.how) for pair in pairs]


def test_the_same_bytes_in_two_parts(folder):
    (folder / "test/ant/copy.png").write_bytes((folder / "train/ant/1.png").read_bytes())
    report = check_data(folder)
    assert both(report.leaks) == [("train/ant/1.png", "test/ant/copy.png", "bytes")]
    assert [(g.how, names(g.pictures)) for g in report.exact] == [
        ("bytes", ["train/ant/1.png", "test/ant/copy.png"])
    ]
    assert report.conflicts == () and not report.passes()


@pytest.mark.parametrize("ending", ["bmp", "webp", "tiff", "gray.png"])
def test_the_same_pixels_in_another_kind_of_file(folder, ending):
    picture = Image.open(folder / "train/ant/1.png").convert("L")
    save(picture, folder / "train/ant/gray.png")
    options = {"lossless": True} if ending == "webp" else {}
    save(picture.convert("RGB"), folder / "test/bee" / f"copy.{ending}", **options)
    report = check_data(folder)
    expected = ("train/ant/gray.png", f"test/bee/copy.{ending}", "pixels")
    assert both(report.leaks)[-1] == expected
    assert expected in both(report.conflicts)


def test_nearly_the_same_is_a_warning_unless_one_is_strict(folder):
    save(scene(1), folder / "test/ant/packed.jpg", quality=60)
    save(scene(2, (80, 60)), folder / "train/bee/larger.png")
    report = check_data(folder)
    assert both(report.leaks) == [("train/ant/1.png", "test/ant/packed.jpg", "near")]
    assert both(report.conflicts) == [("train/ant/2.png", "train/bee/larger.png", "near")]
    assert report.exact == ()
    assert sorted(names(group.pictures) for group in report.near) == [
        ["train/ant/1.png", "test/ant/packed.jpg"],
        ["train/ant/2.png", "train/bee/larger.png"],
    ]
    assert report.passes() and not report.passes(strict=True)


def test_a_held_out_copy_has_no_leak_into_the_training(folder):
    """It is the copy that leaks, and not what else is nearly the same in the part train."""
    (folder / "test/ant/copy.png").write_bytes((folder / "train/ant/1.png").read_bytes())
    save(scene(1), folder / "train/bee/packed.jpg", quality=60)
    report = check_data(folder)
    assert both(report.leaks) == [("train/ant/1.png", "test/ant/copy.png", "bytes")]
    assert both(report.conflicts) == [
        ("train/ant/1.png", "train/bee/packed.jpg", "near"),
    ]


def test_how_near_is_near(folder):
    """As many bits as the pair differs in are enough, and one fewer is not."""
    save(scene(1), folder / "test/bee/packed.jpg", quality=15)
    (leak,) = check_data(folder, near=10).leaks
    assert 0 < leak.bits <= 10
    assert len(check_data(folder, near=leak.bits).leaks) == 1
    assert check_data(folder, near=leak.bits - 1).leaks == ()


def test_the_same_shapes_in_other_colors_are_other_pictures(folder):
    """The hash knows no colors."""
    gray = np.asarray(scene(7).convert("L"), float)[..., None]
    for part, color in (("train", (1.0, 0.4, 0.1)), ("test", (0.1, 1.0, 0.4))):
        tinted = Image.fromarray((gray * color).astype(np.uint8))
        save(tinted, folder / part / "cow" / "shape.png")
    assert check_data(folder, near=10).leaks == ()


def test_pictures_of_one_color_are_not_each_others_copies(tmp_path):
    for n, color in enumerate(["black", "white", "red", "#808080", "#838383"]):
        save(Image.new("RGB", (20, 20), color), tmp_path / "flat" / f"{n}.png")
    save(Image.new("RGB", (20, 20), "red"), tmp_path / "flat" / "red.bmp")
    for n in range(3):
        save(scene(n), tmp_path / "scene" / f"{n}.png")
    report = check_data(tmp_path, validation=0)
    assert sorted(names(report.one_color)) == [
        *(f"flat/{n}.png" for n in range(5)),
        "flat/red.bmp",
    ]
    assert report.near == ()
    assert [names(group.pictures) for group in report.exact] == [["flat/2.png", "flat/red.bmp"]]
