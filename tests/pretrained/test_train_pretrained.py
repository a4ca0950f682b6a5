"""``neocog train --pretrained``: weights by others from the command line, and what contradicts."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from made_weights import assert_has, random_state
from PIL import Image

import neocog
from neocog.cli import main, transfer
from neocog.cli.given_weights import settled
from neocog.errors import NeocogError
from neocog.formats import save_pth
from neocog.kernels.compiler import kernel_cache
from neocog.network_files import load_model
from neocog.settings.toml import read_toml
from neocog.training.run_records import read_info


@pytest.fixture
def train(tmp_path, monkeypatch):
    """The command on a folder with six pictures; gives its exit code."""
    kernel_cache.is_open()  # finds the kernels' folder, once for a process
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for k in range(6):
        path = tmp_path / "photos" / ("red", "green")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (120, 120, 3), np.uint8)).save(path)

    def train(*words):
        data = [str(tmp_path / "photos"), "--out", str(tmp_path / "run"), "--validation", "0.2"]
        return main(["train", *data, *map(str, words)])

    return train


def test_a_file_with_names_of_others(train, timm_file, lite0, tmp_path, capsys):
    assert train("--pretrained", timm_file) == 0
    err = capsys.readouterr().err
    assert f"Network: efficientnet-lite0 with the weights of {timm_file}, by timm's names" in err
    run = tmp_path / "run"
    network = load_model(run / "last.safetensors")
    assert network.classes == ("green", "red")
    head = {name: value for name, value in network.state_dict().items() if "classifier" in name}
    assert_has(network, lite0 | head)
    settings = read_info(run)["settings"]
    assert settings["pretrained"] == str(timm_file)
    assert (settings["model"], settings["transfer"]) == ("efficientnet-lite0", "auto")


def test_a_file_without_a_last_layer_and_a_recipe(train, lite0, tmp_path, capsys):
    headless = {name: value for name, value in lite0.items() if "classifier" not in name}
    save_pth(headless, tmp_path / "features.pth")
    words = ["--pretrained", tmp_path / "features.pth", "--recipe", "standard", "--views", "whole"]
    assert train(*words, "--transfer", "head") == 0
    settings = read_info(tmp_path / "run")["settings"]
    assert (settings["model"], settings["transfer"]) == ("efficientnet-lite0", "head")
    # The recipe's settings of steps are kept for another depth, and are none of this run.
    assert "optimizer" not in settings
    kept = read_toml(tmp_path / "run" / "config.toml", "configuration")
    assert kept["optimizer"]["momentum"] == neocog.Recipe.load("standard").optimizer.momentum


def test_a_network_that_neocog_saved(train, tmp_path, capsys):
    """It is the same as ``--model``, and the run says so."""
    network = neocog.models.resnet8(3, width=0.5, input_shape=(3, 16, 16))
    network.initialize(2)
    network.save(tmp_path / "mine.safetensors")
    assert train("--pretrained", tmp_path / "mine.safetensors") == 0
    settings = read_info(tmp_path / "run")["settings"]
    assert settings["model"] == str(tmp_path / "mine.safetensors")
    assert (settings.get("pretrained"), settings["transfer"]) == (None, "auto")


def test_the_hub(train, tmp_path, monkeypatch, capsys):
    asked = []

    def opened(source, model, needs_head):
        asked.append((source, model))
        network = neocog.models.resnet8(3, width=0.5, input_shape=(3, 16, 16))
        network.initialize(2)
        return SimpleNamespace(network=network, model="resnet18-224", notes=("It.",))

    monkeypatch.setattr(transfer, "open_pretrained", opened)
    assert train("--pretrained", "hf:timm/resnet18.a1_in1k") == 0
    assert asked == [("hf:timm/resnet18.a1_in1k", None)]
    config = tmp_path / "run" / "config.toml"
    assert main(["train", "--config", str(config), "--out", str(tmp_path / "again")]) == 0
    assert asked[1:] == [("hf:timm/resnet18.a1_in1k", "resnet18-224")]


def refusals():
    lite0, other = random_state("efficientnet-lite0"), random_state("resnet8", 10)
    stem = lite0["conv_stem.weight"]
    yield "another network's", other, [], "its tensors are those of no network that is known"
    yield "another named", lite0, ["--model", "resnet18-224"], "not the weights of resnet18-224"
    wide = {**lite0, "conv_stem.weight": np.repeat(stem, 2, axis=0)}
    yield "a shape off", wide, [], "conv_stem.weight is (64, 3, 3, 3), not (32, 3, 3, 3)"
    most = dict(list(lite0.items())[: len(lite0) * 2 // 3])
    yield "some missing", most, [], "it lacks blocks."
    half = dict(list(lite0.items())[: len(lite0) // 2 - 1])
    yield "half missing", half, ["--model", "efficientnet-lite0"], "it lacks blocks."


@pytest.mark.parametrize(("state", "words", "message"), [
    pytest.param(*rest, id=what) for what, *rest in refusals()
])  # fmt: skip
def test_weights_that_do_not_fit(train, tmp_path, capsys, state, words, message):
    save_pth(state, tmp_path / "weights.pth")
    assert train("--pretrained", tmp_path / "weights.pth", *words) == 1
    assert_refused(tmp_path, capsys, message)


def assert_refused(tmp_path, capsys, message):
    """That one line says it, and that there is no run folder."""
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("neocog: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_damaged_and_hostile_files(train, timm_file, tmp_path, capsys):
    import pickle

    class Hostile:
        def __reduce__(self):
            return print, ("it was run",)

    files = {
        "cut.pth": timm_file.read_bytes()[:9999],
        "hostile.pth": pickle.dumps({"conv_stem.weight": Hostile()}, 2),
        "long.safetensors": (2**60).to_bytes(8, "little") + b"{}",
        "empty.pth": b"",
        "notes.json": json.dumps({}).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert train("--pretrained", tmp_path / name) == 1
        assert_refused(tmp_path, capsys, f"neocog: {tmp_path / name}: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pretrained", "none.pth"], "none.pth: there is no such file"),
        (["--pretrained", "efficientnet-lite9"], "Did you mean 'efficientnet-lite2'?"),
        (["--pretrained", "hf:timm"], "timm is no name of a repository"),
        (["--model", "hf:timm/resnet18.a1_in1k"], "say it with --pretrained"),
        (["--pretrained", "x.pth", "--transfer", "none"], "--pretrained goes with --transfer"),
        (["--views", "flips", "--transfer", "none"], "--views goes with --transfer"),
        (["--pretrained", "x.pth", "--model", "resnet8"], "--model resnet8 is none of them"),
        (["--pretrained", "x.pth", "--model", "y.pth"], "y.pth has weights, and so has --pretrai"),
        (["--pretrained", "x.pth", "--width", "2"], "--width is for training from nothing"),
        (["--pretrained", "x.pth", "--init", "airbench"], "--init is for training from nothing"),
    ],
)
def test_options_that_contradict_each_other(train, tmp_path, capsys, words, message):
    assert train(*words) == 1
    assert_refused(tmp_path, capsys, message)


def test_a_saved_network_has_no_other_name(tmp_path):
    network = neocog.models.resnet8(3, width=0.5, input_shape=(3, 16, 16))
    network.initialize(2)
    network.save(tmp_path / "mine.safetensors")
    given = {"pretrained": str(tmp_path / "mine.safetensors"), "model": "mobilenet-v2"}
    with pytest.raises(NeocogError, match="has its own network: leave --model out"):
        settled(given)


def test_what_asks_for_transfer(tmp_path, monkeypatch):
    """But the depth of a recipe or a run stays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(b"")
    assert settled({"pretrained": "x.pth"}) == {
        "pretrained": str(tmp_path / "x.pth"),
        "transfer": "auto",
    }
    assert settled({"transfer_minutes": 1.0}) == {"transfer_minutes": 1.0, "transfer": "auto"}
    assert "transfer" not in settled({"transfer_views": "flips"}, "head")
    assert settled({"pretrained": "none", "seed": 1}) == {"pretrained": "none", "seed": 1}
