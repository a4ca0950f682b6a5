"""``neocog train``: what it prints, the files that it leaves, and the settings that it takes."""

import csv
import json
import re

import numpy as np
import pytest
from commands import CLASSES, FINISHED, names_in, the_run, tiny

import neocog
from neocog.settings.recipe import Recipe
from neocog.training.experiment import make_network

# train


def test_train_prints_what_the_note_prints(command, with_data, here):
    with_data()
    code, out, _ = command("train", "--epochs", 2, "--log-every", 4)
    assert code == 0
    *losses, finished, accuracy, results = out.splitlines()
    assert len(losses) == 4
    for line, (epoch, batch) in zip(losses, [(1, 4), (1, 8), (2, 4), (2, 8)], strict=True):
        assert re.fullmatch(rf"Epoch: {epoch}, Batch: {batch}, Loss: \d\.\d{{3}}", line)
    assert finished == "Training finished."
    assert re.fullmatch(
        r"Test accuracy: \d+\.\d\d % of 30 images \(95 % CI: \S+ to \S+ %\)", accuracy
    )
    assert results == f"Results: {the_run(here).relative_to(here)}"


def test_the_line_itself(capsys):
    """Exactly the note's, to three places."""
    from neocog.cli.display import Display
    from neocog.training.history import Logged

    Display(Recipe()).logged(Logged(1, 2000, 1.78246, 0.5))
    assert capsys.readouterr().out == "Epoch: 1, Batch: 2000, Loss: 1.782\n"


def test_what_train_leaves(command, with_data, here):
    with_data()
    _, out, _ = command("train", "--epochs", 2, "--log-every", 4, "--lr", 0.01, "--seed", 3)
    folder = the_run(here)
    assert names_in(folder) == FINISHED

    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "batch", "loss", "seconds"]
    printed = re.findall(r"Epoch: (\d+), Batch: (\d+), Loss: (\S+)", out)
    assert [(r["epoch"], r["batch"], f"{float(r['loss']):.3f}") for r in rows] == printed

    info = json.loads((folder / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["data"]["name"] == "tiny"
    about = Recipe.load("note").about
    assert info["settings"] == {
        "recipe": "note",
        "name": "note",
        "about": about,
        "model": "simple-cnn",
        "width": 1.0,
        "initialization": "torch",
        "normalize": "model",
        "epochs": 2,
        "batch_size": 4,
        "optimizer": {
            "type": "sgd",
            "lr": 0.01,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "nesterov": False,
            "groups": [],
        },
        "schedule": {"type": "constant"},
        "averaging": None,
        "augmentation": {
            "flip": None,
            "translate": 0,
            "border": "reflect",
            "cutout": 0,
            "jitter": [0.0, 0.0, 0.0],
            "mixup": 0.0,
            "crop": None,
            "rotate": 0.0,
            "trivial_augment": False,
        },
        "loss": "cross-entropy",
        "label_smoothing": 0.0,
        "class_weights": None,
        "pos_weight": None,
        "standardize_targets": False,
        "clip_norm": None,
        "accumulate": 1,
        "balance": None,
        "freeze_after": {},
        "tta": None,
        "seed": 3,
        "threads": None,
        "engine": "auto",
        "device": None,
        "precision": "float32",
        "compile": False,
        "log_every": 4,
        "monitor": "validation_loss",
        "patience": None,
        "min_delta": 0.0,
        "checkpoint_minutes": 5.0,
        "checkpoint_steps": None,
        "keep_checkpoints": 3,
        "sync_batch_norm": False,
        "transfer": None,
        "pretrained": None,
        "transfer_views": None,
        "transfer_minutes": 2.0,
        "calibrate": False,
    }
    assert info["steps"] == 20
    assert [epoch["epoch"] for epoch in info["epochs"]] == [1, 2]
    assert all({"loss", "seconds", "lr"} < set(epoch) for epoch in info["epochs"])
    assert {"python", "numpy", "numba", "llvmlite"} <= info["versions"].keys()
    assert info["machine"]["processor"]
    assert info["machine"]["cores"] >= 1
    assert info["machine"]["vector_floats"] in (4, 8, 16)
    assert info["timings"].keys() == {
        "compile_seconds",
        "training_seconds",
        "microseconds_a_step",
        "evaluation_seconds",
    }
    assert all(value > 0 for value in info["timings"].values())
    assert f"{100 * info['test']['accuracy']:.2f} %" in out

    whole, weights = neocog.load(folder), neocog.load(folder / "cnn_model.pth")
    assert whole.classes == CLASSES
    assert list(weights.state_dict()) == ["conv1.weight", "conv1.bias", "fc.weight", "fc.bias"]
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(weights.state_dict()[name], value)
    assert neocog.evaluate(whole, tiny().test).accuracy == info["test"]["accuracy"]


def test_the_settings_reach_fit(command, with_data, here):
    """As the public function would have trained."""
    with_data()
    command(
        *("train", "--epochs", 2, "--batch-size", 8, "--lr", 0.02, "--momentum", 0.5),
        *("--seed", 4, "--threads", 1),
    )
    network = neocog.models.simple_cnn()
    optimizer = neocog.SGD(0.02, momentum=0.5)
    neocog.fit(network, tiny().train, epochs=2, batch_size=8, optimizer=optimizer, seed=4)
    for name, value in neocog.load(the_run(here)).state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])


def test_adam(command, with_data, here):
    with_data()
    assert command("train", "--epochs", 1, "--optimizer", "adam", "--lr", 0.002)[0] == 0
    network = neocog.models.simple_cnn()
    neocog.fit(network, tiny().train, epochs=1, optimizer=neocog.Adam(0.002))
    for name, value in neocog.load(the_run(here)).state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])
    settings = json.loads((the_run(here) / "run.json").read_text())["settings"]
    assert settings["optimizer"]["type"] == "adam"
    assert settings["optimizer"]["lr"] == 0.002
    assert "momentum" not in settings["optimizer"]


@pytest.mark.thorough
def test_a_recipe_with_changes(command, with_data, here):
    """As the public functions would have done it."""
    with_data()
    (here / "mine.toml").write_text(
        'model = "vgg-small"\nwidth = 0.25\nepochs = 3\nbatch_size = 8\nnormalize = "data"\n'
        'tta = "flip"\n[optimizer]\ntype = "sgd"\nlr = 0.05\nmomentum = 0.9\n'
        '[augmentation]\nflip = "random"\n'
    )
    code, _, err = command(
        *("train", "--recipe", "mine.toml", "--epochs", 1.5, "--translate", 2, "--nesterov"),
        *("--schedule", "cosine", "--ema", 0.5, "--label-smoothing", 0.1, "--clip-norm", 1),
        *("--accumulate", 2, "--mixup", 0.2, "--weight-decay", 0.01, "--seed", 4),
        *("--crop", 0.4, "--rotate", 5, "--trivial-augment"),
    )
    assert code == 0, err
    recipe = Recipe(
        model="vgg-small",
        width=0.25,
        epochs=1.5,
        batch_size=8,
        normalize="data",
        tta="flip",
        optimizer=neocog.SGD(0.05, 0.9, weight_decay=0.01, nesterov=True),
        schedule=neocog.schedules.Cosine(),
        averaging=neocog.EMA(0.5),
        augmentation=neocog.Augmentation(
            *("random", 2), mixup=0.2, crop=(0.4, 1.0), rotate=5.0, trivial_augment=True
        ),
        label_smoothing=0.1,
        clip_norm=1.0,
        accumulate=2,
        seed=4,
        name="mine",
    )
    network = make_network(recipe, tiny())
    neocog.fit(network, tiny().train, recipe)
    trained = neocog.load(the_run(here))
    for name, value in trained.state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])
    assert trained.preprocessing == network.preprocessing
    assert trained.preprocessing.mean != (0.5, 0.5, 0.5)
    info = json.loads((the_run(here) / "run.json").read_text())
    settings = {k: v for k, v in info["settings"].items() if k != "recipe"}
    assert Recipe.from_dict(settings) == recipe
    assert info["settings"]["recipe"] == "mine"
    expected = neocog.evaluate(network, tiny().test, tta="flip")
    assert info["test"]["loss"] == expected.loss

    # The views are remembered, and can be done without.
    result = json.loads(command("evaluate", the_run(here), "tiny", "--json")[1])
    assert (result["tta"], result["loss"]) == ("flip", expected.loss)
    result = json.loads(command("evaluate", the_run(here), "tiny", "--tta", "none", "--json")[1])
    assert "tta" not in result
    assert result["loss"] == neocog.evaluate(network, tiny().test).loss


def test_the_network_has_the_datas_classes_and_size(command, with_data, here):
    with_data(tiny(side=28, classes=CLASSES[:7]))
    assert command("train", "--model", "lenet5", "--epochs", 1)[0] == 0
    network = neocog.load(the_run(here))
    assert network.input_shape == (3, 28, 28)
    assert network.classes == CLASSES[:7]


def test_a_new_folder_each_time(command, with_data, here):
    with_data()
    for _ in range(3):  # within one second, so that the time in the name is not enough
        assert command("train", "--epochs", 1)[0] == 0
    folders = list((here / "runs").iterdir())
    assert len(folders) == 3
    for folder in folders:
        assert folder.name.startswith("simple-cnn-tiny-")
        assert names_in(folder) == FINISHED


def test_out(command, with_data, here):
    with_data()
    (here / "empty").mkdir()
    for out in ("new/folder", "empty"):
        code, printed, _ = command("train", "--epochs", 1, "--out", out)
        assert code == 0
        assert printed.endswith(f"Results: {out}\n")
        assert names_in(here / out) == FINISHED
    assert not (here / "runs").exists()


# Processes of their own


def test_out_at_home(command, with_data, here, monkeypatch):
    with_data()
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert command("train", "--epochs", 1, "--out", "~/mine")[0] == 0
    assert names_in(here / "mine") == FINISHED
