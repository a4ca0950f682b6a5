"""What a network for photographs looks at, against PyTorch, and how many predictions it takes."""

import numpy as np
import pytest

import neocog
from neocog import models, reference
from neocog.data.images import Dataset
from neocog.explanation import attribution, effort
from neocog.explanation.page import bounds
from neocog.explanation.page.attributions import pack_attributions
from neocog.explanation.page.message import Block
from neocog.explanation.page.top_activations import sample_size, top_activation_sprites
from neocog.network import Network

torch = pytest.importorskip("torch")
from neocog.torch_engine.module import to_torch  # noqa: E402

SIDE = 96


@pytest.fixture(scope="module")
def explained():
    network = models.mobilenet_v3_small(7, input_shape=(3, SIDE, SIDE))
    network.initialize(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)
    # Running statistics of images, without which every image gives nearly the same.
    module = to_torch(network).train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    module(inputs(network, images).float())
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    state["classifier.3.weight"] = 3 * state["classifier.3.weight"]
    network.load_state_dict(state)
    # Squares of one color each, so that covering one changes much.
    image = np.kron(rng.integers(0, 256, (6, 6, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    return neocog.explain(network, image, 3)


@pytest.fixture(scope="module")
def module(explained):
    return to_torch(explained.network).double().eval()


def inputs(network, images):
    p = network.preprocessing
    return torch.tensor(reference.preprocess(images, p.mean, p.std).astype(np.float64))


@pytest.mark.parametrize("layer", ["features.12.2", "features.4.block.0.2", "features.0.2"])
def test_grad_cam_is_pytorchs(explained, module, layer):
    kept = {}

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept["maps"] = output

    handle = module.get_submodule(layer).register_forward_hook(keep)
    module(inputs(explained.network, explained.image[None]))[0, 3].backward()
    handle.remove()
    maps, slope = kept["maps"].detach()[0], kept["maps"].grad[0]
    weights = slope.mean(dim=(1, 2))
    small = torch.relu((weights[:, None, None] * maps).sum(0))
    found = explained.grad_cam(layer)
    scale = float((weights.abs()[:, None, None] * maps.abs()).sum(0).max())
    np.testing.assert_allclose(found.small, small.numpy(), atol=1e-4 * scale)
    scaled = torch.nn.functional.interpolate(
        small[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(found.map, scaled[0, 0].numpy(), atol=1e-4 * scale)


def test_occlusion_is_that_of_pytorchs_probabilities(explained, module):
    image, covers = explained.image, []
    color = np.rint(255 * np.array(explained.network.preprocessing.mean)).astype(np.uint8)
    for row in range(0, SIDE, 32):
        for column in range(0, SIDE, 32):
            covers.append(image.copy())
            covers[-1][row : row + 32, column : column + 32] = color
    with torch.no_grad():
        scores = module(inputs(explained.network, np.stack([image, *covers])))
    of_label = torch.softmax(scores, 1)[:, 3].numpy()
    falls = (of_label[0] - of_label[1:]).reshape(3, 3)
    assert np.ptp(falls) > 1e-3
    expected = np.kron(falls, np.ones((32, 32)))
    found = explained.occlusion(32, 32).map
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_covered_images_are_predicted_some_at_a_time(explained, monkeypatch):
    whole, told, sizes = explained.occlusion(32, 32), [], []
    monkeypatch.setattr(attribution, "_AT_ONCE", 2 * explained.image.size)
    predict = Network.predict_proba

    def counted(network, images, **options):
        sizes.append(len(images))
        return predict(network, images, **options)

    monkeypatch.setattr(Network, "predict_proba", counted)
    some = explained.occlusion(32, 32, progress=lambda done, total: told.append((done, total)))
    assert sizes[:6] == [1, 2, 2, 2, 2, 1]
    assert told == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    np.testing.assert_allclose(some.map, whole.map, atol=1e-6)


@pytest.mark.parametrize(
    ("multiply_adds", "most"), [(10**6, bounds.MOST_PREDICTIONS), (10**9, 210), (10**11, 90)]
)
def test_the_predictions_of_a_page_are_bounded(monkeypatch, multiply_adds, most):
    """The costlier a prediction, the fewer are made."""
    network = models.resnet8()
    network.initialize(0)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    explained, predicted = neocog.explain(network, image, 1), []
    predict = Network.predict_proba

    def counted(network, images, **options):
        predicted.append(len(images))
        return predict(network, images, **options)

    class Cost:
        pass

    Cost.multiply_adds = multiply_adds
    monkeypatch.setattr(effort, "cost", lambda network: Cost)
    monkeypatch.setattr(Network, "predict_proba", counted)
    told = []
    pack_attributions(explained, Block(), lambda *state: told.append(state))
    assert most / 3 < sum(predicted) <= most
    assert told[-1][0] == "occlusion"
    assert told[-1][1] == told[-1][2]


def test_what_activates_a_filter_is_shown_as_a_part_around_it(explained):
    """Bright squares in one place of each image; the first kernels see 3 × 3 pixels."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 30, (6, SIDE, SIDE, 3), np.uint8)
    data = Dataset(images, np.zeros(6, np.int64), [f"own/{n}.jpg" for n in range(6)])
    found = top_activation_sprites(explained, data)
    assert next(iter(found)) == "features.0.0"
    for name, of_layer in found.items():
        assert of_layer["parts"]
        assert len(of_layer["src"]) <= 4 / 3 * bounds.SPRITE_BYTES + 100
        assert max(of_layer["height"], of_layer["width"]) <= bounds.SPRITE_SIDE
        best = explained.filters(name, data).top_activations
        for channel, shown in of_layer["channels"].items():
            for one, expected in zip(shown, best[int(channel)], strict=True):
                assert (one["index"], one["value"]) == (expected.index, expected.value)
                assert one["name"] == f"own/{expected.index}.jpg"
                top, left, bottom, right = one["box"]
                assert 0 <= top < bottom <= 1
                assert 0 <= left < right <= 1
                tall = expected.box[2] - expected.box[0]
                side = max(tall, expected.box[3] - expected.box[1], SIDE // 4)
                assert (bottom - top) * side == pytest.approx(tall)


def test_layers_that_cost_too_much_are_left_out(explained):
    images = np.zeros((60, SIDE, SIDE, 3), np.uint8)
    data = Dataset(images, np.zeros(60, np.int64))
    # 16 · 27 · 48² multiply-adds are the first convolution's.
    work = 4 * 50 * 16 * 27 * 48**2
    found = top_activation_sprites(explained, data, work=work)
    assert {name: of_layer["images"] for name, of_layer in found.items()} == {"features.0.0": 50}


def test_samples_fit_into_memory():
    assert sample_size((3, 32, 32)) == 2000
    assert sample_size((3, 224, 224)) * 3 * 224 * 224 <= 2**26
    assert sample_size((3, 2048, 2048)) == 40
