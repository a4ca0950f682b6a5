"""``neocog cache``: what it lists and removes, and what it leaves alone."""

import json
import os
import threading

import numpy as np
import pytest
from filelock import FileLock
from keeping import Store, pictures_of, png, ways

from neocog import caches
from neocog.caches import cache_content, clear_cache
from neocog.cli import main
from neocog.kernels.compiler import kernel_cache
from neocog.transfer.feature_cache import FeatureCache

HEX = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of our own with an entry of pictures, and kernels of this version and another."""
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0.25")
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    current = root / "kernels" / HEX[:20]
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: current)
    for folder, kernels in ((current, 3), (root / "kernels" / HEX[1:21], 2)):
        folder.mkdir(parents=True, mode=0o700)
        for n in range(kernels):
            (folder / f"update.sgd_update-{n}{HEX[1:40]}").write_bytes(bytes(1000))
    (root / "kernels").chmod(0o700)
    found = ways(kind="class folders", name="photos").decoded(
        pictures_of(Store([png(1), png(2), b"bad"]))
    )
    assert found.why_not_kept == ""
    return root


def said(capsys, *arguments):
    code = main(["cache", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_the_list(cache, capsys):
    code, out, err = said(capsys)
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if str(cache) not in line]
    assert max(map(len, lines)) <= 80
    lines = [line.split() for line in out.splitlines()]
    assert ["Cache:", str(cache)] in lines
    day = lines[3][-1]
    assert len(day) == 10
    assert ["photos", *["3", "×", "4", "×", "5"], "2", "0.0", "MiB", day] in lines
    assert [HEX[:20], "this", "version", "3", "0.0", "MiB", day] in lines
    assert [HEX[1:21], "old", "2", "0.0", "MiB", day] in lines
    assert "25 % of the disk" in out


class Means:
    """Features that need no kernel: the mean of each channel."""

    place, shape, dtype, input_shape = "pool", (3,), np.float32, (3, 4, 5)

    def mark(self):
        return "means"

    def of(self, images):
        return images.mean(axis=(1, 2)).astype(np.float32)


def test_features_of_a_view_are_one_line(cache, capsys):
    """They lie in up to sixteen entries."""
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 5, 3), np.uint8)
    for view in ("whole", "mirror"):
        FeatureCache(Means()).of(images, view)
    assert len(json.loads(said(capsys, "--json")[1])["pictures"]) > 10
    lines = [line.split() for line in said(capsys)[1].splitlines()]
    rows = [line for line in lines if "features" in line and "view" not in line]
    assert sorted(row[:4] for row in rows if row[0].endswith(",")) == [
        ["pool,", "mirror", "features", "30"],
        ["pool,", "whole", "features", "30"],
    ]


def test_the_list_of_one_part(capsys):
    assert "kernels take" not in said(capsys, "list", "pictures")[1]
    assert "photos" not in said(capsys, "list", "kernels")[1]


def test_a_long_and_strange_name_fits(cache, capsys):
    ways(name="n\x1b[2J" * 40, kind="k" * 90, shape=(3, 2000, 2000)).decoded(
        pictures_of(Store([png(1)]))
    )
    out = said(capsys)[1]
    lines = [line for line in out.splitlines() if str(cache) not in line]  # which may be long
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out


def test_the_list_as_json(cache, capsys):
    found = json.loads(said(capsys, "--json")[1])
    (pictures,) = found["pictures"]
    folder = pictures.pop("folder")
    assert os.path.commonpath([folder, cache]) == str(cache)
    assert pictures.pop("last_used") > 1e9
    assert pictures.pop("bytes") > 2 * 60
    assert pictures == {
        "source": "photos",
        "kind": "class folders",
        "shape": [2, 4, 5, 3],
        "skipped": 1,
        "old": False,
    }
    assert sorted((one["kernels"], one["bytes"], one["old"]) for one in found["kernels"]) == [
        (2, 2000, True),
        (3, 3000, False),
    ]
    assert found["share"] == 0.25
    assert found["folder"] == str(cache)


def test_clearing_all(cache, capsys):
    code, out, _err = said(capsys, "clear")
    assert code == 0
    assert out.startswith("Removed 1 set of pictures or features and 5 compiled kernels: ")
    assert files_in(cache) == []
    assert list((cache / "pictures").iterdir()) == list((cache / "kernels").iterdir()) == []


@pytest.mark.parametrize(("what", "left"), [("pictures", 5), ("kernels", 2)])
def test_clearing_one_part(cache, capsys, what, left):
    assert said(capsys, "clear", what)[0] == 0
    assert len(files_in(cache)) == left


def test_clearing_what_is_old(cache, capsys, monkeypatch):
    assert json.loads(said(capsys, "clear", "--old", "--json")[1]) == {
        "pictures": 0,
        "kernels": 2,
        "bytes": 2000,
        "busy": 0,
    }
    assert not (cache / "kernels" / HEX[1:21]).exists()
    monkeypatch.setattr(caches, "decoders", lambda: "of the next version")
    assert "photos, old" in said(capsys)[1]
    assert clear_cache(old=True).pictures == 1
    assert len(files_in(cache)) == 3


def test_a_torn_entry_can_be_cleared(cache, capsys):
    (path,) = (cache / "pictures").glob("*/entry")
    path.write_bytes(b"torn")
    assert "(torn or unfinished)" in said(capsys)[1]
    assert clear_cache(old=True).pictures == 1
    assert not path.parent.exists()


def test_what_another_makes_just_now_stays(cache, capsys):
    (path,) = (cache / "pictures").glob("*/lock")
    locked, done = threading.Event(), threading.Event()

    def hold():
        with FileLock(path):
            locked.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(30)
        out = said(capsys, "clear", "pictures")[1]
    finally:
        done.set()
        thread.join()
    assert out.splitlines()[-1] == "What is in use stays: 1."
    assert path.with_name("entry").exists()


def test_what_is_not_ours_stays(cache, tmp_path):
    (entry,) = (cache / "pictures").glob("*/entry")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "entry").write_text("precious")
    (outside / f"update.sgd_update-{HEX[:40]}").write_text("precious")
    (cache / "pictures" / HEX[:32]).symlink_to(outside)
    (cache / "kernels" / HEX[2:22]).symlink_to(outside)
    mine = ["notes.txt", "pictures/notes.txt", "kernels/notes.txt", f"kernels/{HEX[:20]}/notes"]
    mine += [f"pictures/{HEX[:31]}/entry", f"kernels/{HEX[:21]}/update.sgd_update-{HEX[:40]}"]
    mine.append(str(entry.with_name("notes").relative_to(cache)))
    for name in mine:
        (cache / name).parent.mkdir(exist_ok=True)
        (cache / name).write_text("mine")
    (cache / "kernels" / HEX[:20] / f"a.link-{HEX[:40]}").symlink_to(outside / "entry")
    clear_cache()
    left = {name for name in files_in(cache) if not (cache / name).is_symlink()}
    assert left == set(mine)
    assert (cache / "kernels" / HEX[:20] / f"a.link-{HEX[:40]}").is_symlink()
    assert len(list(outside.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="no such rights")
def test_nothing_is_touched_where_others_can_write(cache):
    for name in ("pictures", "kernels"):
        (cache / name).chmod(0o777)
    assert cache_content() == caches.CacheContent((), ())
    clear_cache()
    assert len(files_in(cache)) == 5 + 2


def test_an_empty_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "none"))
    assert said(capsys)[0] == 0
    out = said(capsys, "clear")[1]
    assert out == "Removed 0 sets of pictures or features and 0 compiled kernels: 0.0 MiB.\n"
    assert not (tmp_path / "none").exists()


def test_mistakes(capsys, monkeypatch):
    code, _out, err = said(capsys, "--old")
    assert (code, err) == (1, "neocog: --old goes with clear: neocog cache clear --old.\n")
    code, _out, err = said(capsys, "claer")
    assert code == 2
    assert "Did you mean 'clear'?" in err
    monkeypatch.delenv("NEOCOG_CACHE_DIR")
    monkeypatch.setattr("neocog.files.cache_folder", lambda: None)
    code, _out, err = said(capsys)
    assert code == 1
    assert "NEOCOG_CACHE_DIR" in err
