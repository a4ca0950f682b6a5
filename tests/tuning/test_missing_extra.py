"""Without Optuna, which is an extra, there is one message that says how to get it."""

import sys

import pytest
from tuned import SETTINGS, little_data

import neocog
from neocog import NeocogError
from neocog.cli import main

OURS = (
    "neocog.cli.tune",
    "neocog.tuning.tune",
    "neocog.tuning.optuna_storage",
    "neocog.tuning.optuna_study",
)


@pytest.fixture(autouse=True)
def no_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(vars(neocog), "tune", raising=False)
    for name in OURS:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_command_says_how_to_install_it(capsys):
    assert main(["tune"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.endswith("is not installed: pip install 'neocog[tune]'\n")


def test_so_does_the_function():
    with pytest.raises(NeocogError, match=r"pip install 'neocog\[tune\]'"):
        neocog.tune(little_data(), SETTINGS)
