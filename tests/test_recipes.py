"""Recipes as files and as plain data, changes to them, and first weights beside PyTorch's."""

import json
import os
import time
import tomllib
from importlib.resources import files

import numpy as np
import pytest

import neocog
from neocog import SGD, Adam, Conv2d, Flatten, Linear, MaxPool2d, Muon, reference, schedules
from neocog.data import Data, Dataset
from neocog.errors import DataError, FormatError, NeocogError, is_plain
from neocog.training import EMA, Augmentation, Group, Lookahead
from neocog.training.freezing import with_frozen
from neocog.training.initialization import dirac, initialize, normalize, whiten_first
from neocog.training.recipes import RECIPES, Recipe, is_file, override


def images(count=50, side=32, channels=3, seed=0) -> np.ndarray:
    """Noise whose neighbors are alike, as pixels are; each channel with a mean of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, side + 2, side + 2, channels))
    smooth = sum(noise[:, i : i + side, j : j + side] for i in range(3) for j in range(3))
    return np.clip(10 * smooth + 60 + 40 * np.arange(channels), 0, 255).astype(np.uint8)


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
    folder = files("neocog.training.recipes")
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
    recipe = override(Recipe.load(name), {"width": 0.1})
    network = recipe.network(data())
    recipe.optimizer.check(network.parameter_shapes)
    history = neocog.fit(
        network, data(count=8).train, **{**recipe.fit_settings(), "epochs": 1}, threads=1
    )
    assert np.isfinite(history.losses).all()


def test_the_notes_recipe_is_fits_default():
    settings = Recipe.load("note").fit_settings()
    assert settings == Recipe().fit_settings()
    network, same = neocog.models.simple_cnn(), Recipe.load("note").network(data())
    neocog.fit(network, data().train, epochs=1)
    neocog.fit(same, data().train, **{**settings, "epochs": 1})
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
    factors = recipe.schedule.rates(0, total, total)[:, 0]
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
        ("epoch = 3", "A recipe has no setting 'epoch'. Known: name, about, model"),
        ("epochs = 'many'", r"epochs \(='many'\)"),
        ("epochs = 0", r"epochs \(=0\)"),
        ("batch_size = 1.5", r"batch_size \(=1.5\)"),
        ("model = 3", r"model \(=3\) must be a text"),
        ("initialization = 'xavier'", r"initialization \(='xavier'\) must be 'torch' or"),
        ("normalize = 'all'", r"normalize \(='all'\)"),
        ("tta = 'twice'", r"tta \(='twice'\)"),
        ("freeze_after = 3", r"freeze_after \(=3\) must give epochs"),
        ("[optimizer]\ntype = 'os.system'", "Unknown optimizer 'os.system'"),
        ("[optimizer]\ntype = 'sgd'\nlr = -1", "lr"),
        ("[schedule]\nlr = 1", "Unknown schedule None"),
        pytest.param(
            f"[optimizer]\ntype = 0x{'e' * 3700}", "Unknown optimizer an object", id="huge type"
        ),
        pytest.param(
            f"[optimizer]\ntype = 'sgd'\ngroups = [0x{'e' * 3700}]",
            "groups: an object of type int is no group of settings",
            id="huge group",
        ),
        ("[augmentation]\nrotation = 3", "'rotation' is not known"),
        ("[augmentation]\ncrop = 0.35", r"crop \(=0.35\) must be two shares"),
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


# Changed


def test_no_change_is_the_same_recipe():
    for name in RECIPES:
        recipe = Recipe.load(name)
        assert override(recipe, {"epochs": None, "lr": None}) == recipe


def test_settings_of_a_part_change_that_one_alone():
    best = Recipe.load("best")
    other = override(best, {"momentum": 0.9, "translate": 4, "epochs": 3, "tta": "none"})
    assert other.optimizer.momentum == 0.9
    assert other.optimizer.groups == best.optimizer.groups
    assert other.augmentation == Augmentation("alternating", 4)
    assert (other.epochs, other.tta) == (3, None)
    assert override(best, {"flip": "none"}).augmentation == Augmentation(translate=2)
    photographs = {"crop": 0.35, "rotate": 10, "trivial_augment": True}
    with_crop = override(best, photographs)
    assert with_crop.augmentation == Augmentation(
        "alternating", 2, crop=(0.35, 1.0), rotate=10.0, trivial_augment=True
    )
    assert override(with_crop, {"crop": (0.5, 0.6)}).augmentation.crop == (0.5, 0.6)
    nothing = override(with_crop, {"crop": 0, "rotate": 0, "trivial_augment": False})
    assert nothing.augmentation == best.augmentation
    with pytest.raises(NeocogError, match=r"crop \(=\(35, 1.0\)\) must be two shares"):
        override(best, {"crop": 35})
    assert override(best, {"schedule": "warm-up"}).schedule == best.schedule
    assert override(best, {"schedule": "cosine"}).schedule == schedules.Cosine()
    assert override(best, {"ema": 0.9}).averaging == EMA(0.9)
    assert override(best, {"ema": 0}).averaging is None
    assert override(override(best, {"clip_norm": 2}), {"clip_norm": 0}).clip_norm is None


def test_the_rate_takes_the_rates_of_groups_with_it():
    other = override(Recipe.load("best"), {"lr": 0.75}).optimizer
    assert other.lr == 0.75
    assert [group.lr for group in other.groups] == [None, None, 48.0]


def test_another_optimizer_has_its_own_defaults_and_leaves_at_rest_what_was():
    other = override(Recipe.load("best"), {"optimizer": "adam"}).optimizer
    frozen = tuple(Group(match, frozen=True) for match in ("whiten.weight", "*.norm?.weight"))
    assert other == Adam(groups=frozen)
    assert override(Recipe.load("note"), {"optimizer": "adam", "lr": 0.1}).optimizer == Adam(0.1)


def test_another_model_takes_nothing_that_names_layers():
    other = override(Recipe.load("best"), {"model": "vgg-small"})
    assert (other.initialization, other.freeze_after, other.optimizer.groups) == ("torch", {}, ())
    assert override(Recipe.load("minute"), {"model": "resnet8"}).width == 1.0
    assert override(Recipe.load("minute"), {"width": 0.5}).width == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'"),
        ({"optimizer": "lion"}, "Unknown optimizer 'lion'"),
        ({"schedule": "square"}, "Unknown schedule 'square'"),
        ({"optimizer": ["sgd"]}, r"Unknown optimizer \['sgd'\]"),
        ({"schedule": 10**5000}, "Unknown schedule an object of type int"),
        (
            {"optimizer": "adam", "momentum": 0.9},
            "--momentum goes with --optimizer sgd or rmsprop or muon, not with adam",
        ),
        ({"lr": -1.0}, "lr"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_changes_that_cannot_be(changes, message):
    with pytest.raises(NeocogError, match=message):
        override(Recipe.load("best"), changes)


def test_what_is_a_file():
    assert [is_file(m) for m in ("a.py", "b/a.py:make", "airbench", "a.pyc")] == [
        *(True, True),
        *(False, False),
    ]


# At rest


def test_frozen_goes_before_every_other_group():
    optimizer = SGD(0.1, groups=(Group("*.bias", lr=1.0),))
    frozen = with_frozen(optimizer, ["a.bias"])
    assert frozen.rule_for("a.bias", (3,)).kind == "frozen"
    assert frozen.rule_for("b.bias", (3,)).settings[0] == 1.0
    assert with_frozen(optimizer, []) is optimizer
    muon = with_frozen(Muon(), ["a.*"])
    assert muon.rule_for("a.weight", (3, 3, 3, 3)).kind == "frozen"
    assert muon.rule_for("a.bias", (3,)).kind == "frozen"
    assert muon.rule_for("b.bias", (3,)).kind == "adam"


# First weights


def whitening_network(**settings) -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8), whiten=Conv2d(3, 24, 2), flatten=Flatten(), fc=Linear(24 * 49, 10)
    )


def test_whitened_outputs_are_uncorrelated():
    network = whitening_network()
    network.initialize(0)
    pixels = images(200, side=8)
    normalize(network, pixels)
    whiten_first(network, pixels)
    state = network.state_dict()
    weight = state["whiten.weight"].astype(np.float64)
    assert (state["whiten.bias"] == 0).all()
    np.testing.assert_array_equal(weight[12:], -weight[:12])
    x = reference.preprocess(pixels, network.preprocessing.mean, network.preprocessing.std)
    y = reference.conv2d_forward(x, weight[:12], np.zeros(12))
    y = y.transpose(1, 0, 2, 3).reshape(12, -1)
    covariance = y @ y.T / y.shape[1]
    # λ / (λ + ε), with λ from how long each row is: |row|² = 1 / (λ + ε).
    short = (weight[:12] ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(covariance, np.diag(1 - 5e-4 * short), atol=1e-5)


def test_whitening_looks_at_the_first_images_alone():
    one, other = whitening_network(), whitening_network()
    pixels = images(20, side=8)
    for network, given in ((one, pixels), (other, pixels[:5])):
        network.initialize(0)
        whiten_first(network, given, count=5)
    np.testing.assert_array_equal(
        one.state_dict()["whiten.weight"], other.state_dict()["whiten.weight"]
    )


def test_images_that_are_all_the_same_can_be_whitened():
    network = whitening_network()
    network.initialize(0)
    whiten_first(network, np.full((4, 8, 8, 3), 127, np.uint8))
    assert np.isfinite(network.state_dict()["whiten.weight"]).all()


@pytest.mark.parametrize(
    "first",
    [Conv2d(3, 23, 2), Conv2d(3, 24, 2, groups=3), MaxPool2d(2)],
    ids=["outputs", "groups", "layer"],
)
def test_what_cannot_whiten_says_so(first):
    network = (
        neocog.Network(input_shape=(3, 8, 8), first=first, flatten=Flatten(), fc=Linear(3 * 16, 10))
        if isinstance(first, MaxPool2d)
        else neocog.Network(
            input_shape=(3, 8, 8),
            first=first,
            flatten=Flatten(),
            fc=Linear(first.out_channels * 49, 10),
        )
    )
    with pytest.raises(NeocogError, match="first cannot whiten"):
        initialize(network, "airbench", images(4, side=8), 0)
    assert not network.initialized


def test_whitening_needs_images_of_the_networks_shape():
    network = whitening_network()
    network.initialize(0)
    for wrong in (images(4, side=9), images(0, side=8)):
        with pytest.raises(DataError, match="input shape"):
            whiten_first(network, wrong)


def test_unknown_first_weights():
    with pytest.raises(NeocogError, match="initialization"):
        initialize(whitening_network(), "xavier", images(4, side=8), 0)


def test_dirac_is_pytorchs():
    torch = pytest.importorskip("torch")
    network = neocog.Network(
        input_shape=(3, 8, 8),
        wider=Conv2d(3, 8, 3),
        narrower=Conv2d(8, 4, (2, 5), padding=2),
        grouped=Conv2d(4, 4, 1, groups=2),
        flatten=Flatten(),
        fc=Linear(4 * 9 * 6, 10),
    )
    network.initialize(1)
    before = network.state_dict()
    dirac(network)
    after = network.state_dict()
    for name in ("wider", "narrower"):
        weight = torch.from_numpy(before[f"{name}.weight"].copy())
        torch.nn.init.dirac_(weight[: weight.size(1)])
        np.testing.assert_array_equal(after[f"{name}.weight"], weight.numpy())
        assert (after[f"{name}.bias"] == 0).all()
    for name in ("grouped.weight", "grouped.bias", "fc.weight", "fc.bias"):
        np.testing.assert_array_equal(after[name], before[name])


def test_normalized_images_have_no_mean_and_deviation_1():
    network = whitening_network()
    pixels = images(30, side=8)
    pixels[..., 2] = 7  # nothing to divide by
    normalize(network, pixels)
    preprocessing = network.preprocessing
    x = reference.preprocess(pixels, preprocessing.mean, preprocessing.std)
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), [1, 1, 0], atol=1e-4)


def test_the_network_of_a_recipe_is_for_the_data():
    recipe = override(Recipe.load("best"), {"width": 0.25})
    network = recipe.network(data(count=20))
    assert network.initialized
    assert network.input_shape == (3, 32, 32)
    state = network.state_dict()
    # The second convolution of a block hands on its input: 16 channels to 16.
    weight = state["block1.conv2.weight"]
    np.testing.assert_array_equal(weight[:, :, 1, 1], np.eye(16))
    assert np.count_nonzero(weight) == 16
    assert (state["whiten.weight"][:12] == -state["whiten.weight"][12:]).all()
    same = recipe.network(data(count=20)).state_dict()
    for name, value in state.items():
        np.testing.assert_array_equal(value, same[name])


def test_toml_and_plain_data_are_the_same():
    text = (files("neocog.training.recipes") / "best.toml").read_text(encoding="utf-8")
    assert Recipe.from_dict(tomllib.loads(text), "best") == Recipe.load("best")
