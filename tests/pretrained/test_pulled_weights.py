"""The Hugging Face hub, by a stand-in for its library: what is asked for, what cannot be had."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
from made_weights import assert_has

import neocog
from neocog.errors import ArchitectureError, FormatError, NeocogError
from neocog.formats import save_pth
from neocog.pretrained import open_pretrained

SOURCE = "hf:timm/tf_efficientnet_lite0.in1k"
CONFIG = {
    "architecture": "tf_efficientnet_lite0",
    "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 192, 192],
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.25, 0.5],
        "interpolation": "bilinear",
        "crop_pct": 0.95,
        "crop_mode": "center",
    },
}


class Asked(list):
    """What was downloaded; `cached` has files that were before, `lies` sizes of files."""

    def __init__(self):
        super().__init__()
        self.cached, self.lies, self.unreachable = {}, {}, False


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with the repository's files in a folder; its list has what was asked for."""
    asked = Asked()

    def hf_hub_download(repository, file):
        asked.append((repository, file))
        return str(tmp_path / file)

    class HfApi:
        def model_info(self, repository, files_metadata):
            assert files_metadata
            if asked.unreachable:
                raise ConnectionError("no route \x1b[2J\nand more lines")
            there = [path for path in tmp_path.iterdir() if path.is_file()]
            sizes = {path.name: path.stat().st_size for path in there} | asked.lies
            files = [SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()]
            return SimpleNamespace(sha="c0ffee", siblings=files)

    module = ModuleType("huggingface_hub")
    module.hf_hub_download, module.HfApi = hf_hub_download, HfApi
    module.try_to_load_from_cache = lambda repository, file: asked.cached.get(file)
    module.utils = SimpleNamespace(disable_progress_bars=lambda: None)
    names = ("GatedRepoError", "RepositoryNotFoundError", "LocalTokenNotFoundError",
             "HfHubHTTPError", "OfflineModeIsEnabled", "LocalEntryNotFoundError")  # fmt: skip
    module.errors = SimpleNamespace(**{name: type(name, (Exception,), {}) for name in names})
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return asked


def test_a_repository_of_timm(hub, tmp_path, lite0):
    safetensors.numpy.save_file(lite0, tmp_path / "model.safetensors")
    found = open_pretrained(SOURCE, 3)
    assert hub == [
        ("timm/tf_efficientnet_lite0.in1k", "config.json"),
        ("timm/tf_efficientnet_lite0.in1k", "model.safetensors"),
    ]
    assert (found.model, found.head, found.source) == ("efficientnet-lite0", "classifier", SOURCE)
    network = found.network
    but = {name: value for name, value in network.state_dict().items() if "classifier" in name}
    assert_has(network, {**lite0, **but})
    assert network.input_shape == (3, 192, 192)
    assert network.preprocessing.mean == (0.4, 0.5, 0.6)
    assert network.preprocessing.std == (0.2, 0.25, 0.5)
    resize = network.preprocessing.resize
    assert (resize.mode, resize.interpolation, resize.keep) == ("crop", "bilinear", 0.95)
    assert neocog.load_pretrained(SOURCE, input_shape=(3, 64, 64)).input_shape == (3, 64, 64)


def test_a_repository_with_a_checkpoint(hub, tmp_path, lite0):
    save_pth(lite0, tmp_path / "pytorch_model.bin")
    assert_has(neocog.load_pretrained(SOURCE), lite0)


def test_what_cannot_be_had(hub):
    with pytest.raises(FormatError, match=r"^timm/\S+ has no model\.safetensors\.$"):
        neocog.load_pretrained(SOURCE)
    hub.unreachable = True
    message = r"^The hub cannot be reached: no route \\x1b\[2J\. Is there a network"
    with pytest.raises(NeocogError, match=message):
        neocog.load_pretrained(SOURCE)


def test_what_was_downloaded_before_needs_no_network(hub, tmp_path, lite0):
    safetensors.numpy.save_file(lite0, tmp_path / "model.safetensors")
    hub.cached = {name: str(tmp_path / name) for name in ("config.json", "model.safetensors")}
    hub.unreachable = True
    assert_has(neocog.load_pretrained(SOURCE), lite0)
    assert hub == []


@pytest.mark.parametrize(("file", "before"), [("config.json", 0), ("model.safetensors", 1)])
@pytest.mark.parametrize("size", [10**11, None])
def test_files_that_are_too_large_are_not_downloaded(hub, tmp_path, lite0, file, before, size):
    safetensors.numpy.save_file(lite0, tmp_path / "model.safetensors")
    hub.lies = {file: size}
    told = "an unknown size" if size is None else r"93\.1 GiB"
    with pytest.raises(FormatError, match=rf"{file} has {told}; up to .* are taken"):
        neocog.load_pretrained(SOURCE)
    assert len(hub) == before


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(NeocogError, match=r"pip install 'neocog\[hub\]'"):
        neocog.load_pretrained(SOURCE)


@pytest.mark.parametrize("name", ["hf:", "hf:timm", "hf:../../etc", "hf:a/b/c", "hf:a/b\n"])
def test_names_that_are_none(hub, name):
    with pytest.raises(NeocogError, match="is no name of a repository"):
        neocog.load_pretrained(name)
    assert hub == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "its config.json is damaged"),
        ("[" * 100_000, "its config.json is damaged"),
        ("[]", "its config.json is damaged"),
        ("{}", "its config.json is damaged"),
        (json.dumps({**CONFIG, "architecture": "vit_base"}), "vit_base is none of the networks"),
        (json.dumps({**CONFIG, "architecture": ["resnet18"]}), "is none of the networks"),
        # Its padding is PyTorch's, and so it is another network with the same tensors.
        (json.dumps({**CONFIG, "architecture": "efficientnet_lite0"}), "is none of the networks"),
        (json.dumps({**CONFIG, "pretrained_cfg": {}}), "Preprocessing: mean"),
    ],
)
def test_a_damaged_description(hub, tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(FormatError, match=message) as error:
        neocog.load_pretrained(SOURCE)
    assert str(error.value).startswith(f"{SOURCE}: ")


def of(**changes):
    return json.dumps({**CONFIG, "pretrained_cfg": {**CONFIG["pretrained_cfg"], **changes}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_mode": "squash"}, "cropped by squash"),
        ({"interpolation": "random"}, r"interpolation \(='random'\)"),
        ({"crop_pct": 1.5}, r"keep \(=1\.5\)"),
        ({"std": [0, 1, 1]}, "Preprocessing: std"),
        ({"input_size": [3, 224]}, "input_shape"),
        ({"input_size": "all"}, "input_shape"),
    ],
)
def test_preprocessing_that_cannot_be(hub, tmp_path, changes, message):
    (tmp_path / "config.json").write_text(of(**changes))
    with pytest.raises(FormatError, match=message):
        neocog.load_pretrained(SOURCE)


def test_a_repository_that_has_other_weights(hub, tmp_path, lite0):
    safetensors.numpy.save_file({"a.weight": np.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="not the weights of efficientnet-lite0"):
        neocog.load_pretrained(SOURCE)
    safetensors.numpy.save_file(lite0, tmp_path / "model.safetensors")
    with pytest.raises(NeocogError, match="is efficientnet-lite0, and model"):
        neocog.load_pretrained(SOURCE, model="resnet18-224")
    with pytest.raises(ArchitectureError, match="three channels"):
        neocog.load_pretrained(SOURCE, input_shape=(1, 64, 64))
