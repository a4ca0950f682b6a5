"""The real weights: scores of photographs as the package efficientnet-lite-pytorch gives them."""

import json

import numpy as np
import pytest

import neocog
from neocog.pretrained import PACKAGES, is_installed

sample_images = pytest.importorskip("sklearn.datasets").load_sample_image
data = pytest.importorskip("skimage.data")

#: Of the middle of each photograph: the class that is first, and the scores of that class and of
#: tench, Egyptian cat, palace and daisy. By efficientnet-lite-pytorch 0.1.0 with torch 2.13.0.
SCORES = {
    ("efficientnet-lite0", 224): {
        "china": ("palace", 8.90396, 1.34415, -1.11733, 8.90396, -0.19078),
        "flower": ("lampshade", 6.57245, -1.45602, -0.56698, -0.64085, 6.38708),
        "cat": ("tiger cat", 9.24987, -0.37956, 9.17391, -0.6475, -0.7292),
        "coffee": ("espresso", 9.8059, -0.33147, -0.37831, 0.25798, 0.31722),
    },
    ("efficientnet-lite1", 240): {
        "china": ("boathouse", 8.44917, -1.05453, -0.22007, 7.68741, -0.05827),
        "flower": ("lampshade", 5.58889, -1.56298, -1.40148, -0.26346, 3.05881),
        "cat": ("tiger cat", 7.25273, -0.99889, 7.08949, -1.10595, 0.14965),
        "coffee": ("espresso", 6.8687, -0.48356, -0.7136, 0.00215, 0.31856),
    },
    ("efficientnet-lite2", 260): {
        "china": ("palace", 7.26557, -0.92873, 0.01269, 7.26557, 0.14326),
        "flower": ("lampshade", 5.17374, -0.6429, -1.53778, -0.91393, 3.26587),
        "cat": ("Egyptian cat", 8.66575, -0.9188, 8.66575, -0.8854, 0.45724),
        "coffee": ("espresso", 8.75827, 0.59753, -0.80166, -0.09131, -0.05723),
    },
}
OTHERS = ["tench", "Egyptian cat", "palace", "daisy"]


def photograph(name):
    of = {"cat": data.chelsea, "coffee": data.coffee}
    return of[name]() if name in of else sample_images(f"{name}.jpg")


def middle(picture, side):
    top, left = ((size - side) // 2 for size in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def pretrained(model):
    if not is_installed(model):
        pytest.skip(f"{PACKAGES[model].name} is not installed")
    return neocog.load_pretrained(model)


@pytest.mark.parametrize(("model", "side"), SCORES)
def test_scores_of_photographs(model, side):
    network = pretrained(model)
    assert network.input_shape == (3, side, side)
    images = np.stack([middle(photograph(name), side) for name in SCORES[model, side]])
    found = network.predict_scores(images)
    for row, (first, *scores) in zip(found, SCORES[model, side].values(), strict=True):
        assert network.classes[row.argmax()] == first
        places = [network.classes.index(name) for name in (first, *OTHERS)]
        np.testing.assert_allclose(row[places], scores, atol=1e-4)


def test_all_scores_are_those_of_the_package():
    torch = pytest.importorskip("torch")
    others = pytest.importorskip("efficientnet_lite_pytorch")
    from neocog.pretrained.sources import weights_of

    network = pretrained("efficientnet-lite0")
    images = np.stack([middle(photograph(name), 224) for name in ("china", "flower", "cat")])
    path = str(weights_of("efficientnet-lite0"))
    module = others.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    x = torch.from_numpy((images.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = module(x).numpy()
    np.testing.assert_allclose(network.predict_scores(images), expected, atol=1e-4)


def test_the_cat_and_the_flower_are_named(command, tmp_path):
    """Whole pictures, resized and cropped as the weights want it."""
    from PIL import Image

    pretrained("efficientnet-lite0").save(tmp_path / "lite0.safetensors")
    files = []
    for name in ("cat", "flower"):
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(photograph(name)).save(files[-1])
    code, out, err = command("predict", tmp_path / "lite0.safetensors", *files, "--json")
    assert code == 0, err
    cat, flower = json.loads(out)
    assert {one["label"] for one in cat["top"]} == {"tabby", "tiger cat", "Egyptian cat"}
    assert flower["top"][0]["label"] == "daisy"
