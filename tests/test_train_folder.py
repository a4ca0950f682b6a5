"""``neocog train FOLDER``: what it chooses and says, what it leaves, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from picture_folders import NETWORK, write_classes, write_pictures
from PIL import Image

import neocog
from neocog import BatchNorm2d, Conv2d, Flatten, GroupNorm, LayerNorm2d, Linear, Network
from neocog.cli import main
from neocog.cli.choices import say_choices
from neocog.loading import open_network
from neocog.models import make
from neocog.preprocessing import Resize
from neocog.settings.augmentation import Augmentation
from neocog.settings.recipe import Recipe
from neocog.summary import cost
from neocog.training.choices import choose_recipe


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


@pytest.fixture
def train(command):
    """Train a small network on `photos` into `run`; gives stdout and stderr."""

    def run(*arguments: object) -> tuple[str, str]:
        usual = () if "--model" in arguments else ("--model", "net.py")
        code, out, err = command(
            "train", "photos", "--epochs", 2, "--out", "run", *usual, *arguments
        )
        assert code == 0, err
        return out, err

    return run


@pytest.fixture
def refused(command, here):
    """Train on `photos`; it must fail with one message and leave nothing."""

    def run(*arguments: object, code: int = 1) -> str:
        before = sorted(map(str, here.rglob("*")))
        given, out, err = command("train", "photos", "--epochs", 1, *arguments)
        assert (given, out) == (code, "")
        assert sorted(map(str, here.rglob("*"))) == before
        return err

    return run


def test_it_says_what_it_chose_and_what_changes_it(command, here, monkeypatch):
    def stopped(*_, **__):
        raise neocog.NeocogError("enough")

    monkeypatch.setattr("neocog.cli.train.fit", stopped)
    write_classes(here / "photos", [("cats", 90), ("dogs", 10)], size=(40, 30))
    write_pictures(here / "photos" / "cats" / "more", 10, size=(60, 50))
    (here / "photos" / "cats" / "notes.txt").write_text("mine")
    code, out, err = command("train", "photos")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "Pictures: 110 of 40 × 30 to 60 × 50 in 2 classes, made 24 × 24 in color (crop, bilinear) "
        "[--size, --channels, --resize]",
        "Files of other kinds are passed over: .txt (1).",
        "Evaluated on: 22 validation images (20 %) [--validation]",
        "Classes: cats has 100 pictures, dogs 10; to balance them: "
        "[--balance sample, --balance weight]",
        "Network: resnet8, 77,426 parameters [--model, --width]",
        "Training: 60 epochs in batches of 8, rate 0.00625 "
        "[--epochs, --batch-size, --lr, --recipe]",
        "Augmentation: shifted by up to 2 pixels, mirrored at random "
        "[--flip, --translate, --crop, --rotate]",
        "neocog: enough",
    ]
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        (Augmentation(), "none"),
        (
            Augmentation(flip="alternating", translate=1, cutout=4, mixup=0.2),
            "shifted by up to 1 pixel, mirrored in turn, with a square of 4 pixels cut out, mixed "
            "in pairs",
        ),
        (
            Augmentation(crop=(0.25, 1.0), rotate=7.5, trivial_augment=True, jitter=(0.1, 0, 0)),
            "cropped to 25 to 100 % of their area, turned by up to 7.5°, changed in one random "
            "way, changed in color",
        ),
    ],
)
def test_every_variation_is_said(varied, said, capsys):
    say_choices(Recipe(augmentation=varied), make("simple-cnn"))
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f"Augmentation: {said} [--flip, --translate, --crop, --rotate]"


def test_what_is_chosen_is_said_as_it_is_changed(train, here):
    write_classes(here / "photos")
    _out, err = train("--flip", "none", "--translate", 0, "--batch-size", 3, "--lr", 0.01)
    assert "Pictures: 20 of 10 × 8 in 2 classes, made 10 × 8 in color (as they are)" in err
    assert "Training: 2 epochs in batches of 3, rate 0.01 [" in err
    assert "Augmentation: none [" in err
    assert "Classes:" not in err


@pytest.mark.parametrize(
    ("images", "epochs", "batch"), [(40, 60, 8), (400, 60, 32), (5000, 12, 64), (10**6, 4, 64)]
)
def test_the_more_pictures_the_fewer_epochs(images, epochs, batch):
    network = make("resnet8", 5, input_shape=(3, 64, 64))
    assert cost(network).multiply_adds == pytest.approx(5e7, rel=0.01)
    recipe = choose_recipe(network, images)
    assert (recipe.epochs, recipe.batch_size) == (epochs, batch)
    # The rate of the recipe "standard", which has batches of 128.
    assert recipe.optimizer.lr == pytest.approx(0.1 * batch / 128)


def test_letters_are_not_mirrored_and_networks_without_normalization_learn_slower():
    gray, color = ((c, 28, 28) for c in (1, 3))
    assert choose_recipe(make("resnet8", input_shape=gray), 1000).augmentation.flip is None
    assert choose_recipe(make("resnet8", input_shape=color), 1000).augmentation.flip == "random"
    plain = choose_recipe(make("lenet5", input_shape=gray), 1000, "lenet5")
    assert plain.optimizer.lr < choose_recipe(make("resnet8"), 1000).optimizer.lr / 2
    assert plain.model == "lenet5"


@pytest.mark.parametrize(
    "norm", [BatchNorm2d(4), GroupNorm(2, 4), LayerNorm2d(4), GroupNorm(1, 4, affine=False)]
)
def test_every_normalization_allows_a_large_rate(norm):
    layers = {"conv": Conv2d(3, 4, 3), "norm": norm}
    network = Network(input_shape=(3, 8, 8), **layers, flatten=Flatten(), fc=Linear(144, 2))
    assert (
        choose_recipe(network, 1000).optimizer.lr
        == choose_recipe(make("resnet8"), 1000).optimizer.lr
    )


def test_what_a_run_leaves(train, command, here):
    write_classes(here / "photos", [("dark", 20), ("light", 20)])
    out, _err = train()
    accuracy = re.search(r"^Validation accuracy: (.*) of 8 images ", out, re.MULTILINE)[1]
    names = {path.name for path in (here / "run").iterdir()}
    assert {name for name in names if not name.startswith("events.out.tfevents.")} == {
        *("best.safetensors", "checkpoints", "cnn_model.pth", "config.toml", "history.csv"),
        *("last.safetensors", "log.txt", "report.html", "run.json"),
    }
    info = json.loads((here / "run" / "run.json").read_text())
    assert info["data"]["source"] == str(here / "photos")
    assert info["data"]["options"] == {}
    assert info["validation"]["count"] == 8
    assert "test" not in info
    network = neocog.load("run")
    assert network.classes == ("dark", "light")
    assert network.preprocessing.resize == Resize("stretch", "bilinear")
    # Normalized by the pictures that it was trained on.
    data = neocog.load_data("photos")
    pixels = data.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(network.preprocessing.mean, pixels.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(network.preprocessing.std, pixels.std(axis=0), atol=1e-6)
    # It was judged by what it was not trained on, and is again.
    assert accuracy == f"{100 * neocog.evaluate(network, data.validation).accuracy:.2f} %"
    code, out, err = command("evaluate", "run")
    assert (code, err) == (0, "")
    assert f"Validation accuracy: {accuracy} of 8 images" in out


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
def test_shape_and_resizing_can_be_said_and_go_with_the_model(train, command, here, mode):
    write_classes(here / "photos", size=(23, 17))
    _out, err = train(
        *("--size", "6x9", "--channels", 1, "--resize", mode, "--interpolation", "box")
    )
    assert f"made 9 × 6 gray ({mode}, box)" in err
    network = neocog.load("run")
    assert network.input_shape == (1, 6, 9)
    assert network.preprocessing.resize == Resize(mode, "box")
    # A picture is predicted as the same pixels that training and evaluation have of it.
    resize = Resize(mode, "box")
    data = neocog.load_data("photos", size=(6, 9), channels=1, resize=resize)
    paths = [f"photos/{name}" for name in data.validation.names]
    code, out, _err = command("predict", "run", *paths, "--json", "--top", 1)
    assert code == 0
    expected = network.predict_proba(data.validation.images).max(axis=1)
    assert [one["top"][0]["probability"] for one in json.loads(out)] == expected.tolist()


def test_a_filter_alone_keeps_the_way_that_was_chosen(train, here):
    write_classes(here / "photos", [("a", 5), ("b", 5)], size=(20, 20))
    write_pictures(here / "photos" / "b" / "wide", 5, size=(30, 20))
    train("--interpolation", "nearest", "--size", "8x10")
    assert neocog.load("run").preprocessing.resize == Resize("crop", "nearest")


def test_classes_can_be_chosen_and_put_in_order(train, command, here):
    write_classes(here / "photos", [("a", 5), ("b, c", 5), ("d", 5)])
    train("--classes", 'd, "b, c"', "--validation", 0.4, "--split-seed", 7)
    assert neocog.load("run").classes == ("d", "b, c")
    options = json.loads((here / "run" / "run.json").read_text())["data"]["options"]
    assert options == {"classes": ["d", "b, c"], "validation": 0.4, "split_seed": 7}
    code, out, err = command("evaluate", "run", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["count"], found["part"]) == (4, "validation")
    expected = neocog.load_data("photos", classes=("d", "b, c"), validation=0.4, split_seed=7)
    judged = neocog.evaluate(neocog.load("run"), expected.validation)
    assert found["loss"] == judged.loss
    # `neocog.loading` finds them as well.
    assert command("explain", "run", "validation:3", "--out", "page.html")[0] == 0
    code, _out, err = command("explain", "run", "validation:4")
    assert (code, "there are 4 validation images, 0 to 3" in err) == (1, True)
    code, _out, err = command("explain", "run", "test:0")
    assert (code, "no such part. It has: train, validation" in err) == (1, True)


def test_a_folder_with_parts(train, here):
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        write_classes(here / "photos" / part, [("a", count), ("b", count)])
    out, err = train()
    assert "Test accuracy: " in out
    assert " of 6 images" in out
    assert "Evaluated on: 6 test images\n" in err
    assert "Training: 2 epochs in" in err
    assert "Training: 1 epoch in" in train("--epochs", 1, "--out", "other")[1]


def test_nothing_held_out(train, command, here):
    write_classes(here / "photos")
    out, err = train("--validation", 0)
    assert "accuracy" not in out
    assert "Nothing was held out, so nothing says how good it is." in err
    code, out, err = command("evaluate", "run")
    assert (code, out) == (1, "")
    assert "Nothing of photos was held out of the training." in err


def test_a_network_of_ones_own_keeps_its_shape(train, refused, here):
    write_classes(here / "photos")
    assert "takes images of the shape (1, 6, 9)" in refused("--model", "net.py:fixed", "--size", 9)
    _out, err = train("--model", "net.py:fixed")
    assert "made 9 × 6 gray" in err
    assert neocog.load("run").input_shape == (1, 6, 9)


def test_a_network_of_ones_own_keeps_its_resizing(train, here):
    (here / "net.py").write_text(
        "from neocog.preprocessing import Preprocessing, Resize\n"
        + NETWORK.replace(
            "input_shape=input_shape,",
            "input_shape=input_shape, preprocessing=Preprocessing(resize=Resize('letterbox')),",
        )
    )
    write_classes(here / "photos", size=(30, 20))
    _out, err = train("--size", "8x10")
    assert "(letterbox, lanczos)" in err
    assert neocog.load("run").preprocessing.resize == Resize("letterbox")


def test_a_recipe_that_is_named_is_taken_as_it_is(train, here):
    write_classes(here / "photos")
    train("--recipe", "note")
    settings = json.loads((here / "run" / "run.json").read_text())["settings"]
    assert settings["recipe"] == "note"
    assert (settings["batch_size"], settings["augmentation"]["flip"]) == (4, None)


def test_balance_reaches_fit(train, here):
    write_classes(here / "photos", [("a", 12), ("b", 3)])
    _out, err = train("--balance", "weight")
    assert "Classes: b" not in err
    assert "a has 12 pictures, b 3" in err
    assert json.loads((here / "run" / "run.json").read_text())["settings"]["balance"] == "weight"


def test_pictures_that_cannot_be_read_are_all_named_at_once(refused, here):
    write_classes(here / "photos")
    (here / "photos" / "dark" / "empty.png").touch()
    (here / "photos" / "light" / "text.jpg").write_text("no picture")
    err = refused("--model", "net.py")
    lines = err.splitlines()[-3:]
    assert lines[0].startswith("neocog: 2 of 22 pictures cannot be read. ")
    assert "--on-bad skip" in lines[0]
    assert lines[1].startswith("  dark/empty.png ")
    assert lines[2].startswith("  light/text.jpg ")


def test_a_few_bad_pictures_can_be_skipped(train, command, here):
    write_classes(here / "photos", [("dark", 60), ("light", 60)], size=(4, 4))
    (here / "photos" / "dark" / "empty.png").touch()
    _out, err = train("--on-bad", "skip")
    skipped = "Pictures that cannot be read and are skipped: 1.\n"
    assert skipped in err
    # What was skipped then is skipped by whatever looks for the run's own data.
    code, out, err = command("evaluate", "run")
    assert (code, err) == (0, skipped)
    assert " of 24 images" in out
    assert open_network("run").data is not None


def test_one_class_is_not_enough(refused, here):
    write_classes(here / "photos", [("cats", 5)])
    err = refused()
    assert err.count("\n") == 1
    assert "photos has pictures of one class only, cats" in err
    write_classes(here / "photos", [("cats", 5), ("dogs", 5)])
    assert "one class only, dogs" in refused("--classes", "dogs")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: folder.mkdir(), "photos has no pictures."),
        (lambda folder: write_pictures(folder, 3), "photos has 3 pictures, but they lie in no"),
        (lambda folder: (folder / "cats").mkdir(parents=True), "photos has no pictures."),
        (lambda folder: folder.write_text("words"), "photos is no kind of data that is known."),
    ],
    ids=["empty", "no classes", "an empty class", "a file"],
)
def test_where_there_is_nothing_to_train_on(refused, here, write, message):
    write(here / "photos")
    err = refused()
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--size", "big"], "no size such as 64 or 48x64", 2),
        (["--size", "0"], "size", 1),
        (["--classes", ""], "no list of names", 2),
        (["--classes", "dark,light,dusk"], "has no class 'dusk'", 1),
        (["--classes", "dark,dark"], "names that differ", 1),
        (["--validation", "1"], "validation (=1.0)", 1),
        (["--validation", "nan"], "validation (=nan)", 1),
        (["--split-seed", "-1"], "split_seed (=-1)", 1),
        (["--resize", "squash"], "There are: stretch, crop, letterbox", 2),
        (["--channels", "2"], "unknown '2'", 2),
        (["--balance", "both"], "There are: sample, weight, none", 2),
    ],
)
def test_options_that_cannot_be(command, here, arguments, message, code):
    write_classes(here / "photos", [("dark", 3), ("light", 3)])
    try:
        given = main(["train", "photos", *arguments])
    except SystemExit as stop:
        given = stop.code
    assert given == code
    assert message in command("train", "photos", *arguments)[2]
    assert not (here / "runs").exists()


@pytest.mark.parametrize("data", ["shapes", "cifar10", "nowhere"])
def test_options_of_pictures_are_not_for_data_with_names(command, data):
    code, out, err = command("train", data, "--size", 8)
    assert (code, out) == (1, "")
    assert f"--size is for a folder or file of pictures; '{data}' is none" in err


def test_16_bit_and_transparent_pictures_train(train, here):
    write_classes(here / "photos")
    deep = np.full((8, 10), 40_000, np.uint16)
    Image.fromarray(deep).save(here / "photos" / "light" / "deep.png")
    Image.new("RGBA", (10, 8), (0, 0, 0, 128)).save(here / "photos" / "light" / "half.png")
    assert "Validation accuracy" in train()[0]


def test_a_network_whose_whole_input_is_one_layer_is_no_surprise():
    """What the choice of a rate looks at: normalization, wherever it is."""
    plain = Network(
        input_shape=(1, 8, 8), conv=Conv2d(1, 2, 3), flatten=Flatten(), fc=Linear(72, 2)
    )
    assert choose_recipe(plain, 64).optimizer.lr == pytest.approx(0.02 * 8 / 128)
