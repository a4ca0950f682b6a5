"""``neocog calibrate``, ``train --calibrate``, and what ``evaluate`` and ``predict`` make of it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from picture_folders import NETWORK, write_classes, write_pictures
from PIL import Image

import neocog
from neocog import Flatten, Linear, Network
from neocog.formats import training_of
from neocog.network_files import save_model

#: How light the pictures of each class are: mostly dark or light, and some that mislead.
SHADES = {"dark": [0] * 9 + [110] * 3, "light": [200] * 9 + [70] * 3}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """Pictures of two classes, and a network that is right about three of four, and far too sure.

    Its scores are ±30 times the mean of what it reads, from −1 to 1.
    """
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, shades in SHADES.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, shade in enumerate(shades):
            pixels = (shade + rng.integers(0, 40, (6, 6, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.png")
    network = Network(input_shape=(3, 6, 6), flatten=Flatten(), fc=Linear(108, 2))
    weight = np.array([[-30.0], [30.0]]) / 108
    network.load_state_dict({"fc.weight": weight.repeat(108, axis=1), "fc.bias": np.zeros(2)})
    network.name_classes(("dark", "light"))
    save_model(network, "net.safetensors", training={"data": "elsewhere", "tta": "flip"})
    return tmp_path


@pytest.fixture
def done(command):
    """Run a command that must succeed; gives stdout."""

    def run(*arguments: object) -> str:
        code, out, err = command(*arguments)
        assert code == 0, err
        return out

    return run


def all_photos():
    resize = neocog.load("net.safetensors").preprocessing.resize
    return neocog.load_data("photos", size=6, resize=resize, validation=0).train


def test_a_model_is_calibrated_on_other_pictures(done):
    plain = neocog.load("net.safetensors")
    expected = plain.copy()
    found = neocog.calibrate(expected, all_photos())
    assert found.loss < found.loss_before
    out = done("calibrate", "net.safetensors", "photos")
    network = neocog.load("net.safetensors")
    assert network.temperature == pytest.approx(found.temperature, rel=1e-6)
    assert network.threshold is None
    assert training_of("net.safetensors") == {"data": "elsewhere", "tta": "flip"}
    np.testing.assert_array_equal(
        network.state_dict()["fc.weight"], plain.state_dict()["fc.weight"]
    )
    assert out.splitlines() == [
        f"Temperature: {found.temperature:.4g}, fitted on 24 images",
        f"Loss: {found.loss:.4f} (before: {found.loss_before:.4f})",
        f"Expected calibration error: {100 * found.ece:.2f} % "
        f"(before: {100 * found.ece_before:.2f} %)",
        "Model: net.safetensors",
    ]


def test_into_another_file_with_a_threshold_and_as_json(done):
    before = Path("net.safetensors").read_bytes()
    out = done(
        *("calibrate", "net.safetensors", "photos", "--accuracy", 0.9, "-o", "b.safetensors"),
        "--json",
    )
    assert Path("net.safetensors").read_bytes() == before
    network, plain = neocog.load("b.safetensors"), json.loads(out)
    assert (plain["model"], plain["temperature"]) == ("b.safetensors", network.temperature)
    assert plain["threshold"] == network.threshold
    assert plain["fitted"]["count"] == 24
    result = neocog.evaluate(network, all_photos())
    assert result.threshold_for(0.9) == pytest.approx(network.threshold)
    assert result.told().accuracy >= 0.9 > result.accuracy


def test_by_hand_without_any_pictures(done):
    done("calibrate", "net.safetensors", "--temperature", 1.5, "--threshold", 0.75)
    network = neocog.load("net.safetensors")
    assert (network.temperature, network.threshold) == (1.5, 0.75)
    assert done("calibrate", "net.safetensors", "--temperature", 1, "--threshold", 0) == (
        "Temperature: 1\nModel: net.safetensors\n"
    )
    network = neocog.load("net.safetensors")
    assert (network.temperature, network.threshold) == (1, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["net.pth", "--temperature", 2],
            "net.pth holds weights alone, and can keep no temperature",
        ),
        (["net.safetensors", "photos", "-o", "x.pth"], "the name must end in .safetensors"),
        (["net.safetensors", "--temperature", 0], "--temperature (=0.0) must be above 0"),
        (["net.safetensors", "--temperature", "nan"], "--temperature (=nan) must be above 0"),
        (["net.safetensors", "--threshold", 2], "--threshold (=2.0) must be a number from 0 to 1"),
        (["net.safetensors", "photos", "--accuracy", 0], "--accuracy (=0.0) must be a part of 1"),
        (["net.safetensors", "parts"], "Of parts only test images are held out"),
        (["net.safetensors", "right"], "All of the 2 images are predicted right"),
        (["net.safetensors", "--temperature", 2, "-o", "no/x.safetensors"], "cannot be written"),
    ],
)
def test_what_cannot_be_calibrated(command, here, arguments, message):
    neocog.load("net.safetensors").save("net.pth")
    for part in ("train", "test"):
        write_classes(here / "parts" / part, [("dark", 2), ("light", 2)])
    write_pictures(here / "right" / "dark", 1, shade=0)
    write_pictures(here / "right" / "light", 1, shade=200)
    before = Path("net.safetensors").read_bytes()
    code, out, err = command("calibrate", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert Path("net.safetensors").read_bytes() == before


def test_a_run_is_calibrated_on_its_validation_pictures(done, here):
    (here / "net.py").write_text(NETWORK)
    options = {"--model": "net.py", "--size": 6, "--epochs": 40, "--validation": 0.5}
    train = ("train", "photos", *(word for pair in options.items() for word in pair))
    done(*train, "--out", "run")
    plain = neocog.load("run")
    held_out = neocog.load_data("photos", size=6, validation=0.5).validation
    expected = neocog.calibrate(plain.copy(), held_out).temperature
    out = done(*train, "--out", "calibrated", "--calibrate")
    assert neocog.load("calibrated").temperature == pytest.approx(expected, rel=1e-6) != 1
    assert f"\nTemperature: {expected:.4g} (validation loss " in out
    info = json.loads(Path("calibrated/run.json").read_text())
    assert info["settings"]["calibrate"] is True
    assert info["validation"]["calibration"]["temperature"] == pytest.approx(expected, rel=1e-6)
    done("calibrate", "run")
    assert neocog.load("run").temperature == pytest.approx(expected, rel=1e-6)


def test_a_run_without_validation_pictures_does_not_begin(command, here):
    for part in ("train", "test"):
        write_classes(here / "parts" / part, [("dark", 2), ("light", 2)])
    (here / "net.py").write_text(NETWORK)
    code, _out, err = command("train", "parts", "--model", "net.py", "--out", "run", "--calibrate")
    assert code == 1
    assert "Of parts only test images are held out, so there are no validation images" in err
    assert not Path("run").exists()


def test_where_all_is_right_a_run_ends_as_usual(command, here, monkeypatch):
    (here / "net.py").write_text(NETWORK)

    def refuse(*_, **__):
        raise neocog.DataError("All of the 4 images are predicted right.")

    monkeypatch.setattr("neocog.cli.train.calibrate_network", refuse)
    code, _out, err = command(
        *("train", "photos", "--model", "net.py", "--epochs", 1, "--size", 6, "--out", "run"),
        "--calibrate",
    )
    assert code == 0
    assert "Not calibrated. All of the 4 images are predicted right." in err
    assert neocog.load("run").temperature == 1


# evaluate


def test_evaluate_writes_the_mistakes_by_file(done):
    out = done("evaluate", "net.safetensors", "photos", "--mistakes", "wrong.csv")
    result = neocog.evaluate(neocog.load("net.safetensors"), all_photos(), tta="flip")
    rows = list(csv.DictReader(io.StringIO(Path("wrong.csv").read_text())))
    assert [row["file"] for row in rows] == [one.name for one in result.mistakes]
    assert all(row["file"].startswith(f"{row['true']}/") for row in rows)
    assert len(rows) >= 2
    assert f"  {rows[0]['file']}: {rows[0]['true']} taken for {rows[0]['predicted']}, " in out
    plain = json.loads(done("evaluate", "net.safetensors", "photos", "--json"))
    assert [one["file"] for one in plain["mistakes"]] == [row["file"] for row in rows]


def test_images_without_files_are_called_as_explain_takes_them(done, here):
    data = all_photos()
    np.savez("data.npz", x_train=data.images, y_train=data.labels, x_test=data.images,
             y_test=data.labels)  # fmt: skip
    network = neocog.load("net.safetensors")
    network.classes = None
    network.save("plain.safetensors")
    plain = json.loads(done("evaluate", "plain.safetensors", "data.npz", "--json"))
    wrong = neocog.evaluate(network, data).mistakes
    assert [one["file"] for one in plain["mistakes"]] == [f"test:{one.index}" for one in wrong]


def test_evaluate_tells_of_a_threshold(done, command):
    result = neocog.evaluate(neocog.load("net.safetensors"), all_photos(), tta="flip")
    left = result.answered(0.9)
    plain = json.loads(done("evaluate", "net.safetensors", "photos", "--json", "--threshold", 0.9))
    assert plain["threshold"]["count"] == left.count
    assert plain["threshold"]["accuracy"] == left.accuracy
    out = done("evaluate", "net.safetensors", "photos", "--threshold", 0.9, "--top-k", 1)
    assert f"Threshold 0.9: {left.count} of 24 images answered" in out
    assert f"Top-1 accuracy: {100 * result.accuracy:.2f} %" in out
    for option, value in (("--threshold", 1.5), ("--top-k", 3), ("--top-k", 0)):
        code, out, err = command("evaluate", "net.safetensors", "photos", option, value)
        assert (code, out) == (1, "")
        assert f"{option} (={value}) must be" in err


def test_it_tells_of_the_models_own_threshold(done):
    done("calibrate", "net.safetensors", "--temperature", 1, "--threshold", 0.9)
    assert "Threshold 0.9: " in done("evaluate", "net.safetensors", "photos")
    assert "Threshold 0.9: " not in done("evaluate", "net.safetensors", "photos", "--threshold", 0)


# predict


def predicted(done, *arguments: object, format_: str = "--jsonl") -> list[dict]:
    out = done("predict", "net.safetensors", "photos", format_, *arguments)
    if format_ == "--csv":
        return list(csv.DictReader(io.StringIO(out)))
    return json.loads(out) if format_ == "--json" else [json.loads(row) for row in out.splitlines()]


def test_below_the_threshold_it_is_none_of_these(done):
    plain = predicted(done)
    sure = sorted(row["probability"] for row in plain)
    least = (sure[1] + sure[2]) / 2
    none = [row["probability"] < least for row in plain]
    assert sum(none) == 2
    for row, without, before in zip(
        predicted(done, "--threshold", least), none, plain, strict=True
    ):
        assert row["label"] == (None if without else before["label"])
        assert (row["guess"], row["probability"]) == (before["label"], before["probability"])
        assert row["top"] == before["top"]
    found = predicted(done, "--threshold", least, format_="--json")
    assert [row["label"] is None for row in found] == none
    assert [row["guess"] for row in found] == [row["label"] for row in plain]
    found = predicted(done, "--threshold", least, format_="--csv")
    assert [row["label"] == "" for row in found] == none
    assert [row["guess"] for row in found] == [row["label"] for row in plain]
    lines = done("predict", "net.safetensors", "photos", "--threshold", least).splitlines()
    assert [": none of these (best guess: " in line for line in lines] == none


def test_the_models_own_threshold_and_none(done):
    plain = predicted(done)
    sure = sorted(row["probability"] for row in plain)
    least = (sure[1] + sure[2]) / 2
    done("calibrate", "net.safetensors", "--temperature", 1, "--threshold", least)
    assert sum(row["label"] is None for row in predicted(done)) == 2
    assert predicted(done, "--threshold", 0) == plain
    labels = neocog.load("net.safetensors").predict(all_photos().images)
    assert (labels == -1).sum() == 2


def test_probabilities_are_the_calibrated_ones(done):
    done("calibrate", "net.safetensors", "--temperature", 2)
    expected = neocog.load("net.safetensors").predict_proba(all_photos().images).max(axis=1)
    found = [row["probability"] for row in predicted(done)]
    np.testing.assert_allclose(sorted(found), sorted(expected.tolist()), rtol=1e-6)


def test_a_threshold_that_cannot_be(command):
    for value in ("1.5", "-0.1", "nan"):
        code, out, err = command("predict", "net.safetensors", "photos", f"--threshold={value}")
        assert (code, out) == (1, "")
        assert "must be a number from 0 to 1" in err
