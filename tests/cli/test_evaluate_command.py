"""``neocog evaluate``: scores and confusions, the models that it takes, and what it refuses."""

import importlib
import json
import re

import numpy as np
import pytest
from commands import tiny

import neocog
from neocog.network_files import save_model


def test_evaluate_prints_scores_and_confusion(command, with_data, model):
    with_data()
    expected = neocog.evaluate(neocog.load(model), tiny().test)
    code, out, err = command("evaluate", model, "tiny")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"Loss: {expected.loss:.4f}"
    assert lines[1].startswith(f"Test accuracy: {100 * expected.accuracy:.2f} % of 30 images (95 %")
    assert max(map(len, lines)) <= 80
    first = next(n for n, line in enumerate(lines) if "F1" in line) + 1
    for line, score in zip(lines[first : first + 10], expected.per_class, strict=True):
        assert line.split()[:2] == [score.name, "3"]
        parts = (score.precision, score.recall, score.f1)
        assert re.findall(r"\d+\.\d", line) == [f"{100 * p:.1f}" for p in parts if p is not None]
    first = next(n for n, line in enumerate(lines) if line.split() == list(expected.classes)) + 1
    matrix = [list(map(int, line.split()[1:])) for line in lines[first : first + 10]]
    np.testing.assert_array_equal(matrix, expected.confusion)


def test_evaluate_of_many_classes_lists_what_is_mixed_up_most(command, here, with_data):
    classes = (*(f"a rather long name of class {k}" for k in range(15)), "tab\tand \u200cjoiner")
    data = tiny(test=200, classes=classes)
    network = neocog.models.simple_cnn(16)
    network.initialize(0)
    network.name_classes(classes)
    network.save(here / "many.safetensors")
    with_data(data)
    out = command("evaluate", "many.safetensors", "tiny")[1]
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert r"tab\tand " in out
    confusion = neocog.evaluate(network, data.test).confusion
    np.fill_diagonal(confusion, 0)
    k, taken = np.unravel_index(confusion.argmax(), confusion.shape)
    first = lines[lines.index("Most often mixed up (--json has all):") + 1]
    names = [f"{name[:24]}…" if len(name) > 24 else name for name in classes]
    assert first == f"  {names[k]} taken for {names[taken]}: {confusion.max()}"


def test_evaluate_takes_every_kind_of_model(command, with_data, model):
    with_data()
    results = {}
    for file in ("", "last.safetensors", "cnn_model.pth"):
        code, out, err = command("evaluate", model / file, "tiny", "--json")
        assert code == 0
        result = json.loads(out)
        assert result.pop("model") == str(model / file)
        result.pop("seconds")
        results[file] = result
        assert ("weights alone" in err) == file.endswith(".pth")
    assert results[""] == results["last.safetensors"] == results["cnn_model.pth"]
    assert results[""].keys() == {
        *("data", "part", "loss", "accuracy", "accuracy_interval", "top_k", "count", "macro"),
        *("classes", "confusion", "calibration", "threshold", "thresholds", "thresholds_for"),
        "mistakes",
    }
    assert results[""]["data"] == "tiny"
    assert results[""]["count"] == 30
    assert results[""]["accuracy"] > 0.9  # else the network did not learn, and shows little


def test_evaluate_knows_what_a_model_was_trained_on(command, monkeypatch, model):
    asked = []

    def load_data(name, **_):
        asked.append(name)
        return tiny(name=name)

    monkeypatch.setattr(importlib.import_module("neocog.cli.evaluate"), "load_data", load_data)
    network = neocog.load(model)
    save_model(network, model / "last.safetensors", training={"data": "shapes"})
    code, _, err = command("evaluate", model / "last.safetensors")
    assert code == 0
    assert err.endswith(
        "safetensors does not say which images shapes had: whether it was trained on these cannot "
        "be checked.\n"
    )
    code, _, err = command("evaluate", model, "other")
    assert (code, "cannot be checked" in err) == (0, False)
    # A file chooses no path.
    save_model(network, model / "last.safetensors", training={"data": "/etc/passwd"})
    code, _, err = command("evaluate", model)
    assert code == 1
    assert "does not say where the data /etc/passwd lie" in err
    assert asked == ["shapes", "other"]


def test_commands_say_that_they_compile(command, with_data, model, pictures, monkeypatch):
    with_data()
    # As if nothing had been compiled before; then it is read from where it is.
    monkeypatch.setattr("neocog.engine.compilation.kept_kernel", lambda *_: None)
    monkeypatch.setattr("neocog.engine.compilation._share", lambda *_: None)
    said = r"Compiling \d+ kernels for this network \(first time only\) …\n"
    for arguments in (["evaluate", model, "tiny"], ["predict", model, pictures[0]]):
        code, _, err = command(*arguments)
        assert code == 0
        assert re.fullmatch(said, err)
    code, _, err = command("train", "--epochs", 1)
    assert re.fullmatch(
        f"Engine: .*\n{said}(Compiled in .*\n)?Epoch 1 of 1: loss .*\n({said})+", err
    )


def test_evaluate_asks_for_data_that_it_cannot_know(command, model):
    code, out, err = command("evaluate", model / "cnn_model.pth")
    assert (code, out) == (1, "")
    assert "Name the data" in err.splitlines()[-1]


@pytest.mark.parametrize("threads", [0, -1])
def test_evaluate_refuses_silly_threads(refused, with_data, model, threads):
    with_data()
    assert f"threads (={threads})" in refused("evaluate", model, "tiny", "--threads", threads)


def test_evaluate_refuses_other_classes(refused, with_data, model):
    with_data(tiny(classes=tuple("abcdefghij")))
    assert "knows the classes class0" in refused("evaluate", model, "tiny")


def test_evaluate_refuses_images_of_another_size(refused, with_data, model):
    with_data(tiny(side=28))
    assert "28" in refused("evaluate", model, "tiny")


def test_evaluate_refuses_a_model_of_another_number_of_classes(command, with_data, here):
    network = neocog.models.simple_cnn(7)
    network.initialize(0)
    network.save(here / "seven.pth")
    with_data()
    code, out, err = command("evaluate", "seven.pth", "tiny")
    assert (code, out) == (1, "")
    assert "7 classes, but tiny has 10" in err.splitlines()[-1]
