"""From a table of labels or numbers to a trained network, by the commands alone."""

import csv
import json

import numpy as np
import pytest
from picture_folders import NETWORK
from target_tables import LABELS, write_planted, write_rows

import neocog

HOW = ("--model", "net.py", "--epochs", 12, "--out", "run")


@pytest.fixture
def planted(here):
    (here / "net.py").write_text(NETWORK)
    return write_planted(here)


def test_several_labels(command, here, planted):
    metrics = pytest.importorskip("sklearn.metrics")
    code, out, err = command("train", "several.csv", "--labels", "several", *HOW)
    assert code == 0, err
    assert "with 3 labels" in err and "Validation: mean F1" in out
    code, out, _err = command("evaluate", "run", "several.csv", "--mistakes", "m.csv", "--json")
    said = json.loads(out)
    data = neocog.load_data(here / "several.csv", labels="several", size=8)
    held_out, network = data.validation, neocog.load(here / "run")
    assert network.classes == LABELS and network.loss == "binary-cross-entropy"
    likely = network.predict_proba(held_out.images)
    expected = metrics.average_precision_score(held_out.labels, likely, average=None)
    assert [one["average_precision"] for one in said["labels"]] == pytest.approx(list(expected))
    assert expected.mean() > 0.95
    scores = metrics.precision_recall_fscore_support(
        held_out.labels, likely >= 0.5, zero_division=np.nan
    )
    for key, values in zip(("precision", "recall", "f1", "count"), scores, strict=True):
        got = [np.nan if one[key] is None else one[key] for one in said["labels"]]
        np.testing.assert_allclose(got, values, rtol=1e-9)
    wrong = (likely >= 0.5) != (held_out.labels > 0)
    with (here / "m.csv").open() as file:
        assert len(list(csv.DictReader(file))) == wrong.sum() == len(said["mistakes"])
    code, out, _err = command("evaluate", "run", "--threshold", 0.3)
    assert code == 0 and "from a probability of 0.3 on" in out
    # The same labels in another form and order, and fewer of them.
    code, out, _err = command("evaluate", "run", "parted.csv", "--json")
    assert json.loads(out)["count"] == 60
    some = write_rows(here / "some.csv", ["file", "labels"], [["pics/001.png", "dark;red"]])
    code, out, _err = command("evaluate", "run", some, "--json")
    assert [one["count"] for one in json.loads(out)["labels"]] == [1, 0, 1]
    odd = write_rows(here / "odd.csv", ["file", "labels"], [["pics/001.png", "blue;red"]])
    code, _out, err = command("evaluate", "run", odd)
    assert code == 1 and "does not know: blue" in err
    # A column that is missing says nothing, while labels in one column are all that there are.
    less = write_rows(here / "less.csv", ["file", "red", "green"], [["pics/001.png", 1, 1]])
    code, _out, err = command("evaluate", "run", less)
    assert code == 1 and "less does not say of its pictures: dark" in err


def test_numbers(command, here, planted):
    metrics = pytest.importorskip("sklearn.metrics")
    code, out, err = command("train", "doses.csv", "--labels", "number", *HOW)
    assert code == 0, err
    assert "with a number each (dose)" in err and "mean absolute error" in out
    code, out, _err = command("evaluate", "run", "--json", "--mistakes", "m.csv")
    said = json.loads(out)
    data = neocog.load_data(here / "doses.csv", labels="number", size=8)
    held_out, network = data.validation, neocog.load(here / "run")
    predicted = network.predict(held_out.images)
    assert said["mae"] == pytest.approx(
        metrics.mean_absolute_error(held_out.labels, predicted), rel=1e-5
    )
    assert said["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(held_out.labels, predicted), rel=1e-5
    )
    assert said["r2"] == pytest.approx(metrics.r2_score(held_out.labels, predicted), abs=1e-5)
    assert said["r2"] > 0.9 and network.classes == ("dose",)
    worst = np.abs(predicted - held_out.labels)[:, 0].argmax()
    with (here / "m.csv").open() as file:
        first = next(csv.DictReader(file))
    assert first["file"] == said["mistakes"][0]["file"] == held_out.names[worst]
    assert float(first["error"]) == pytest.approx(
        float((predicted - held_out.labels)[worst, 0]), rel=1e-4
    )
    code, out, _err = command("compare", "run", "run")
    assert code == 0 and "validation rmse" in out and f"{said['r2']:.3g}" in out
    code, out, _err = command("runs", here)
    assert code == 0 and "RMSE" in out and f"{said['rmse']:.3g}" in out
    code, out, err = command("train", "--resume", "run", "--epochs", 14)
    assert code == 0 and "Best epoch" in out, err


def test_a_loss_says_what_labels_are(command, here, planted):
    code, _out, err = command("train", "doses.csv", "--loss", "mse", *HOW[:2], "--epochs", 1)
    assert code == 0 and "with a number each (dose)" in err
    recipe = ("--recipe", "standard", *HOW[:2], "--epochs", 1)
    code, _out, err = command("train", "several.csv", "--labels", "several", *recipe)
    assert code == 0, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("doses.csv", "--labels", "number", "--loss", "cross-entropy"),
            "is learned by mse: leave",
        ),
        (("several.csv", "--labels", "several", "--calibrate"), "--calibrate is for networks that"),
        (("pics", "--labels", "number"), "is for a table of files and labels"),
        (("cifar10", "--labels", "number"), "cifar10 has a class for each picture"),
        (("same.csv", "--labels", "number"), "all 60 training pictures have the same dose, 7"),
        (("none.csv", "--labels", "several"), "no training picture has the label y"),
        (("every.csv", "--labels", "several"), "every training picture has the label y"),
        (("text.csv", "--labels", "number"), "text.csv, line 61: the label 'x' in the column"),
    ],
)
def test_what_cannot_be_learned(command, here, planted, arguments, message):
    names = [f"pics/{k:03}.png" for k in range(60)]
    write_rows(here / "same.csv", ["file", "dose"], [[name, 7] for name in names])
    odd = [[name, k % 2, 0] for k, name in enumerate(names)]
    write_rows(here / "none.csv", ["file", "x", "y"], odd)
    write_rows(here / "every.csv", ["file", "x", "y"], [[*row[:2], 1] for row in odd])
    write_rows(here / "text.csv", ["file", "a"], [*((n, 3) for n in names[:-1]), (names[-1], "x")])
    more = () if "--calibrate" in arguments or "cifar10" in arguments else ("--validation", 0)
    code, out, err = command("train", *arguments, *more, *HOW)
    assert (code, out) == (1, "")
    assert message in err and err.splitlines()[-1].startswith("neocog: ")
    assert not (here / "run").exists()
