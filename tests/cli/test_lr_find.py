"""``neocog train --lr find``, and what needs validation data."""

import csv
import re
import tomllib

import numpy as np
import pytest
from commands import FINISHED, names_in, the_run, tiny

import neocog

FAST = ("--epochs", 1, "--batch-size", 8)


def test_the_rate_is_found_said_and_kept(command, with_data, here):
    with_data(tiny())
    code, _out, err = command("train", *FAST, "--lr", "find")
    assert code == 0
    said = re.search(r"Learning rate: (\S+), (a tenth of|mean of) \d", err)
    folder = the_run(here)
    kept = tomllib.loads((folder / "config.toml").read_text())["optimizer"]["lr"]
    assert float(said[1]) == kept
    assert names_in(folder) == sorted([*FINISHED, "lr.csv"])
    with (folder / "lr.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(rates[1] / rates[0]), rtol=1e-3)


def test_the_run_is_that_with_the_number(command, with_data, here):
    with_data(tiny())
    assert command("train", *FAST, "--lr", "find", "--out", "a")[0] == 0
    lr = tomllib.loads((here / "a" / "config.toml").read_text())["optimizer"]["lr"]
    assert command("train", *FAST, "--lr", lr, "--out", "b")[0] == 0
    found, given = (neocog.load(here / name / "last.safetensors").state_dict() for name in "ab")
    for name in given:
        np.testing.assert_array_equal(found[name], given[name])


def test_what_cannot_be_found_is_refused(refused, with_data, here):
    with_data(tiny())
    assert "--lr find is for a run that begins" in refused("train", "--lr", "find", "--resume", "r")
    (here / "full").mkdir()
    (here / "full" / "mine").write_text("")
    assert "holds something already" in refused("train", "--lr", "find", "--out", "full")
    assert "lr (='find')" in refused("train", "--optimizer", "muon", "--optimizer.rest.lr", "find")
    assert not (here / "runs").exists()


def test_patience_without_validation_data_is_refused_before_anything_is_made(
    refused, with_data, here, monkeypatch
):
    with_data(tiny())
    monkeypatch.setattr(
        "neocog.training.run.make_trainer", lambda *_, **__: pytest.fail("compiled")
    )
    message = refused("train", "--patience", 2)
    assert "patience (=2) goes by the validation loss, and there are no validation data" in message
    assert not (here / "runs").exists()
