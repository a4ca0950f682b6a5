"""`neocog data check`: what it prints, its exit codes, and its page as text."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.cli import main
from neocog.cli.data import report_lines
from neocog.data.check import check_data
from neocog.data.check.page import page
from neocog.data.dataset import Data
from neocog.data.images import Dataset


def scene(seed, size=(40, 30)):
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)


@pytest.fixture
def fine(tmp_path):
    for n in range(24):
        save(scene(n), tmp_path / "train" / ("ant", "bee")[n % 2] / f"{n}.png")
        save(scene(n + 50), tmp_path / "test" / ("ant", "bee")[n % 2] / f"{n}.png")
    return tmp_path


def run(capsys, *arguments):
    code = main(["data", "check", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_fine_pictures(fine, capsys):
    code, out, err = run(capsys, fine)
    assert (code, err) == (0, "")
    assert out == (
        f"{fine.name}: 48 pictures in 2 classes (class folders)\n"
        "\n"
        "class  train  test\n"
        "ant       12    12\n"
        "bee       12    12\n"
        "all       24    24\n"
        "\n"
        "size:     40 × 30, all of them\n"
        "pixels:   RGB (48)\n"
        "files:    PNG (48)\n"
        "\n"
        "Fewer than 20 pictures to train on: ant, bee.\n"
        "\n"
        "Nothing is broken, in two parts or under two labels.\n"
    )


def spoil(folder):
    (folder / "train/ant/cut.png").write_bytes((folder / "train/ant/0.png").read_bytes()[:100])
    (folder / "test/ant/copy.png").write_bytes((folder / "train/ant/2.png").read_bytes())
    (folder / "train/bee/copy.png").write_bytes((folder / "train/ant/4.png").read_bytes())


def test_what_is_wrong(fine, capsys):
    spoil(fine)
    code, out, _err = run(capsys, fine)
    assert code == 1
    assert "1 cannot be read\n  train/ant/cut.png\n    cannot be decoded: " in out
    assert (
        "1 in two parts\n  train/ant/2.png\n  = test/ant/copy.png  same bytes\n\n"
        "1 under two labels\n  train/ant/4.png\n  = train/bee/copy.png  same bytes\n" in out
    )
    assert "2 groups of copies\n  train/ant/2.png, test/ant/copy.png (same bytes)\n" in out
    assert out.endswith(
        "\nNot fit to train on: see what is broken, in two parts or under two labels.\n"
    )


@pytest.mark.parametrize(("options", "expected"), [((), 0), (("--strict",), 1)])
def test_nearly_the_same_is_an_error_if_one_is_strict(fine, capsys, options, expected):
    save(scene(1), fine / "test" / "bee" / "packed.jpg", quality=60)
    code, out, _err = run(capsys, fine, *options)
    assert code == expected
    assert re.search(
        r"1 in two parts, nearly the same\n  train/bee/1.png\n  = test/bee/packed.jpg  \d of 64",
        out,
    )
    assert "an error with --strict" in out


def test_json_has_everything(fine, capsys):
    spoil(fine)
    code, out, _err = run(capsys, fine, "--json")
    assert code == 1
    assert json.loads(out) == json.loads(json.dumps(check_data(fine).to_dict()))


def test_options_reach_the_check(tmp_path, capsys):
    for n in range(10):
        save(scene(n), tmp_path / "a" / f"{n}.png")
    options = ("--validation", 0.5, "--split-seed", 3, "--near", 2, "--threads", 1)
    _code, out, _err = run(capsys, tmp_path, *options)
    assert "50 % of each class for validation (seed 3)" in " ".join(out.split())
    assert re.search(r"^all +5 +5$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("gone",), 1, "neocog: There is no file or folder gone."),
        ((".", "--near", "99"), 1, "neocog: near (=99) must be"),
        (
            (".", "--nerr", "9"),
            2,
            "unknown option '--nerr'. Did you mean '--near'? See neocog data",
        ),
        ((), 2, "the following arguments are required: SOURCE"),
    ],
)
def test_errors(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    assert message in err and "Traceback" not in err


def test_data_alone_shows_what_there_is(capsys):
    assert main(["data"]) == 0
    assert "check" in capsys.readouterr().out
    assert main(["data", "chekc"]) == 2
    assert "Did you mean 'check'?" in capsys.readouterr().err


def test_lines_are_of_80_columns(tmp_path, capsys):
    """Whatever there is, but for words that are longer."""
    deep = "a/very/deep/folder/with/a/name/that/is/long/"
    for n in range(25):
        place = tmp_path / "train" / f"class {n}" / deep
        save(scene(n, (20 + n, 30)), place / f"{'x' * 60}{n}.png")
        save(scene(n, (20 + n, 30)), place / f"{'x' * 60}{n}b.bmp")
        save(scene(n, (20 + n, 30)), tmp_path / "test" / f"class {n + 1}" / f"{n}.jpg", quality=70)
        save(scene(n + 50), tmp_path / "train" / "class 25" / f"{n}.png")
        (place / f"{'y' * 90}{n}.png").write_bytes(b"no picture")
    _code, out, _err = run(capsys, tmp_path, "--near", 10)
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert "and 15 more (--html FILE shows them, --json has all)" in out


def test_images_in_memory_are_named_by_part_and_number():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    train, test = Dataset(images[:3], [0, 0, 1]), Dataset(images[2:], [1, 0])
    lines = list(report_lines(check_data(Data("mine", train, test, ("a", "b")))))
    assert lines[0] == "mine: 5 pictures in 2 classes (arrays)"
    assert "  train 2, test 0 (same bytes)" in lines
    assert "  2 (train, b)" in lines and "  = 0 (test, b)  same bytes" in lines
    assert not any(line.startswith("files:") for line in lines)


NASTY = "<img src=x onerror=alert(1)>\x1b[2J\n\u202egnp.&\"'"
CLASS = "<b>bold&'\""


def nasty_folder(root):
    """Names that a terminal or a browser would take for orders, and one that is not UTF-8."""
    save(scene(0), root / CLASS / "0.png")
    save(scene(0), root / CLASS / f"{NASTY}.png")
    Path(os.fsdecode(os.fsencode(root / CLASS) + b"/\xff.png")).write_bytes(b"not a picture")
    save(scene(5), root / "other" / "1.png")
    return root


def test_names_that_are_orders_are_shown_and_not_followed(tmp_path, capsys):
    root = nasty_folder(tmp_path / "root")
    text = page(check_data(root, validation=0))
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<b>bold" not in text and "&lt;b&gt;bold&amp;&#x27;&quot;" in text
    assert "\x1b" not in text and "\u202e" not in text
    text.encode()  # not half a character
    _code, out, err = run(capsys, root, "--validation", 0)
    assert "\x1b" not in out + err and "\u202e" not in out
    assert out.count("\\x1b[2J\\n") == 1
    _code, out, _err = run(capsys, root, "--validation", 0, "--json")
    (group,) = json.loads(out)["exact"]
    assert {one["name"] for one in group["pictures"]} == {f"{CLASS}/0.png", f"{CLASS}/{NASTY}.png"}


# The page


def test_the_page_is_written_and_named(fine, tmp_path, capsys):
    spoil(fine)
    target = tmp_path / "report.html"
    code, out, _err = run(capsys, fine, "--html", target)
    assert code == 1
    assert out.endswith(f"Page: {target}\n")
    text = target.read_text()
    assert text.startswith("<!doctype html>")
    assert run(capsys, fine, "--html", tmp_path / "gone" / "x.html")[0] == 1


def test_the_page_lets_nothing_in(fine):
    text = page(check_data(fine))
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;")
    assert "<script" not in text and "http:" not in text and "https:" not in text
    assert "style=" not in text  # which the policy would keep out


def test_thumbnails_are_bounded_in_number_and_it_says_how_many_are_left_out(tmp_path):
    for n in range(30):
        save(scene(n, (300, 200)), tmp_path / "train" / "a" / f"{n}.png")
        save(scene(n, (300, 200)), tmp_path / "test" / "a" / f"{n}.png")
    text = page(check_data(tmp_path))
    assert "Shown are the first 24; 6 are left out." in text  # of pairs
    assert "Shown are the first 10; 20 are left out." in text  # of groups
    assert text.count("<img") == 2 * 24 + 2 * 10
    for data in re.findall(r'src="data:image/jpeg;base64,([^"]*)"', text):
        assert base64.b64decode(data)[:2] == b"\xff\xd8"
    assert len(text) < 1_000_000


def test_a_picture_that_has_gone_since(fine):
    (fine / "test/ant/copy.png").write_bytes((fine / "train/ant/2.png").read_bytes())
    report = check_data(fine)
    (fine / "test/ant/copy.png").unlink()
    assert page(report).count("cannot be read</span>") == 2  # in its pair and its group
