"""Small pictures for networks of larger ones: enlarged as PyTorch's bilinear interpolation does."""

import numpy as np
import pytest
from photographs import SIDE, network, pictures
from PIL import Image

import neocog
from neocog import (
    AdamW,
    Callback,
    Conv2d,
    Flatten,
    Linear,
    Network,
    Preprocessing,
    Sequential,
    Upsample,
)
from neocog.cli import main, transfer
from neocog.models.enlarging import enlarging_layers, for_small, small_side
from neocog.network_files import load_model
from neocog.transfer.cut import places
from neocog.transfer.depth import Counts, choose

HOW = Preprocessing((0.1, 0.2, 0.3), (0.2, 0.25, 0.5))
pytestmark = pytest.mark.usefixtures("own_cache")


def mirror_of_pixels(side):
    """A network whose outputs are its inputs."""
    numbers = 3 * side * side
    found = Network(flat=Flatten(), fc=Linear(numbers, numbers), input_shape=(3, side, side))
    found.load_state_dict({"fc.weight": np.eye(numbers, dtype=np.float32),
                           "fc.bias": np.zeros(numbers, np.float32)})  # fmt: skip
    found.preprocessing = HOW
    return found


@pytest.mark.parametrize(("side", "small"), [(14, 2), (12, 6), (15, 3), (12, 3)])
def test_as_pytorch_interpolates(side, small):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).integers(0, 256, (3, small, small, 3), np.uint8)
    enlarged = for_small(mirror_of_pixels(side), small, small)
    assert enlarged.input_shape == (3, small, small)
    assert enlarging_layers(enlarged.graph) == ["enlarge"]
    found = enlarged.predict_scores(images, threads=1).reshape(3, 3, side, side)
    x = (images / 255 - HOW.mean) / HOW.std
    x = torch.from_numpy(x.transpose(0, 3, 1, 2))
    expected = torch.nn.functional.interpolate(x, (side, side), mode="bilinear")
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


def test_what_stays_as_it_is():
    net = network()
    assert for_small(net, SIDE, SIDE) is net
    assert for_small(net, SIDE - 4, SIDE) is net  # nearer to its size than to half of it
    assert for_small(net, 2 * SIDE, 2 * SIDE) is net
    assert for_small(net, 1, SIDE + 1) is net
    fixed = mirror_of_pixels(12)
    assert for_small(fixed, 5, 5) is fixed  # would be 10 × 10, which its linear layer cannot read
    assert enlarging_layers(net.graph) == []


@pytest.mark.parametrize(
    ("shorter", "side"), [(32, 32), (28, 28), (30, 32), (64, 112), (112, 112), (113, None), (1, 1)]
)
def test_sides_that_are_whole_parts(shorter, side):
    assert small_side((3, 224, 224), shorter) == side


SMALL = pictures(60)
SMALL = (np.ascontiguousarray(SMALL.images[:, ::2, ::2]), SMALL.labels)


@pytest.mark.parametrize("depth", ["head", "blocks", "all"])
def test_fine_tuning_with_small_pictures(depth):
    """The filters that enlarge do not learn, and the network takes the pictures as they are."""
    net = network()
    how = {"optimizer": AdamW(0.01), "callback": Callback(), "threads": 1}
    found = neocog.fine_tune(net, SMALL, depth, **how)
    assert found.network.input_shape == (3, SIDE // 2, SIDE // 2)
    assert neocog.evaluate(found.network, SMALL, threads=1).accuracy > 0.6  # a third by chance
    before = for_small(net, SIDE // 2, SIDE // 2).state_dict()
    after = found.network.state_dict()
    for name in ("enlarge.rows.weight", "enlarge.columns.weight"):
        np.testing.assert_array_equal(after[name], before[name])
    assert list(after) == list(before)
    assert net.input_shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("side", [6, 12])
def test_places_are_those_without_enlarging(side):
    net = network()
    small = for_small(net, side, side)
    expected = [(one.name, one.shape, one.behind) for one in places(net.graph)]
    assert [(one.name, one.shape, one.behind) for one in places(small.graph)] == expected
    tiny = for_small(for_small(net, 12, 12), 6, 6)  # enlarged twice
    assert [(one.name, one.shape, one.behind) for one in places(tiny.graph)] == expected


def test_blocks_of_lite0_learn_from_small_pictures():
    net = neocog.models.efficientnet_lite0(10)
    net.initialize(0)
    counts = Counts(pictures=500, classes=10, views=2, held_out=0, seconds=240)
    chosen = [choose(one.graph, counts, "blocks") for one in (net, for_small(net, 32, 32))]
    assert chosen[1].place == chosen[0].place is not None


def test_again_with_smaller_pictures():
    once = neocog.fine_tune(network(), SMALL, "head", threads=1).network
    tiny = np.ascontiguousarray(SMALL[0][:, ::2, ::2])
    twice = neocog.fine_tune(once, (tiny, SMALL[1]), "head", threads=1).network
    assert enlarging_layers(twice.graph) == ["enlarge_", "enlarge"]


def test_it_is_saved_with_the_network(tmp_path):
    found = neocog.fine_tune(network(), SMALL, "head", threads=1).network
    found.save(tmp_path / "small.safetensors")
    again = neocog.load(tmp_path / "small.safetensors")
    np.testing.assert_array_equal(again.predict_scores(SMALL[0]), found.predict_scores(SMALL[0]))


@pytest.fixture
def trained(tmp_path, capsys):
    """Trains the head on data; gives what it said and the network."""
    neocog.save(network(), tmp_path / "before.safetensors")

    def trained(data):
        words = ["--transfer", "head", "--model", tmp_path / "before.safetensors"]
        run = ["--out", tmp_path / "run", "--threads", 1, "--validation", "0.5"]
        words = [*words, *(run if data != "shapes" else run[:-2])]
        assert main(["train", str(data), *map(str, words)]) == 0
        return capsys.readouterr().err, load_model(tmp_path / "run" / "last.safetensors")

    return trained


def test_a_data_set_by_name(trained, monkeypatch):
    data = neocog.Data.from_arrays(*SMALL, validation=0.5)
    monkeypatch.setattr(transfer, "load_data", lambda *_, **__: data)
    err, found = trained("shapes")
    half = SIDE // 2
    assert f"of {half} × {half} are small for this network, which enlarges them itself, to" in err
    assert f"itself, to {SIDE} × {SIDE}." in err
    assert found.input_shape == (3, half, half)


@pytest.mark.parametrize(
    ("sizes", "made", "large"), [((11, 11), (11, 11), 22), ((7, 8), (8, 8), 24)]
)
def test_a_folder_of_small_pictures(trained, tmp_path, sizes, made, large):
    """Of one size they stay as they are; else they get a whole part of the network's size."""
    for k, (image, label) in enumerate(zip(*SMALL, strict=True)):
        path = tmp_path / "photos" / "rgb"[label] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = sizes[k % 2]
        Image.fromarray(image[:side, :side]).save(path)
    err, found = trained(tmp_path / "photos")
    assert found.input_shape == (3, *made)
    assert f"itself, to {large} × {large}." in err
    picture = tmp_path / "photos" / "r" / "0.png"
    assert main(["predict", str(tmp_path / "run"), str(picture)]) == 0


def test_training_further_keeps_what_enlarges():
    net = for_small(network(classes=3), SIDE // 2, SIDE // 2)
    before = net.state_dict()
    settings = neocog.TrainingSettings(epochs=1, batch_size=20, optimizer=AdamW(0.01), threads=1)
    neocog.fit(net, SMALL, settings, callback=Callback())
    after = net.state_dict()
    moved = {name for name in before if not np.array_equal(after[name], before[name])}
    assert {"stem.conv.weight", "classifier.fc.weight"} <= moved
    assert not {name for name in moved if name.startswith("enlarge")}


def test_layers_of_others_that_are_called_so_learn():
    own = Sequential(up=Upsample(scale_factor=2), conv=Conv2d(3, 4, 3, padding=1))
    net = Network(enlarge=own, flat=Flatten(), fc=Linear(4 * 8 * 8, 3), input_shape=(3, 4, 4))
    assert enlarging_layers(net.graph) == []
