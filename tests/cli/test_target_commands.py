"""Commands on networks of several labels an image and of numbers: right figures or one message."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from target_tables import write_planted

import neocog

LOSSES = ("binary-cross-entropy", "mse")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By loss, the folder of a run by `neocog.fit`, with its network and images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 6, 5, 3), np.uint8)
    targets = rng.integers(0, 2, (20, 3)).astype(np.float32)
    found, runs = {}, tmp_path_factory.mktemp("runs")
    for loss in LOSSES:
        layers = {"flatten": neocog.Flatten(), "fc": neocog.Linear(90, 3)}
        network = neocog.Network(input_shape=(3, 6, 5), **layers)
        folder = runs / loss
        how = {"epochs": 1, "loss": loss, "folder": folder, "classes": ("red", "old", "wet")}
        neocog.fit(network, (images, targets), validation=(images, targets), **how)
        found[loss] = folder, network, images
    return found


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "RUN"), "does not say what it was trained on"),
        (("evaluate", "RUN", "shapes"), "needs targets for every output"),
        (("evaluate", "RUN", "--top-k", "2"), "--top-k is for networks that choose one class"),
        (("calibrate", "RUN"), "Calibrating is for networks that choose one class"),
        (("report", "RUN", "shapes"), "needs targets for every output"),
        (("train", "shapes", "--loss", "{loss}"), "needs targets for every output"),
        (("tune", "shapes", "--loss", "{loss}"), "needs targets for every output"),
    ],
)
def test_what_is_for_classes_says_so_in_one_message(
    command, here, trained, loss, arguments, message
):
    Image.new("RGB", (5, 6)).save(here / "picture.png")
    if "tune" in arguments:
        pytest.importorskip("optuna")
    folder = trained[loss][0]
    given = [str(folder) if one == "RUN" else one.format(loss=loss) for one in arguments]
    code, out, err = command(*given)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert message.format(loss=loss) in line


def test_the_likeliest_labels_of_a_picture(command, here, trained):
    folder, network, images = trained["binary-cross-entropy"]
    Image.fromarray(images[0]).save(here / "picture.png")
    code, out, _err = command("predict", folder, "picture.png", "--out", "labels.csv")
    assert (code, out) == (0, "")
    (row,) = csv.DictReader(io.StringIO((here / "labels.csv").read_text()))
    likely = network.predict_proba(images[:1])[0]
    names = np.array(["red", "old", "wet"])
    for name, probability in zip(names, likely, strict=True):
        assert float(row[name]) == pytest.approx(probability, rel=1e-5)
    order = names[np.argsort(-likely)]
    assert row["labels"] == ";".join(one for one in order if likely[names == one] >= 0.5)
    code, out, _err = command("predict", folder, "picture.png", "--threshold", 0, "--json")
    (found,) = json.loads(out)
    assert found["labels"] == list(names) and found["image"] == "picture.png"
    assert [one["label"] for one in found["top"]] == list(order)
    code, out, _err = command("predict", folder, "picture.png", "--threshold", 1)
    best = f"{order[0]} {100 * likely.max():.1f} %"
    assert (code, out) == (0, f"picture.png: no label (likeliest: {best})\n")


def test_the_numbers_of_a_picture(command, here, trained):
    folder, network, images = trained["mse"]
    Image.fromarray(images[0]).save(here / "picture.png")
    (row,) = network.predict(images[:1])
    code, out, _err = command("predict", folder, "picture.png", "no.png", "--jsonl")
    assert code == 1
    first, missing = map(json.loads, out.splitlines())
    assert [one["value"] for one in first["values"]] == row.tolist()
    assert first["file"] == "picture.png" and missing["error"].startswith("no.png")
    code, out, _err = command("predict", folder, "picture.png")
    shown = ", ".join(f"{name} {x:.6g}" for name, x in zip(("red", "old", "wet"), row, strict=True))
    assert (code, out) == (0, f"picture.png: {shown}\n")
    code, out, _err = command("predict", folder, "picture.png", "no.png", "--csv")
    head, first, missing = csv.reader(io.StringIO(out))
    assert head == ["file", "red", "old", "wet", "error"] and missing[1:4] == [""] * 3
    assert [float(cell) for cell in first[1:4]] == pytest.approx(row.tolist(), rel=1e-5)
    code, _out, err = command("predict", folder, "picture.png", "--threshold", 0.5)
    assert code == 1 and "--threshold is for probabilities" in err


@pytest.mark.parametrize("loss", LOSSES)
def test_a_picture_is_explained(command, here, trained, loss):
    folder, network, images = trained[loss]
    Image.fromarray(images[0]).save(here / "picture.png")
    (row,) = network.predict_proba(images[:1])
    code, out, _err = command("explain", folder, "picture.png")
    assert code == 0
    answer, page = out.splitlines()
    assert command("predict", folder, "picture.png")[1] == f"{answer}\n"
    assert page == "Page: picture-explained.html" and (here / "picture-explained.html").is_file()
    code, out, _err = command("explain", folder, "picture.png", "--label", "old", "--json")
    found = json.loads(out)
    values = found["values" if loss == "mse" else "probabilities"]
    assert values == pytest.approx(dict(zip(("red", "old", "wet"), row.tolist(), strict=True)))
    assert (code, found["label"]) == (0, "old")


def test_an_image_of_the_data_is_explained_with_its_truth(command, here):
    write_planted(here)
    how = ("--labels", "several", "--epochs", "1", "--model", "simple-cnn", "--out", "run")
    assert command("train", "several.csv", *how)[0] == 0
    code, out, _err = command("explain", "run", "validation:2", "--json")
    assert code == 0
    part = neocog.load_data("several.csv", labels="several").validation
    network = neocog.load("run")
    image, truth = part.images[2], part.labels[2]
    y = network.predict_proba(image[None])[0].astype(np.float64)
    loss = -np.mean(truth * np.log(y) + (1 - truth) * np.log(1 - y))
    assert json.loads(out)["loss"] == pytest.approx(loss, rel=1e-4)


def test_a_report_without_an_evaluation(command, trained):
    for loss in LOSSES:
        code, out, err = command("report", trained[loss][0])
        assert code == 0 and out.startswith("Report: ")
        assert err.endswith("The report is written without an evaluation.\n")


def test_runs_tell_the_losses_apart(command, trained):
    folders = [trained[loss][0] for loss in LOSSES]
    code, out, _err = command("compare", *folders)
    assert code == 0 and all(loss in out for loss in LOSSES)
    code, out, _err = command("runs", folders[0].parent)
    head, *rows = out.splitlines()
    assert code == 0 and head.split().count("loss") == 1
    where = head.index("minimized") + len("minimized")  # numbers and settings end there
    assert {row[:where].split()[-1] for row in rows} == set(LOSSES)
