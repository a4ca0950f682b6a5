"""``neocog predict`` of folders, patterns, sources and lists: order, formats, bad pictures."""

import csv
import io
import json
import os
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from picture_folders import write_classes, write_pictures
from PIL import Image

import neocog
from neocog import Flatten, Linear, Network
from neocog.cli import main
from neocog.cli.picture_list import given_pictures
from neocog.data.options import LoadOptions
from neocog.data.picture import read_picture
from neocog.data.reading_ahead import read_ahead
from neocog.errors import DataError

SHAPE = (3, 6, 6)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    network = Network(input_shape=SHAPE, flatten=Flatten(), fc=Linear(108, 3))
    network.initialize(0)
    network.name_classes(("cat", "dog, small", "é"))
    network.save("net.safetensors")
    return tmp_path


@pytest.fixture
def predict(capsys):
    """Predict by `net.safetensors`; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["predict", "net.safetensors", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def stdin(monkeypatch):
    """Have these bytes on stdin."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def expected(*paths: str) -> np.ndarray:
    network = neocog.load("net.safetensors")
    images = [read_picture(path, SHAPE, network.preprocessing.resize) for path in paths]
    return network.predict_proba(np.stack(images))


def files_of(text: str) -> list[str]:
    return [line.rpartition(": ")[0] for line in text.splitlines()]


def test_a_folder_is_searched_with_all_below_it(predict, here):
    write_pictures(here / "photos" / "b" / "deep", 2)
    write_pictures(here / "photos" / "a", 1)
    write_pictures(here / "photos", 1)
    write_pictures(here / "photos" / ".hidden", 1)
    (here / "photos" / "notes.txt").write_text("mine")
    code, out, _err = predict("photos")
    assert code == 0
    names = ["photos/000.png", "photos/a/000.png", "photos/b/deep/000.png", "photos/b/deep/001.png"]
    assert files_of(out) == names
    # Whatever is written behind the name of the folder.
    assert predict("photos/")[1] == out


def test_results_come_in_the_order_that_is_given(predict, here):
    write_pictures(here / "b", 3)
    write_pictures(here / "a", 2)
    code, out, _err = predict("b/002.png", "a", "b/00[01].png", "b/002.png")
    assert code == 0
    names = ["b/002.png", "a/000.png", "a/001.png", "b/000.png", "b/001.png", "b/002.png"]
    assert files_of(out) == names


def test_patterns_are_for_shells_that_know_none(predict, here):
    write_pictures(here / "odd[1]", 1)
    write_pictures(here / "more", 1)
    (here / "more" / ".hidden.png").write_bytes((here / "more" / "000.png").read_bytes())
    # A name is a name first.
    assert files_of(predict("odd[1]/000.png")[1]) == ["odd[1]/000.png"]
    assert files_of(predict("*/*.png")[1]) == ["more/000.png", "odd[1]/000.png"]
    code, out, err = predict("*.jpg")
    assert (code, out) == (1, "")
    assert err == "neocog: *.jpg: No such file or directory.\n"


def test_many_pictures_are_predicted_as_one_by_one(predict, here):
    """Also where batches end: more pictures than are in memory together."""
    write_pictures(here / "photos", 7)
    names = [f"photos/{k:03}.png" for k in range(7)]
    rows = expected(*names)
    found = json.loads(predict("--json", "--top", 3, *(names * 75))[1])
    assert len(found) == 525
    for number, one in enumerate(found):
        assert one["image"] == names[number % 7]
        row = rows[number % 7]
        labels = ("cat", "dog, small", "é")
        by_label = {labels[k]: float(row[k]) for k in range(3)}
        assert {top["label"]: top["probability"] for top in one["top"]} == by_label


def test_a_list_on_stdin(predict, here, stdin):
    write_pictures(here / "photos", 3)
    stdin(b"photos/001.png\r\nphotos/000.png\n\nphotos/002.png")
    code, out, _err = predict("-")
    assert code == 0
    assert files_of(out) == ["photos/001.png", "photos/000.png", "photos/002.png"]


def test_a_list_of_names_that_have_anything_in_them(predict, here, stdin):
    write_pictures(here / "photos", 1)
    content = (here / "photos" / "000.png").read_bytes()
    names = [b"two\nlines.png", b"blank .png", b"latin-\xe9.png"]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(content)
    stdin(b"\0".join([*names, b""]))
    code, out, _err = predict("-0", "-", "--json", "--top", 1)
    assert code == 0
    assert [os.fsencode(one["image"]) for one in json.loads(out)] == names
    # As they are, in a file.
    stdin(b"\0".join(names))
    assert predict("-0", "-", "--out", "found.csv")[0] == 0
    with Path("found.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert [os.fsencode(row["file"]) for row in csv.DictReader(file)] == names


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["-"], b"", "There are no pictures in the list on stdin."),
        (["-", "-"], b"", "can be read once"),
        (["-0", "a.png"], b"", "-0 is for a list on stdin"),
        (["-"], b"x" * 200_000, "a name has over 32,768 bytes"),
    ],
)
def test_lists_that_cannot_be(predict, stdin, arguments, content, message):
    stdin(content)
    code, out, err = predict(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_bad_pictures_are_told_of_and_the_rest_done(predict, here):
    write_pictures(here / "photos", 2)
    (here / "photos" / "000b.jpg").write_text("no picture")
    code, out, err = predict("photos", "gone.png", "--csv", "--top", 2)
    assert code == 1
    rows = list(csv.DictReader(io.StringIO(out)))
    names = ["photos/000.png", "photos/000b.jpg", "photos/001.png", "gone.png"]
    assert [row["file"] for row in rows] == names
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    assert rows[1]["label"] == rows[1]["probability_2"] == ""
    assert [line.split(" ")[:2] for line in err.splitlines()] == [
        ["neocog:", "photos/000b.jpg"],
        ["neocog:", "gone.png:"],
    ]
    lines = predict("photos", "--jsonl")[1].splitlines()
    assert [("error" in json.loads(line)) for line in lines] == [False, True, False]


def test_the_formats_say_the_same(predict, here):
    write_pictures(here / "photos", 2)
    arrays = json.loads(predict("photos", "--json", "--top", 2)[1])
    lines = [json.loads(line) for line in predict("photos", "--jsonl", "--top", 2)[1].splitlines()]
    text = predict("photos", "--csv", "--top", 2)[1]
    assert text.splitlines()[0] == "file,label,probability,label_2,probability_2,error"
    for array, line, row in zip(arrays, lines, csv.DictReader(io.StringIO(text)), strict=True):
        first, second = array["top"]
        assert array["image"] == line["file"] == row["file"]
        assert line["top"] == array["top"]
        assert first["label"] == line["label"] == row["label"]
        assert first["probability"] == line["probability"]
        assert float(row["probability"]) == pytest.approx(first["probability"], rel=1e-5)
        assert row["label_2"] == second["label"]
    # More classes than there are.
    assert predict("photos", "--csv", "--top", 9)[1].count("label_") == 2


def test_a_file_is_there_whole_or_not_at_all(predict, here, monkeypatch):
    write_pictures(here / "photos", 2)
    assert predict("photos", "--out", "a.jsonl")[:2] == (0, "")
    assert len(Path("a.jsonl").read_text().splitlines()) == 2
    for suffix, begins in (("csv", "file,"), ("json", "[{"), ("txt", "photos/000.png: ")):
        assert predict("photos", "-o", f"a.{suffix}")[0] == 0
        assert Path(f"a.{suffix}").read_text().startswith(begins)
    assert predict("photos", "--csv", "-o", "a.txt")[0] == 0
    assert Path("a.txt").read_text().startswith("file,")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("neocog.cli.predict.best_of", interrupted)
    before = sorted(here.iterdir())
    assert predict("photos", "-o", "a.csv")[0] == 130
    assert predict("photos", "-o", "new.csv")[0] == 130
    assert sorted(here.iterdir()) == before
    assert Path("a.csv").read_text().count("\n") == 3
    code, out, err = predict("photos", "-o", "no/such/folder.csv")
    assert (code, out) == (1, "")
    assert "no/such/folder.csv cannot be written: No such file or directory." in err


def test_folders_without_pictures(predict, here):
    (here / "empty").mkdir()
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").touch()
    assert predict("empty")[::2] == (1, "neocog: empty has no pictures.\n")
    assert "Files of other kinds are passed over: .txt (1)." in predict("texts")[2]


def test_nothing_that_a_folder_leads_out_to_is_read(predict, here):
    write_pictures(here / "photos", 1)
    write_pictures(here / "private", 1)
    (here / "photos" / "link.png").symlink_to(here / "private" / "000.png")
    (here / "photos" / "loop").symlink_to(here / "photos")
    os.mkfifo(here / "photos" / "pipe.png")
    assert files_of(predict("photos")[1]) == ["photos/000.png"]


def test_a_named_pipe_is_not_waited_for(predict, here):
    os.mkfifo(here / "pipe.png")
    code, out, err = predict("pipe.png")
    assert (code, out) == (1, "")
    assert "pipe.png" in err


def test_another_source_is_read_by_its_kind(predict, here, monkeypatch):
    """Here a zip of class folders, as a source of its own would read it."""
    from neocog.data import sources
    from neocog.data.sources.base import Source, listing

    write_classes(here / "photos", [("a", 1), ("b", 2)])

    class Store:
        def name(self, row):
            return f"b/{row:03}.png"

        def stamp(self, row):
            return self.name(row)

        def size(self, row):
            return 1

        def read(self, row):
            if row == 2:
                raise DataError("is damaged.")
            return (here / "photos" / self.name(row)).read_bytes()

    def read(path, request):
        return listing("zips", path.name, Store(), {"all": (range(3), list("bbb"))}, request)

    zipped = Source("zips", lambda path: path.suffix == ".zip", read)
    monkeypatch.setattr("neocog.cli.picture_list.SOURCES", (zipped, *sources.SOURCES))
    monkeypatch.setattr("neocog.data.loading.SOURCES", (zipped, *sources.SOURCES))
    with zipfile.ZipFile("photos.zip", "w"):
        pass
    code, out, err = predict("photos.zip")
    assert code == 1
    assert files_of(out) == ["photos.zip/b/000.png", "photos.zip/b/001.png"]
    assert err == "neocog: photos.zip/b/002.png is damaged.\n"
    assert [line.rpartition(": ")[2] for line in out.splitlines()] == [
        line.rpartition(": ")[2] for line in predict("photos/b")[1].splitlines()
    ]


def test_a_picture_that_is_turned_is_seen_upright(predict, here):
    """As everywhere: what predicts reads as training does."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8))
    picture.save("upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture.rotate(90).save("turned.png", exif=exif)
    first, second = json.loads(predict("upright.png", "turned.png", "--json")[1])
    assert first["top"] == second["top"]


def test_few_items_are_kept_in_memory():
    """Whatever their number: those that are worked on, and as many that are read meanwhile."""
    read, lock = [], threading.Lock()

    def one(item):
        with lock:
            read.append(item)
        return item * item

    done = 0
    for some, found in read_ahead(iter(range(10**9)), one, at_a_time=5, threads=3):
        assert found == [item * item for item in some]
        done += len(some)
        assert len(read) <= done + 5
        if done == 50:
            break
    assert done == 50


def test_what_cannot_be_read_comes_in_its_place():
    def one(item):
        if item % 3 == 0:
            raise DataError(str(item))
        return item

    batches = list(read_ahead(range(7), one, at_a_time=4, threads=2))
    assert [some for some, _ in batches] == [[0, 1, 2, 3], [4, 5, 6]]
    found = [str(one) if isinstance(one, DataError) else one for _, part in batches for one in part]
    assert found == ["0", 1, 2, "3", 4, 5, "6"]
    assert list(read_ahead([], one, at_a_time=4, threads=2)) == []


def test_how_many_there_are_is_known_but_for_a_list(here, stdin):
    write_pictures(here / "photos", 3)
    assert given_pictures(["photos", "x.png"], LoadOptions())[1] == 4
    stdin(b"")
    assert given_pictures(["photos", "-"], LoadOptions())[1] is None
