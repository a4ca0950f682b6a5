"""`neocog.embed`: features in the order of their pictures, and the files that have them."""

import subprocess
import sys
import weakref

import numpy as np
import pytest
from folders import CLASSES, pictures, write_folder
from photographs import network

import neocog
from neocog import Conv2d, Dropout, Flatten, Linear, Network, ReLU
from neocog.curation import embedding as module
from neocog.curation.pictures import PictureList
from neocog.data.images import Dataset
from neocog.errors import ArchitectureError, DataError, FormatError, NeocogError

NET = network()


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "photos", 20, 4)


def test_features_are_what_the_last_layer_reads(folder):
    """So the scores of the whole network are that layer's of them."""
    found = neocog.embed(NET, folder)
    state = NET.state_dict()
    weight, bias = state["classifier.fc.weight"], state["classifier.fc.bias"]
    images = pictures(24).images[[int(name[-7:-4]) for name in found.names]]
    np.testing.assert_allclose(
        found.features @ weight.T + bias, NET.predict_scores(images), atol=1e-5
    )
    assert found.features.dtype == np.float32
    assert found.features.shape == (24, 40)


def test_names_and_labels(folder):
    found = neocog.embed(NET, folder)
    assert found.classes == CLASSES
    for n, name in enumerate(found.names):
        assert found.label(n) == (None if name.startswith("unlabeled/") else name.split("/")[0])
    assert list(found.names) == sorted(found.names)
    assert repr(found) == "<Embedding of 24 pictures in 40 features>"


def test_images_in_memory_give_the_same(folder):
    images = pictures(24)
    found, of_files = neocog.embed(NET, images), neocog.embed(NET, folder)
    order = [int(name[-7:-4]) for name in of_files.names]
    assert found.features[order].tobytes() == of_files.features.tobytes()
    assert found.labels.tolist() == images.labels.tolist()


def test_the_threads_and_the_sizes_of_batches_change_nothing(folder, monkeypatch):
    one = neocog.embed(NET, folder, threads=1)
    monkeypatch.setattr(module, "_AT_A_TIME", 5)
    assert neocog.embed(NET, folder, threads=3).features.tobytes() == one.features.tobytes()


def test_they_are_kept_by_their_content(own_cache, folder):
    assert neocog.embed(NET, folder, cache=False).computed == 24
    assert neocog.embed(NET, folder).computed == 24
    (folder / "red" / "000.png").rename(folder / "blue" / "new.png")
    assert neocog.embed(NET, folder).computed == 0
    write_folder(folder / "more", 3, seed=1)
    assert neocog.embed(NET, folder).computed == 3


def test_pictures_that_cannot_be_read_are_left_out(folder):
    (folder / "green" / "bad.png").write_bytes(b"no picture")
    found = neocog.embed(NET, folder)
    (bad,) = found.skipped
    assert bad.name == "green/bad.png"
    assert "not an image that Pillow knows" in bad.reason
    assert len(found) == 24
    assert "green/bad.png" not in found.names
    good = neocog.embed(NET, Dataset(pictures(24).images, pictures(24).labels))
    order = [int(name[-7:-4]) for name in found.names]
    assert found.features.tobytes() == good.features[order].tobytes()


def test_none_can_be_read(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"None of the 1 pictures .*\. The first: bad\.png is not"):
        neocog.embed(NET, tmp_path)


def test_one_picture(tmp_path):
    write_folder(tmp_path, 1)
    assert neocog.embed(NET, tmp_path).features.shape == (1, 40)


def test_few_pictures_are_in_memory_at_a_time(folder, monkeypatch):
    """Those of one batch, of the next one, which is read meanwhile, and of the one that is read."""
    monkeypatch.setattr(module, "_AT_A_TIME", 2)
    alive, most = weakref.WeakSet[object](), 0
    decoded = PictureList.decoded

    class Pixels(np.ndarray):
        __hash__ = object.__hash__

    def counting(self, *arguments):
        nonlocal most
        found = decoded(self, *arguments).view(Pixels)
        alive.add(found)
        most = max(most, len(alive))
        return found

    monkeypatch.setattr(PictureList, "decoded", counting)
    assert len(neocog.embed(NET, folder, threads=1)) == 24
    assert most <= 8


def test_progress(folder):
    told = []
    neocog.embed(NET, folder, progress=lambda *said: told.append(said))
    assert told[-1] == ("features", 24, 24)


# Files


def test_npz(folder, tmp_path):
    found = neocog.embed(NET, folder)
    found.save(tmp_path / "features.npz")
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert set(file) == {"features", "names", "labels", "classes"}
        assert file["features"].tobytes() == found.features.tobytes()
        assert file["features"].dtype == np.float32
        assert tuple(file["names"]) == found.names
        assert file["labels"].tolist() == found.labels.tolist()
        assert tuple(file["classes"]) == CLASSES


def test_parquet(folder, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("neocog.curation.feature_files._ROWS", 10)
    found = neocog.embed(NET, folder)
    found.save(tmp_path / "features.parquet")
    table = parquet.read_table(tmp_path / "features.parquet")
    assert table.column_names == ["name", "label", "features"]
    assert table["name"].to_pylist() == list(found.names)
    assert table["label"].to_pylist() == [found.label(n) for n in range(24)]
    np.testing.assert_array_equal(np.array(table["features"].to_pylist()), found.features)
    assert str(table.schema.field("features").type) == "fixed_size_list<element: float>[40]"


def test_names_that_are_no_text(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_folder(tmp_path / "photos", 3)
    odd = (tmp_path / "photos" / "red" / "000.png").rename(
        tmp_path / "photos" / "red" / "\udcff\u2028.png"
    )
    found = neocog.embed(NET, tmp_path / "photos")
    for suffix in ("npz", "parquet"):
        found.save(tmp_path / f"features.{suffix}")
    names = parquet.read_table(tmp_path / "features.parquet")["name"].to_pylist()
    assert "red/\\udcff\u2028.png" in names
    with np.load(tmp_path / "features.npz") as file:
        assert f"red/{odd.name}" in file["names"].tolist()


def test_files_that_are_refused(tmp_path, folder, monkeypatch):
    found = neocog.embed(NET, folder)
    found.save(tmp_path / "features.npz")
    before = (tmp_path / "features.npz").read_bytes()
    with pytest.raises(FormatError, match="exists, and nothing is overwritten unless"):
        found.save(tmp_path / "features.npz")
    found.save(tmp_path / "features.npz", overwrite=True)
    assert (tmp_path / "features.npz").read_bytes() == before
    with pytest.raises(FormatError, match=r"must end in \.npz or \.parquet"):
        found.save(tmp_path / "features.csv")
    with pytest.raises(FormatError, match="There is no folder"):
        found.save(tmp_path / "nowhere" / "features.npz")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NeocogError, match=r"pip install 'neocog\[parquet\]'"):
        found.save(tmp_path / "features.parquet")
    assert not (tmp_path / "features.parquet").exists()


# Networks


def test_networks_without_features(folder):
    ends = Network(input_shape=(3, 6, 6), flat=Flatten(), fc=Linear(108, 3), relu=ReLU())
    ends.initialize(0)
    with pytest.raises(ArchitectureError, match="ends in ReLU, and features are what a last layer"):
        neocog.embed(ends, folder)
    conv = Network(input_shape=(3, 6, 6), conv=Conv2d(3, 4, 6), flat=Flatten())
    conv.initialize(0)
    with pytest.raises(ArchitectureError, match="ends in Flatten"):
        neocog.embed(conv, folder)
    alone = Network(input_shape=(3, 6, 6), flat=Flatten(), drop=Dropout(0.1), fc=Linear(108, 3))
    alone.initialize(0)
    with pytest.raises(ArchitectureError, match="a linear layer alone, which has no features"):
        neocog.embed(alone, folder)
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        neocog.embed(neocog.models.simple_cnn(), folder)


def test_damaged_weights(folder):
    broken = network()
    state = broken.state_dict()
    state["head.conv.weight"][:] = np.nan
    broken.load_state_dict(state)
    with pytest.raises(NeocogError, match="NaN or infinite: its weights are damaged"):
        neocog.embed(broken, folder)


def test_pytorch_is_not_imported(tmp_path):
    neocog.save(NET, tmp_path / "net.safetensors")
    code = (
        "import sys, neocog, numpy as np\n"
        "from neocog.data import Dataset\n"
        "import neocog.cli.curation\n"
        "network = neocog.load(sys.argv[1])\n"
        "images = np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), np.uint8)\n"
        "neocog.suggest(network, Dataset(images, np.arange(12) % 2))\n"
        "print({'torch', 'sklearn', 'pyarrow', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "net.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
