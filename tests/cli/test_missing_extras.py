"""Without an extra, whatever needs it says in one message how to install it; all else works."""

import json
import subprocess
import sys

import numpy as np
import pytest
from child_processes import environment
from PIL import Image

import neocog
from neocog.network_files import save_model

# What the extras bring, as where none is installed. Packages of weights are no modules.
WITHOUT = """
import contextlib, importlib.metadata as metadata, io, json, sys

for name in (
    "huggingface_hub", "matplotlib", "onnx", "onnxruntime", "optuna", "pyarrow", "simplejpeg",
    "sklearn", "torch",
):
    sys.modules[name] = None
installed = metadata.distribution

def distribution(name):
    if name.startswith("efficientnet"):
        raise metadata.PackageNotFoundError(name)
    return installed(name)

metadata.distribution = distribution
"""
COMMANDS = """
from neocog.cli import main

for command in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                code = main(command)
            except SystemExit as stop:
                code = stop.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
FUNCTIONS = """
import neocog

network = neocog.load("net.safetensors")
explanation = neocog.explain(network, "pictures/dark/0.png")
for function in (
    network.to_torch,
    lambda: neocog.from_torch(None),
    lambda: neocog.ImageClassifier,
    lambda: neocog.load_pretrained("efficientnet-lite0"),
    explanation.figure,
):
    try:
        function()
    except neocog.NeocogError as error:
        print(error)
"""

NEEDS = {
    "export net.safetensors --to onnx": "onnx",
    "export net.safetensors --to torch-export": "torch",
    "train pictures --engine torch": "torch",
    "train pictures --device cuda": "torch",
    "train pictures --precision bf16": "torch",
    "train pictures --compile": "torch",
    "evaluate net.safetensors pictures --engine torch": "torch",
    "predict net.safetensors pictures/dark/0.png --engine torch": "torch",
    "tune pictures": "tune",
    "push net.safetensors someone/something": "hub",
    "pull someone/something": "hub",
    "data check pictures.parquet": "parquet",
    "train pictures.parquet": "parquet",
    "train pictures --model efficientnet-lite0 --transfer head": "pretrained",
}
WORKS = (
    "export net.safetensors --to pth",
    "export net.safetensors --to hub",
    "predict net.safetensors pictures/dark/0.png",
    "evaluate net.safetensors pictures",
    "data check pictures",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("without")
    rng = np.random.default_rng(0)
    for name, light in (("dark", 0), ("light", 150)):
        (folder / "pictures" / name).mkdir(parents=True)
        for n in range(6):
            pixels = rng.integers(light, light + 100, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{n}.png")
    (folder / "pictures.parquet").write_bytes(b"PAR1" + bytes(20) + b"PAR1")
    network = neocog.models.simple_cnn(2, input_shape=(3, 16, 16))
    network.initialize(0)
    network.name_classes(("dark", "light"))
    save_model(network, folder / "net.safetensors")
    return folder


def without(folder, code, given=None):
    """The lines that a program prints where no extra is installed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code],
        input=json.dumps(given),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def found(folder):
    """What each command came to: its exit code, and what it said on stdout and stderr."""
    commands = (*NEEDS, *WORKS)
    lines = without(folder, COMMANDS, [command.split() for command in commands])
    return dict(zip(commands, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("command", NEEDS)
def test_it_says_what_to_install(found, command):
    code, out, err = found[command]
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith("neocog: ")
    assert f"pip install 'neocog[{NEEDS[command]}]'" in err


@pytest.mark.parametrize("command", WORKS)
def test_it_needs_no_extra(found, command):
    assert found[command][0] == 0, found[command]


def test_functions_say_what_to_install(folder):
    messages = without(folder, FUNCTIONS)
    extras = ("torch", "torch", "sklearn", "pretrained", "figures")
    assert len(messages) == len(extras)
    for message, extra in zip(messages, extras, strict=True):
        assert f"pip install 'neocog[{extra}]'" in message
