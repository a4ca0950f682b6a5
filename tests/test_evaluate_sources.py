"""``neocog evaluate``: which part of which pictures a network is judged by."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from picture_folders import NETWORK, write_classes, write_pictures

import neocog
from neocog import Flatten, Linear, Network
from neocog.cli import main
from neocog.data import Data, Dataset
from neocog.loading import open_network
from neocog.matching import in_order_of
from neocog.preprocessing import Preprocessing, Resize
from neocog.trained_on import trained_on


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


@pytest.fixture
def command(capsys):
    """Run a command here; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        return main([str(a) for a in arguments]), *capsys.readouterr()

    return run


@pytest.fixture
def judged(command):
    """Evaluate; gives what the JSON says."""

    def run(*arguments: object) -> dict:
        code, out, err = command("evaluate", *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def run(command, here) -> str:
    """A network that was trained on `photos`, of two classes."""
    write_classes(here / "photos", [("dark", 10), ("light", 10)])
    code, _out, err = command(
        *("train", "photos", "--model", "net.py", "--epochs", 1, "--out", "run", "--size", 6)
    )
    assert code == 0, err
    return "run"


def loss_of(data: Dataset, model: str = "run") -> float:
    return neocog.evaluate(neocog.load(model), data).loss


def test_a_run_is_judged_by_what_it_was_not_trained_on(judged, run, here):
    resize = Resize("stretch", "bilinear")
    held_out = neocog.load_data("photos", size=6, resize=resize).validation
    for arguments in ([run], [run, "photos"], [run, here / "photos"], [f"{run}/best.safetensors"]):
        found = judged(*arguments)
        assert (found["part"], found["count"]) == ("validation", 4)
        assert found["loss"] == loss_of(held_out)


def test_also_where_only_its_file_is_left(judged, run, here):
    shutil.copy(here / "run" / "best.safetensors", here / "alone.safetensors")
    assert judged("alone.safetensors", "photos")["part"] == "validation"


def test_other_pictures_are_all_new_to_it(judged, run, here):
    write_classes(here / "others", [("dark", 7), ("light", 4)], size=(30, 22))
    found = judged(run, "others")
    assert (found["part"], found["count"]) == ("all", 11)
    resize = neocog.load(run).preprocessing.resize
    parts = neocog.load_data("others", size=6, resize=resize, validation=0).train
    assert found["loss"] == pytest.approx(loss_of(parts), rel=1e-6)
    assert judged(run, "others", "--validation", 0.5)["part"] == "validation"


def test_what_is_judged_is_said(command, run, here):
    assert "\nValidation accuracy: " in command("evaluate", run)[1]
    write_classes(here / "others", [("dark", 1), ("light", 1)])
    out = command("evaluate", run, "others")[1]
    assert "\nAccuracy: " in out
    assert "% of 2 images" in out


@pytest.mark.parametrize(
    ("parts", "judged_by"),
    [
        (("train", "test"), "test"),
        (("train", "val"), "validation"),
        (("train", "valid", "test"), "test"),
    ],
)
def test_sources_with_parts(judged, run, here, parts, judged_by):
    counts = {"train": 5, "val": 2, "valid": 2, "test": 3}
    for part in parts:
        write_classes(here / "others" / part, [("dark", counts[part]), ("light", counts[part])])
    found = judged(run, "others")
    assert (found["part"], found["count"]) == (judged_by, {"test": 6, "validation": 4}[judged_by])


def test_classes_are_matched_by_name(judged, command, run, here):
    # Those of a folder are numbered by name; here only one, which is the network's second.
    write_pictures(here / "others" / "light", 3, shade=200)
    found = judged(run, "others")
    assert [one["count"] for one in found["classes"]] == [0, 3]
    write_pictures(here / "others" / "dusk", 1, shade=90)
    write_pictures(here / "others" / "dawn", 1, shade=90)
    code, out, err = command("evaluate", run, "others")
    assert (code, out) == (1, "")
    assert "others has classes that run does not know: dawn, dusk. It knows dark, light." in err
    assert [one["count"] for one in judged(run, "others", "--classes", "light")["classes"]] == [
        0,
        3,
    ]


def test_data_in_another_order_of_classes():
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2, 1)
    labels = np.array([0, 1, 1])
    data = Data("d", Dataset(images, labels), Dataset(images[:1], labels[:1]), ("b", "c"))
    found = in_order_of(data, ("c", "a", "b"))
    assert found.classes == ("c", "a", "b")
    assert found.train.labels.tolist() == [2, 0, 0]
    assert found.test.labels.tolist() == [2]
    assert in_order_of(data, ("a", "b")) is data
    assert in_order_of(data, None) is data
    assert in_order_of(data, ("b", "c")) is data


def test_pictures_are_made_to_fit_as_the_network_says(judged, here):
    network = Network(
        input_shape=(1, 5, 7),
        preprocessing=Preprocessing((0.5,), (0.5,), Resize("letterbox", "box", fill=9)),
        flatten=Flatten(),
        fc=Linear(35, 2),
    )
    network.initialize(0)
    network.name_classes(("a", "b"))
    network.save("net.safetensors")
    write_classes(here / "photos", [("a", 2), ("b", 2)], size=(20, 9))
    resize = Resize("letterbox", "box", fill=9)
    data = neocog.load_data("photos", size=(5, 7), channels=1, resize=resize, validation=0)
    found = judged("net.safetensors", "photos")
    assert found["loss"] == pytest.approx(loss_of(data.train, "net.safetensors"), rel=1e-6)
    opened = open_network("net.safetensors", "photos")
    assert opened.data.train.images.shape[1:] == (5, 7, 1)


def test_pictures_that_changed_are_noticed(command, run, here):
    write_pictures(here / "photos" / "dark", 1, shade=50, seed=9)
    code, out, err = command("evaluate", run)
    assert (code, out) == (1, "")
    assert f"run was trained on other images than {here / 'photos'} now has" in err
    code, _out, err = command("evaluate", run, "photos")
    assert code == 0
    assert "trained on other images than these, although the name is the same" in err
    assert open_network(run).data is None


def test_a_runs_options_are_looked_at_before_they_are_used(run, here):
    path = here / "run" / "run.json"
    info = json.loads(path.read_text())
    assert trained_on(run).options == {}
    for options in (
        {"validation": 0.5},
        {"classes": ["light", "dark"], "split_seed": 3},
    ):
        path.write_text(json.dumps(info | {"data": info["data"] | {"options": options}}))
        found = trained_on(run).options
        assert {k: list(v) if k == "classes" else v for k, v in found.items()} == options
    for options in (
        *([], "x", {"validation": 2}, {"validation": "0.5"}, {"threads": 100}),
        *({"classes": "dark"}, {"progress": None}, {"nothing": 1}),
    ):
        path.write_text(json.dumps(info | {"data": info["data"] | {"options": options}}))
        assert trained_on(run).options == {}, options
        assert trained_on(run).source is None, options


def test_options_of_pictures_are_not_for_data_with_names(command, run):
    code, out, err = command("evaluate", run, "shapes", "--split-seed", 3)
    assert (code, out) == (1, "")
    assert "--split-seed is for a folder or file of pictures" in err


def test_bad_pictures_are_named_or_skipped(command, judged, run, here):
    write_classes(here / "others", [("dark", 60), ("light", 60)], size=(4, 4))
    (here / "others" / "dark" / "bad.png").touch()
    code, out, err = command("evaluate", run, "others")
    assert (code, out) == (1, "")
    assert "1 of 121 pictures cannot be read" in err
    assert "dark/bad.png" in err
    assert judged(run, "others", "--on-bad", "skip")["count"] == 120
