"""``neocog train my_net.py:make``: networks from a Python file."""

import pytest
from commands import CLASSES, MODEL_FILE, the_run, tiny

import neocog


@pytest.mark.parametrize("function", ["", ":make", ":small"])
def test_a_model_file(command, with_data, here, function):
    with_data(tiny(side=28, classes=CLASSES[:7]))
    (here / "my_net.py").write_text(MODEL_FILE)
    code, _, err = command("train", "--model", f"my_net.py{function}", "--epochs", 1)
    assert code == 0, err
    assert the_run(here).name.startswith("my_net-tiny-")
    assert neocog.load(the_run(here)).parameter_shapes["fc.weight"] == (7, 3 * 28 * 28)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other.py", "there is no such file"),
        ("my_net.py:other", "'other'"),
        ("broken.py", "broken.py"),
    ],
)
def test_model_files_that_cannot_be(refused, with_data, here, model, message):
    with_data()
    (here / "my_net.py").write_text(MODEL_FILE)
    (here / "broken.py").write_text("1 / 0")
    assert message in refused("train", "--model", model)
