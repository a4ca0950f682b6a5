"""``neocog predict``: its lines and its JSON, and pictures that cannot be read."""

import json
import re

import pytest
from commands import CLASSES

import neocog
from neocog.data.picture import read_picture


def test_predict_prints_a_line_for_each_image(command, model, pictures):
    code, out, err = command("predict", model, *pictures)
    assert (code, err) == (0, "")
    best = []
    for line, path in zip(out.splitlines(), pictures, strict=True):
        found = re.fullmatch(
            re.escape(path) + r": (\w+) (\d+\.\d) %, (\w+) (\d+\.\d) %, (\w+) (\d+\.\d) %", line
        )
        assert found
        percents = [float(found[n]) for n in (2, 4, 6)]
        assert percents == sorted(percents, reverse=True)
        best.append(found[1])
    assert best == ["class0", "class5", "class9"]


def test_predict_as_json(command, model, pictures):
    code, out, _ = command("predict", model, *pictures, "--top", 10, "--json")
    assert code == 0
    listed = json.loads(out)
    assert [entry["image"] for entry in listed] == pictures
    for entry in listed:
        assert {best["label"] for best in entry["top"]} == set(CLASSES)
        assert sum(best["probability"] for best in entry["top"]) == pytest.approx(1, abs=1e-5)
    pixels = read_picture(pictures[0], (3, 32, 32))
    expected = neocog.load(model).predict_proba(pixels[None])[0]
    for best in listed[0]["top"]:
        assert best["probability"] == pytest.approx(
            expected[CLASSES.index(best["label"])], abs=1e-6
        )


@pytest.mark.parametrize(("top", "shown"), [(1, 1), (3, 3), (99, 10)])
def test_predict_top(command, model, pictures, top, shown):
    _, out, _ = command("predict", model, pictures[0], "--top", top)
    assert out.count("%") == shown


def test_predict_with_weights_alone_numbers_the_classes(command, model, pictures):
    code, out, err = command("predict", model / "cnn_model.pth", pictures[0])
    assert code == 0
    assert re.match(r"high\.png: 0 \d", out)
    assert "weights alone" in err


@pytest.mark.parametrize("top", [0, -1])
def test_predict_refuses_silly_top(refused, model, pictures, top):
    assert f"--top (={top})" in refused("predict", model, pictures[0], "--top", top)


def test_predict_refuses_what_is_no_picture(refused, model, pictures, here):
    (here / "text.png").write_text("not a picture")
    (here / "half.png").write_bytes((here / "high.png").read_bytes()[:80])
    for path, message in (
        ("none.png", "No such file"),
        ("text.png", "is not an image"),
        ("half.png", "cannot be decoded"),
        ("model", "has no pictures"),
    ):
        error = refused("predict", model, path)
        assert message in error
        assert path in error


def test_predict_gives_what_it_can_where_some_are_no_pictures(command, model, pictures, here):
    (here / "text.png").write_text("not a picture")
    whole = command("predict", model, *pictures)[1]
    asked = [pictures[0], "none.png", *pictures[1:], "text.png"]
    code, out, err = command("predict", model, *asked)
    assert (code, out) == (1, whole)
    assert [line.partition(":")[2].split()[0] for line in err.splitlines()] == [
        "none.png:",
        "text.png",
    ]
    code, out, err = command("predict", model, *asked, "--json")
    listed = json.loads(out)
    assert (code, [entry["image"] for entry in listed]) == (1, asked)
    good, bad = ["image", "top"], ["error", "image"]
    assert [sorted(entry) for entry in listed] == [good, bad, good, good, bad]
    assert err == "".join(f"neocog: {entry['error']}\n" for entry in listed if "error" in entry)
