"""`neocog.fine_tune`: what learns, what stays, and the same bits however it is computed."""

import numpy as np
import pytest
from photographs import network, pictures

import neocog
from neocog import SGD, AdamW, Callback, models
from neocog.errors import ArchitectureError, DataError, NeocogError

TRAIN, TEST = pictures(60), pictures(60, seed=1)
QUIET = Callback()
pytestmark = pytest.mark.usefixtures("own_cache")


def tuned(depth, data=TRAIN, net=None, **options):
    options = {"threads": 1, "callback": QUIET, "optimizer": SGD(0.01), **options}
    return neocog.fine_tune(net or network(), data, depth, **options)


def bits(found):
    return {name: array.tobytes() for name, array in found.network.state_dict().items()}


def changed(found, net):
    """The layers whose parameters are others than before."""
    before, after = net.state_dict(), found.network.state_dict()
    assert list(before) == list(after)
    return {
        name.rpartition(".")[0]
        for name, array in after.items()
        if before[name].shape != array.shape or (before[name] != array).any()
    }


def test_the_head_alone():
    net = network()
    found = tuned("head", net=net, classes=("red", "green", "blue"))
    assert changed(found, net) == {"classifier.fc"}
    assert found.network.classes == ("red", "green", "blue")
    assert found.depth == "head"
    assert found.history is None
    assert neocog.evaluate(found.network, TEST, threads=1).accuracy > 0.8  # a third by chance
    assert found.accuracy > 0.8
    assert net.output_shape == (7,)


def test_the_last_blocks():
    net = network()
    found = tuned("blocks", net=net, place="down.norm")
    layers = changed(found, net)
    assert layers >= {"classifier.fc", "block2.body.expand.conv", "head.norm"}
    assert not any(name.startswith(("stem", "block1", "down")) for name in layers)
    before, after = net.state_dict(), found.network.state_dict()
    for name, array in before.items():  # statistics follow the pictures where blocks learn
        if name.endswith("running_mean"):
            lower = name.startswith(("stem", "block1", "down"))
            assert np.array_equal(after[name], array) == lower, name
    assert found.history.epochs[-1].epoch == 67  # 250 steps of 32, over 60 pictures in two views


def test_all_layers():
    net = network()
    found = tuned("all", net=net)
    assert changed(found, net) >= {"stem.conv", "block1.body.expand.conv", "classifier.fc"}
    moved = {
        name: abs(found.network.state_dict()[f"{name}.weight"] - net.state_dict()[f"{name}.weight"])
        for name in ("block1.body.expand.conv", "block2.body.expand.conv")
    }
    assert moved["block1.body.expand.conv"].mean() < moved["block2.body.expand.conv"].mean()


@pytest.mark.parametrize("depth", ["head", "blocks", "all"])
def test_the_same_bits_with_any_number_of_threads_and_any_cache(depth):
    one = tuned(depth, threads=1, cache=False)
    assert one.computed > 0 or depth == "all"
    two = tuned(depth, threads=2)
    again = tuned(depth, threads=2)
    assert again.computed == 0
    assert bits(one) == bits(two) == bits(again)


@pytest.mark.parametrize("depth", ["blocks", "all"])
def test_it_resumes_exactly(depth):
    class Stops(Callback):
        def begin(self, run):
            self.run = run

        def epoch_done(self, epoch, history):
            if epoch.epoch == 2:
                self.kept = self.run.state()

    stops = Stops()
    whole = tuned(depth, callback=stops)
    assert bits(tuned(depth, resume=stops.kept)) == bits(whole)


def test_validation_is_of_what_the_network_does():
    """The maps' bytes round, so that a picture may fall on the other side."""
    found = tuned("blocks", validation=TEST)
    accuracy = neocog.evaluate(found.network, TEST, threads=1).accuracy
    assert found.history.epochs[-1].validation_accuracy == pytest.approx(accuracy, abs=2 / 60)


@pytest.mark.parametrize(("loss", "columns"), [("binary-cross-entropy", 2), ("mse", 1)])
@pytest.mark.parametrize("depth", ["head", "blocks"])
def test_several_labels_and_numbers(loss, columns, depth):
    targets = np.stack([TRAIN.labels == 0, TRAIN.labels > 0], axis=1)[:, :columns]
    data = (TRAIN.images, targets.astype(np.float32))
    found = tuned(depth, data, loss=loss, optimizer=AdamW(0.003))
    assert found.network.loss == loss
    assert found.accuracy is None
    answers = found.network.predict_proba(TRAIN.images) >= 0.5
    assert (answers == targets).mean() > 0.75


def test_pictures_of_no_color_have_no_mirror_images_unless_asked():
    gray = np.repeat(TRAIN.images[..., :1], 3, axis=3)
    assert tuned("head", (gray, TRAIN.labels)).views == "whole"
    assert tuned("head", (gray, TRAIN.labels), views="flips").views == "flips"
    assert tuned("head").views == "mirror"


def test_what_is_to_be_done_is_said_first():
    said = []
    found = tuned("auto", on_choice=lambda choice: said.append(str(choice)))
    assert said == [str(found.choice)]
    assert said[0].startswith("Only the last layer learns, as there are 20 pictures a class; expe")


def test_maps_are_computed_once(monkeypatch):
    """Though those that are held out take the others' place on the disk."""
    monkeypatch.setattr("neocog.transfer.feature_cache._SPARE", 0)
    told = []
    held_out = TEST[:7]
    how = {"epochs": 1, "place": "down.norm", "validation": held_out}
    tuned("blocks", progress=lambda *what: told.append(what), **how)
    assert told[-1] == ("maps", 2 * len(TRAIN) + len(held_out), 2 * len(TRAIN) + len(held_out))


def test_progress():
    told = []
    tuned("blocks", progress=lambda *what: told.append(what))
    assert told[-1] == ("maps", 120, 120)
    assert {what for what, *_ in told} == {"maps"}
    told.clear()
    tuned("head", progress=lambda *what: told.append(what))
    assert ("features", 120, 120) in told
    assert told[-3:] == [("strength", 65, 65), ("head", 0, 1), ("head", 1, 1)]


ONE = pictures(9)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ((ONE.images, [0, 0, 0, 0, 1, 1, 1, 1, 2]), {"classes": ("a", "b", "c")}, DataError,
         "at least two pictures to train on, better twenty, and these have fewer: c .*out\\.$"),
        ((ONE.images, [0, 0, 0, 0, 1, 1, 1, 1, 2]), {"classes": ("1", "2.5", "-3")}, DataError,
         "fewer: -3 .* If they are numbers to predict: --labels number\\."),
        ((ONE.images, [0] * 9), {}, DataError, "at least two classes to tell apart"),
        ((ONE.images, [0, 1, 0, 3, 0, 1, 0, 3, 1]), {}, DataError, "fewer: class 2"),
        ((ONE.images[..., :1], ONE.labels), {}, DataError,
         "are gray, with one channel, and the network takes 3. Load them with"),
        ((ONE.images[:, :20], ONE.labels), {}, DataError,
         "are 20 × 24, and the network takes 24 × 24"),
        (ONE, {"place": "block9"}, ArchitectureError, "cannot be cut at 'block9'"),
        (ONE, {"depth": "deep"}, NeocogError, "depth \\(='deep'\\) must be 'auto', 'head'"),
        (ONE, {"views": "all"}, NeocogError, "views \\(='all'\\) must be 'whole'"),
        (ONE, {"minutes": 0}, NeocogError, "minutes \\(=0\\) must be a number above 0"),
        (ONE, {"validation": (ONE.images[:, :20], ONE.labels)}, DataError, "20 × 24"),
        ((ONE.images, np.ones((9, 2), np.float32)), {}, DataError, "one number for each image"),
        (ONE, {"loss": "mse"}, DataError, "needs targets"),
    ],
)  # fmt: skip
def test_one_message_for_what_cannot_be(data, options, error, message):
    depth = options.pop("depth", "blocks")
    with pytest.raises(error, match=message):
        tuned(depth, data, **options)


def test_networks_that_cannot_be_fine_tuned():
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        tuned("head", net=models.simple_cnn(input_shape=(3, 24, 24)))


def test_no_disk_for_the_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    expected = bits(tuned("blocks"))
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "file"))
    found = tuned("blocks")
    assert "file" in found.why_not_kept
    assert bits(found) == expected
