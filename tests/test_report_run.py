"""``neocog report``: the page of a run folder, from what the folder says and the data it names."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog.cli import main
from neocog.errors import FormatError
from neocog.report.curves import lr_curve
from neocog.report.run import _lr_test, read_history, write_run_report
from neocog.training.history import Epoch, Logged

COLORS = {"red": (200, 40, 40), "green": (40, 200, 40)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures in ``pictures`` and a run in ``run``."""
    root = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    for part, count in (("train", 16), ("test", 6)):
        for name, color in COLORS.items():
            folder = root / "pictures" / part / name
            folder.mkdir(parents=True)
            for n in range(count):
                noisy = np.array(color) + rng.integers(-40, 40, (16, 16, 3))
                Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{part}{n}.png")
    pictures, out = str(root / "pictures"), str(root / "run")
    command = ["train", pictures, "--model", "simple-cnn", "--size", "32", "--recipe", "note"]
    assert main([*command, "--epochs", "2", "--log-every", "4", "--out", out]) == 0
    return root


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """Copies of the pictures' place and the run, which a test may change."""
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def structure_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="structure">(.*?)</script>', text, re.DOTALL)[1])


def test_the_report_of_a_run(here, capsys):
    assert main(["report", "run"]) == 0
    assert capsys.readouterr().out == "Report: run/report.html\n"
    found = structure_of(here / "run" / "report.html")
    assert main(["evaluate", "run", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert found["title"] == "run"
    assert found["evaluation"]["accuracy"] == evaluated["accuracy"]
    assert found["evaluation"]["confusion"]["table"] == evaluated["confusion"]
    names = [item[4] for item in found["pictures"]["items"]]
    assert names
    assert all(re.search(r"test/(red|green)/test\d\.png$", name) for name in names)
    info = json.loads((here / "run" / "run.json").read_text())
    assert [row[1] for row in found["history"]["epochs"]] == [e["loss"] for e in info["epochs"]]
    assert (
        len(found["history"]["running"]["x"])
        == len((here / "run" / "history.csv").read_text().splitlines()) - 1
    )
    defaults = {name: default for name, _value, default in found["settings"]}
    assert defaults["epochs"] not in (None, "2")
    assert defaults["label_smoothing"] is None
    assert defaults["recipe"] == ""
    assert not {"name", "about"} & defaults.keys()
    assert {"Timings", "Network", "Data", "Machine", "Versions"} == found["facts"].keys()


def test_it_goes_where_it_is_asked_to(here, capsys):
    assert main(["report", "run", "--out", "page.html"]) == 0
    assert capsys.readouterr().out == "Report: page.html\n"
    assert structure_of(here / "page.html")["title"] == "run"
    assert not (here / "run" / "report.html").exists()


def test_without_its_data_there_is_a_report_without_an_evaluation(here, capsys):
    info = json.loads((here / "run" / "run.json").read_text())
    info["data"]["source"] = str(here / "gone")
    (here / "run" / "run.json").write_text(json.dumps(info))
    assert main(["report", "run"]) == 0
    printed = capsys.readouterr()
    assert "The report is written without an evaluation." in printed.err
    found = structure_of(here / "run" / "report.html")
    assert "evaluation" not in found
    assert found["history"]["epochs"]
    assert found["filters"]["layer"] == "conv1"


def test_data_that_are_named_must_be_there(here, capsys):
    assert main(["report", "run", "nowhere/at/all"]) == 1
    assert "nowhere/at/all" in capsys.readouterr().err
    assert not (here / "run" / "report.html").exists()


@pytest.mark.parametrize("name", ["missing", "run/last.safetensors"])
def test_only_a_run_folder_has_a_report(here, name, capsys):
    assert main(["report", name]) == 1
    assert f"{name} is no run folder." in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,batch,loss\n1,2,3.0\n",
        b"epoch,batch,loss,seconds\n1,2\n",
        b"epoch,batch,loss,seconds\none,2,3.0,4.0\n",
        b"\xff\xfe\x00",
        b'epoch,batch,loss,seconds\n1,2,"3.0',
    ],
)
def test_a_damaged_history_is_said(here, content, capsys):
    (here / "run" / "history.csv").write_bytes(content)
    assert main(["report", "run"]) == 1
    assert re.search(
        r"run/history\.csv cannot be read: it is not a table of epoch, batch",
        capsys.readouterr().err,
    )


def test_a_history_of_a_folder(here):
    folder = here / "made"
    folder.mkdir()
    (folder / "history.csv").write_text(
        "epoch,batch,loss,seconds\n1,4,2.5,0.25\n1,8,nan,0.5\n", encoding="utf-8"
    )
    epochs = [{"loss": 2.0, "seconds": 1.5}, {"loss": None, "seconds": 1}, "no epoch"]
    info = {"epochs": epochs, "steps": 8, "status": "interrupted"}
    (folder / "run.json").write_text(json.dumps(info))
    found = read_history(folder)
    assert found.logged[0] == Logged(1, 4, 2.5, 0.25)
    assert np.isnan(found.logged[1].loss)
    assert found.epochs == [Epoch(1, 2.0, 1.5)]
    assert (found.steps, found.seconds, found.interrupted) == (8, 0.0, True)


@pytest.mark.parametrize(
    "info",
    [
        {"epochs": 5, "timings": [], "settings": "no", "machine": None, "steps": True},
        {"epochs": [{"loss": 1e999, "seconds": 10**400}], "started": 7, "data": []},
        {"started": "9999-99-99", "timings": {"training_seconds": "x"}, "status": {"a": 1}},
    ],
)
def test_no_run_json_breaks_a_report(here, info):
    folder = here / "made"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(info))
    network = neocog.load(here / "run")
    assert write_run_report(folder, network) == folder / "report.html"
    assert structure_of(folder / "report.html")["title"] == "made"


def test_a_history_that_is_too_large_is_not_read(here, monkeypatch):
    monkeypatch.setattr("neocog.report.run._MOST_BYTES", 10)
    with pytest.raises(FormatError, match=r"history\.csv cannot be read"):
        read_history(here / "run")


def test_the_test_of_learning_rates_is_shown(here):
    folder = here / "run"
    folder.mkdir(exist_ok=True)
    assert _lr_test(folder / "lr.csv") == []
    (folder / "lr.csv").write_text("lr,loss,smoothed_loss\n0.001,2.5,2.25\n0.01,2.0,2.125\n")
    assert _lr_test(folder / "lr.csv") == [(0.001, 2.25), (0.01, 2.125)]
    assert lr_curve([0.001, 0.01], [2.25, 2.125]) == {"x": [-3.0, -2.0], "y": [2.25, 2.125]}
    for damaged in ("lr,loss\n1,2\n", "lr,loss,smoothed_loss\n0.1,2,many\n", "\0"):
        (folder / "lr.csv").write_text(damaged)
        assert _lr_test(folder / "lr.csv") == []
