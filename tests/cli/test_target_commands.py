"""Commands on networks of several labels an image and of numbers: right figures or one message."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

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
        (("evaluate", "RUN"), "was trained by {loss}, with a target for every output"),
        (("evaluate", "RUN", "shapes"), "neocog.evaluate(neocog.load("),
        (("calibrate", "RUN"), "Calibrating is for networks that choose one class"),
        (("explain", "RUN", "picture.png"), "Explaining is for networks that choose one class"),
        (("explore", "RUN", "--no-browser"), "Exploring is for networks that choose one class"),
        (("report", "RUN", "shapes"), "was trained by {loss}"),
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
    best = likely.argmax()
    assert row["label"] == ("red", "old", "wet")[best]
    assert float(row["probability"]) == pytest.approx(likely[best], rel=1e-5)


def test_numbers_are_no_classes(command, here, trained):
    folder, _network, images = trained["mse"]
    Image.fromarray(images[0]).save(here / "picture.png")
    code, out, err = command("predict", folder, "picture.png")
    assert (code, out) == (1, "")
    assert "gives numbers and not classes" in err


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
