"""Recipes as files and as plain data."""

import json
import os
import time
import tomllib
from importlib.resources import files

import numpy as np
import pytest
from recipe_data import images

import neocog
from neocog.data import Data, Dataset
from neocog.errors import FormatError, NeocogError, is_plain
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.override import override
from neocog.settings.recipe import RECIPES, Recipe
from neocog.training.experiment import make_network
from neocog.training.rates import rates_of_run


def data(**settings) -> Data:
    pixels = images(**settings)
    labels = np.arange(len(pixels), dtype=np.int64) % 10
    return Data("noise", Dataset(pixels, labels), Dataset(pixels, labels), tuple("abcdefghij"))


# As files


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_plain_data_and_back(name):
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert recipe.about
    plain = json.loads(json.dumps(recipe.to_dict(), allow_nan=False))
    assert Recipe.from_dict(plain) == recipe


def test_every_file_is_a_recipe():
    folder = files("neocog.settings") / "recipes"
    found = {path.name for path in folder.iterdir() if path.name.endswith(".toml")}
    assert found == {f"{name}.toml" for name in RECIPES}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "note" else pytest.param(name, marks=pytest.mark.thorough)
        for name in RECIPES
    ],
)
def test_recipes_fit_their_networks(name):
    """Every pattern for a name matches, and the settings are what `fit` takes."""
    recipe = override(Recipe.load(name), width=0.1)
    network = make_network(recipe, data())
    recipe.optimizer.check(network.parameter_shapes)
    history = neocog.fit(network, data(count=8).train, recipe, epochs=1, threads=1)
    assert np.isfinite(history.losses).all()


def test_the_notes_recipe_is_fits_default():
    recipe = Recipe.load("note")
    assert recipe == Recipe(name="note", about=recipe.about)
    network, same = neocog.models.simple_cnn(), make_network(recipe, data())
    neocog.fit(network, data().train, epochs=1)
    neocog.fit(same, data().train, recipe, epochs=1)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, same.state_dict()[name])


def test_the_best_recipe_is_airbench94s():
    """Its rates, worked out as that script does, for a loss that is a mean and not a sum."""
    batch, lr, decay, momentum = 1024, 11.5, 0.0153, 0.85
    scale = 1024 * (1 + 1 / (1 - momentum))
    of_sum, decay_step = lr / scale, decay * batch / scale
    recipe = Recipe.load("best")
    optimizer = recipe.optimizer
    assert optimizer.momentum == momentum
    assert optimizer.nesterov
    assert optimizer.lr == pytest.approx(of_sum * batch, rel=1e-12)
    assert optimizer.lr * optimizer.weight_decay == pytest.approx(decay_step, rel=1e-12)
    shapes = neocog.models.airbench().parameter_shapes
    rules = {name: optimizer.rule_for(name, shape) for name, shape in shapes.items()}
    for name, rule in rules.items():
        rest = name == "whiten.weight" or (".norm" in name and name.endswith("weight"))
        assert rule.kind == ("frozen" if rest else "sgd"), name
        if ".norm" in name and name.endswith("bias"):
            assert rule.settings[0] == pytest.approx(64 * of_sum * batch, rel=1e-12)
            assert rule.settings[0] * rule.settings[1] == pytest.approx(decay_step, rel=1e-12)
        elif not rest:
            assert rule.settings[:2] == (optimizer.lr, optimizer.weight_decay)
    # Its triangle: 0.2 → 1 at 0.23 of the run → 0.07.
    total = 1000
    factors = rates_of_run(recipe.schedule, None, 0, total, total)[:, 0]
    expected = np.interp(np.arange(total), [0, 230, total], [0.2, 1, 0.07])
    np.testing.assert_allclose(factors, expected, rtol=1e-12)
    assert recipe.averaging == Lookahead(5, 0.95, 3.0)
    assert recipe.freeze_after == {"whiten.bias": 3}
    assert (recipe.epochs, recipe.batch_size, recipe.label_smoothing) == (9.9, 1024, 0.2)
    assert recipe.tta == "flip+shift"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "mine.toml is no recipe"),
        ("\xff", "mine.toml is no recipe"),
        ("epoch = 3", "A recipe has no setting 'epoch'. Did you mean 'epochs'. Known: epochs"),
        ("epochs = 'many'", r"epochs \(='many'\)"),
        ("epochs = 0", r"epochs \(=0\)"),
        ("batch_size = 1.5", r"batch_size \(=1.5\)"),
        ("model = 3", r"model \(=3\) must be a text"),
        (
            "initialization = 'xavier'",
            r"initialization \(='xavier'\) must be one of 'torch', 'air",
        ),
        ("normalize = 'all'", r"normalize \(='all'\)"),
        ("tta = 'twice'", r"tta \(='twice'\)"),
        ("freeze_after = 3", r"freeze_after \(=3\) must be epochs"),
        ("[optimizer]\ntype = 'os.system'", "Unknown optimizer 'os.system'"),
        ("[optimizer]\ntype = 'sgd'\nlr = -1", "lr"),
        ("[schedule]\nlr = 1", "Unknown schedule None"),
        pytest.param(
            f"[optimizer]\ntype = 0x{'e' * 3700}", "Unknown optimizer an object", id="huge type"
        ),
        pytest.param(
            f"[optimizer]\ntype = 'sgd'\ngroups = [0x{'e' * 3700}]",
            "SGD: groups \\(=an object of type tuple\\) must be a tuple of Group",
            id="huge group",
        ),
        ("[augmentation]\nrotation = 3", "no setting 'rotation'. Did you mean 'rotate'"),
        ("[augmentation]\ncrop = 0.35", r"crop \(=0.35\) must be two fractions"),
    ],
)
def test_files_that_are_no_recipes(tmp_path, text, message):
    (tmp_path / "mine.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(NeocogError, match=message) as caught:
        Recipe.load(str(tmp_path / "mine.toml"))
    assert "\n" not in str(caught.value)


def test_recipes_that_are_not_there(tmp_path):
    with pytest.raises(FormatError, match=r"No recipe is called 'beast'\. Did you mean 'best'"):
        Recipe.load("beast")
    with pytest.raises(FormatError, match=r"none\.toml: No such file"):
        Recipe.load(str(tmp_path / "none.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * 65_537)
    with pytest.raises(FormatError, match="larger than the 65,536 bytes"):
        Recipe.load(str(tmp_path / "large.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(FormatError, match=r"folder\.toml: Is a directory"):
        Recipe.load(str(tmp_path / "folder.toml"))
    for name in ("a\0.toml", "a" * 5000 + ".toml"):
        with pytest.raises(FormatError, match="must be the path of a file"):
            Recipe.load(name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.toml")
        (tmp_path / "zero.toml").symlink_to("/dev/zero")
        for name in ("pipe", "zero"):
            with pytest.raises(FormatError, match="not a regular file"):
                Recipe.load(str(tmp_path / f"{name}.toml"))


def test_a_recipe_that_begins_with_a_byte_order_mark(tmp_path):
    (tmp_path / "mine.toml").write_text("epochs = 7\n", encoding="utf-8-sig")
    assert Recipe.load(str(tmp_path / "mine.toml")).epochs == 7
    (tmp_path / "mine.toml").write_text("epochs = 7\n", encoding="utf-16")
    with pytest.raises(FormatError, match="it is UTF-16; save it as UTF-8"):
        Recipe.load(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = " + "7" * 6000, "digits"),
        ("x" + ".x" * 12_000 + " = 1", r"line 1 has more than 100 dots"),
        ("epochs = 2\n['x'" + ".'x'" * 8_000 + "]", r"line 2 has more than 100 dots"),
        ("a = " + "[" * 30_000, "recursion"),
        ("a = " + "{a=" * 9_000, "recursion"),
        ('epochs = "\\u001b[2J\\u202e"', r"epochs \(="),
    ],
)
def test_recipes_that_would_take_for_ever_are_refused_at_once(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    start = time.process_time()
    with pytest.raises(NeocogError, match=message) as caught:
        Recipe.load(str(tmp_path / "mine.toml"))
    assert time.process_time() - start < 1
    assert is_plain(str(caught.value))
    assert len(str(caught.value)) < 1000


def test_dots_in_a_comment_are_no_key(tmp_path):
    (tmp_path / "mine.toml").write_text("# " + "." * 200 + "\nepochs = 3\n")
    assert Recipe.load(str(tmp_path / "mine.toml")).epochs == 3


def test_a_recipe_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text("epochs = 2\n[averaging]\ntype = 'ema'\n")
    recipe = Recipe.load(str(tmp_path / "mine.toml"))
    assert (recipe.name, recipe.epochs, recipe.averaging) == ("mine", 2, EMA())


# First weights


def test_the_network_of_a_recipe_is_for_the_data():
    recipe = override(Recipe.load("best"), width=0.25)
    network = make_network(recipe, data(count=20))
    assert network.initialized
    assert network.input_shape == (3, 32, 32)
    state = network.state_dict()
    # The second convolution of a block hands on its input: 16 channels to 16.
    weight = state["block1.conv2.weight"]
    np.testing.assert_array_equal(weight[:, :, 1, 1], np.eye(16))
    assert np.count_nonzero(weight) == 16
    assert (state["whiten.weight"][:12] == -state["whiten.weight"][12:]).all()
    same = make_network(recipe, data(count=20)).state_dict()
    for name, value in state.items():
        np.testing.assert_array_equal(value, same[name])


def test_toml_and_plain_data_are_the_same():
    text = (files("neocog.settings") / "recipes" / "best.toml").read_text(encoding="utf-8")
    assert Recipe.from_dict(tomllib.loads(text), "best") == Recipe.load("best")
