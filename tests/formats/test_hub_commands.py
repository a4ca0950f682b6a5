"""``neocog export --to hub``, and the commands that take such a folder."""

import json

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog.formats.hub_folder import CONFIG, FILES
from neocog.network_files import save_model
from neocog.serving.model import _look


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here):
    """A run folder, as a training leaves it."""
    net = neocog.models.simple_cnn(3, width=0.25)
    net.initialize(0)
    net.classes = ("red", "green", "blue")
    (here / "run").mkdir()
    save_model(net, here / "run" / "last.safetensors", {"data": "colors"})
    found = {"accuracy": 0.75, "accuracy_interval": {"level": 0.95, "low": 0.7, "high": 0.8}}
    said = {"data": {"name": "colors"}, "test": {**found, "count": 99}}
    (here / "run" / "run.json").write_text(json.dumps(said))
    return "run"


@pytest.fixture
def picture(here):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(here / "a.png")
    return "a.png"


def test_a_run_becomes_a_folder_with_its_figures(command, run, here):
    assert command("export", run, "--to", "hub") == (0, "run-hub: hub, 0.0 MiB\n", "")
    assert sorted(path.name for path in (here / "run-hub").iterdir()) == sorted(FILES)
    assert "| 99 | 75.00 % | 70.00 to 80.00 % |" in (here / "run-hub" / "README.md").read_text()


def test_the_file_of_the_run_is_the_same_model(command, run, here):
    assert command("export", f"{run}/last.safetensors", "--to", "hub", "--out", "made")[0] == 0
    assert "75.00 %" in (here / "made" / "README.md").read_text()
    (here / "run" / "last.safetensors").rename(here / "run" / "other.safetensors")
    assert command("export", f"{run}/other.safetensors", "--to", "hub", "--out", "x")[0] == 0
    assert "75.00 %" not in (here / "x" / "README.md").read_text()


def test_nothing_is_overwritten_unless_asked_for(command, run):
    command("export", run, "--to", "hub")
    code, out, err = command("export", run, "--to", "hub")
    assert (code, out) == (1, "")
    assert "run-hub holds something already" in err
    code, out, _ = command("export", run, "--to", "hub", "--overwrite", "--json")
    assert code == 0
    assert json.loads(out)["format"] == "hub"


def test_options_of_programs_are_refused(command, run):
    for option in ("--int8", "--float-input", "--no-softmax"):
        code, _, err = command("export", run, "--to", "hub", option)
        assert code == 1
        assert "hub has no such choice" in err


def test_commands_take_it_as_the_run_that_it_is_from(command, run, picture):
    command("export", run, "--to", "hub")
    for arguments in (
        ("predict", "MODEL", picture, "--json"),
        ("summary", "MODEL", "--json"),
        ("explain", "MODEL", picture, "--json", "--out", "page.html"),
    ):
        wanted, found = (
            command(*(model if one == "MODEL" else one for one in arguments))
            for model in (run, "run-hub")
        )
        assert found[0] == wanted[0] == 0, found[2]
        assert found[1].replace("run-hub", "run") == wanted[1]


def test_it_becomes_every_other_format(command, run, here):
    command("export", run, "--to", "hub")
    for suffix in ("pth", "safetensors"):
        assert command("export", "run-hub", "--out", f"a.{suffix}")[0] == 0
    one, two = neocog.load(here / "a.safetensors"), neocog.load(here / "run")
    assert one.classes == two.classes
    for name, value in two.state_dict().items():
        np.testing.assert_array_equal(one.state_dict()[name], value)


def test_calibrate_writes_elsewhere(command, run):
    command("export", run, "--to", "hub")
    code, _, err = command("calibrate", "run-hub", "--threshold", "0.5")
    assert code == 1
    assert "name a .safetensors to write, as in --out model.safetensors" in err


def test_a_server_sees_that_it_has_changed(command, run, here):
    command("export", run, "--to", "hub")
    before = _look(here / "run-hub")
    assert before is not None
    net = neocog.load(here / "run-hub")
    net.temperature = 2.0
    neocog.export(net, here / "run-hub", to="hub", overwrite=True)
    assert _look(here / "run-hub") != before
    (here / "run-hub" / CONFIG).unlink()
    assert _look(here / "run-hub") is None
