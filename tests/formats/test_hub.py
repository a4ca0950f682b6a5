"""Pushing to a hub and pulling from it, by the hub's own library and a server on this machine."""

import os
import subprocess
import sys

import numpy as np
import pytest
from graph_networks import three_lanes
from model_files import network

import neocog
from neocog import hub
from neocog.errors import FormatError, NeocogError
from neocog.formats.hub_folder import CARD, CONFIG, FILES, WEIGHTS, hub_files
from neocog.network_files import save_model

constants = pytest.importorskip("huggingface_hub.constants")
from fake_hub import TOKEN, fake_hub  # noqa: E402

REPOSITORY = "jo/flowers"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub; jo is logged in there."""
    with fake_hub() as found:
        place = tmp_path / "home"
        monkeypatch.setattr(constants, "ENDPOINT", found.address)
        template = f"{found.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(place / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def files(made=network):
    return hub_files(made().parts(), "---\nlibrary_name: neocog\n---\n# A card\n")


def assert_is(folder, wanted):
    found = neocog.load(folder)
    assert (found.graph, found.classes) == (wanted.graph, wanted.classes)
    for name, value in wanted.state_dict().items():
        np.testing.assert_array_equal(found.state_dict()[name], value)


def everything_in(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_there_and_back(server, tmp_path):
    address = hub.push(files(), REPOSITORY, private=True)
    assert address == f"{server.address}/{REPOSITORY}"
    made = server.made[REPOSITORY]
    assert made.get("private") is True or made.get("visibility") == "private"
    assert server.cards == [files()[CARD].decode()]  # checked by the hub before it is taken
    size = hub.pull(REPOSITORY, tmp_path / "flowers")
    assert everything_in(tmp_path / "flowers") == files()
    assert size == sum(map(len, files().values()))
    assert_is(tmp_path / "flowers", network())
    assert sorted(path.name for path in tmp_path.iterdir()) in (["flowers"], ["flowers", "home"])


def test_only_a_models_own_files_are_downloaded(server, tmp_path):
    server.repositories[REPOSITORY] = {
        **files(),
        "pytorch_model.bin": b"\x80" * 99,
        "../evil.txt": b"x",
        "modeling.py": b"raise SystemExit",
    }
    hub.pull(REPOSITORY, tmp_path / "flowers")
    assert sorted(everything_in(tmp_path / "flowers")) == sorted(FILES)
    loaded = [path for _, path in server.asked if "/resolve/" in path]
    assert loaded
    assert all(path.rsplit("/", 1)[1] in FILES and "a" * 40 in path for path in loaded)


def test_a_repository_without_a_card_is_taken(server, tmp_path):
    server.repositories[REPOSITORY] = {k: v for k, v in files().items() if k != CARD}
    hub.pull(REPOSITORY, tmp_path / "flowers")
    assert_is(tmp_path / "flowers", network())


def test_a_model_there_is_replaced_only_if_asked_for(server):
    hub.push(files(), REPOSITORY)
    before = dict(server.repositories[REPOSITORY])
    with pytest.raises(NeocogError, match=r"jo/flowers holds config.json, model.safetensors, READ"):
        hub.push(files(other), REPOSITORY)
    assert server.repositories[REPOSITORY] == before
    hub.push(files(other), REPOSITORY, overwrite=True)
    assert server.repositories[REPOSITORY][WEIGHTS] == files(other)[WEIGHTS]


def other():
    found = three_lanes()
    found.initialize(0)
    return found


def test_a_model_here_is_replaced_only_if_asked_for(server, tmp_path):
    hub.push(files(), REPOSITORY)
    folder = tmp_path / "flowers"
    neocog.export(other(), folder, to="hub")
    server.asked.clear()
    with pytest.raises(FormatError, match="flowers holds something already"):
        hub.pull(REPOSITORY, folder)
    assert not server.asked  # nothing is downloaded in vain
    assert_is(folder, other())
    hub.pull(REPOSITORY, folder, overwrite=True)
    assert_is(folder, network())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({CONFIG: None}, "jo/flowers has no config.json: it holds no model that neocog has wri"),
        ({WEIGHTS: None}, "jo/flowers has no model.safetensors"),
        ({CONFIG: b"{}"}, "jo/flowers/config.json: it does not have the layers of the network"),
        ({CONFIG: b"["}, "jo/flowers/config.json: its text is damaged"),
        ({CONFIG: b" " * (2**22 + 1)}, "jo/flowers: config.json has 4.0 MiB; up to 4.0 MiB are"),
        ({WEIGHTS: b"x" * 99}, "jo/flowers/model.safetensors: this is not a safetensors file"),
        ({WEIGHTS: b"x" * 2**23}, "jo/flowers: model.safetensors has 8.0 MiB; up to 4.0 MiB"),
        ({WEIGHTS: files(other)[WEIGHTS]}, "its weights are not those of its layers"),
        ({CARD: b"x" * 2**21}, "jo/flowers: README.md has 2.0 MiB; up to 1.0 MiB"),
    ],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_what_is_refused_leaves_nothing_behind(server, tmp_path, change, message, is_there):
    changed = {**files(), **change}
    server.repositories[REPOSITORY] = {k: v for k, v in changed.items() if v is not None}
    folder = tmp_path / "flowers"
    if is_there:
        neocog.export(other(), folder, to="hub")
    before = everything_in(tmp_path)
    with pytest.raises(FormatError, match=message):
        hub.pull(REPOSITORY, folder, overwrite=is_there)
    assert everything_in(tmp_path) == before
    assert folder.exists() == is_there


def test_sizes_are_known_before_anything_is_downloaded(server, tmp_path):
    server.repositories[REPOSITORY] = files()
    server.lies[WEIGHTS] = 10**12
    with pytest.raises(FormatError, match=r"model.safetensors has .* are taken"):
        hub.pull(REPOSITORY, tmp_path / "flowers")
    assert not [path for _, path in server.asked if path.endswith(WEIGHTS)]


def test_a_file_larger_than_was_said_is_refused(server, tmp_path):
    server.repositories[REPOSITORY] = files()
    server.lies[WEIGHTS] = 10
    server.repositories[REPOSITORY][WEIGHTS] = b"x" * 10**6
    with pytest.raises(NeocogError, match="jo/flowers"):
        hub.pull(REPOSITORY, tmp_path / "flowers")
    assert not (tmp_path / "flowers").exists()


def test_a_full_disk_is_said_before_the_download(server, tmp_path, monkeypatch):
    server.repositories[REPOSITORY] = files()
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**6}))
    with pytest.raises(FormatError, match=r"are needed, and 1.0 MiB are free"):
        hub.pull(REPOSITORY, tmp_path / "flowers")


def test_no_such_repository(server, tmp_path):
    with pytest.raises(NeocogError, match="The hub has no repository jo/none, or does not show"):
        hub.pull("jo/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_private_repository_is_for_who_is_logged_in(server, tmp_path, monkeypatch):
    server.repositories[REPOSITORY] = files()
    server.hidden.add(REPOSITORY)
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(NeocogError, match=r"has no repository .* `hf auth login`, or set HF_TOKEN"):
        hub.pull(REPOSITORY, tmp_path / "flowers")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.pull(REPOSITORY, tmp_path / "flowers")


def test_nobody_is_logged_in(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(NeocogError, match=r"does not let you .* \(401\)\. Log in by `hf auth"):
        hub.push(files(), REPOSITORY)


def test_somebody_elses_repository(server):
    with pytest.raises(NeocogError, match=r"does not let you do that with others/x \(403\)"):
        hub.push(files(), "others/x")


def test_no_network(server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NeocogError, match=r"The hub cannot be reached: .* Is there a network"):
        hub.pull(REPOSITORY, tmp_path / "flowers")
    with pytest.raises(NeocogError, match=r"The hub cannot be reached: .* Is there a network"):
        hub.push(files(), REPOSITORY)


@pytest.mark.parametrize(
    "name", ["flowers", "jo/", "/flowers", "jo/a/b", "../etc/x", "jo/..", "jo/a b", "-/x", "jo/é"]
)
def test_names_that_are_none(name):
    with pytest.raises(NeocogError, match="is no name of a repository: it must be OWNER/NAME"):
        hub.check_repository(name)


def test_without_the_library_it_is_said_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for arguments in (("push", "model.safetensors", REPOSITORY), ("pull", REPOSITORY)):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert "needs its library, huggingface_hub, which cannot be" in err
        assert "pip install 'neocog[hub]'" in err


def test_commands(server, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(network(), tmp_path / "model.safetensors")
    code, out, err = command("push", "model.safetensors", REPOSITORY)
    assert (code, err) == (0, "")
    assert out == (
        f"{server.address}/{REPOSITORY}: config.json, model.safetensors, README.md, 0.0 MiB\n"
    )
    assert command("pull", REPOSITORY) == (0, f"flowers: {REPOSITORY}, 0.0 MiB\n", "")
    assert_is(tmp_path / "flowers", network())
    card = tmp_path / "flowers" / CARD
    card.write_text(card.read_text() + "\nBy hand.\n")
    assert command("push", "flowers", "jo/more", "--private", "--json")[0] == 0
    assert server.repositories["jo/more"] == {
        **everything_in_bytes(tmp_path / "flowers"),
        ".gitattributes": b"*.bin\n",
    }
    code, _, err = command("push", "simple-cnn", "jo/new")
    assert code == 1
    assert "simple-cnn is a network without weights. Train it first" in err


def everything_in_bytes(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def test_in_a_process_of_its_own(server, tmp_path):
    """As a user has it: the library's settings come from the environment, and nothing is shown."""
    server.repositories[REPOSITORY] = files()
    settings = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "neocog", "pull", REPOSITORY, "--json"],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_is(tmp_path / "flowers", network())


def test_a_file_for_the_library_s_cache(server):
    """It is downloaded once, unless it is too large."""
    server.repositories["timm/flowers"] = {"config.json": b"{}" * 10}
    with pytest.raises(FormatError, match=r"config\.json has 0\.0 MiB; up to 0\.0 MiB are taken"):
        hub.cached_file("timm/flowers", "config.json", 19)
    with pytest.raises(FormatError, match=r"timm/flowers has no model\.bin\."):
        hub.cached_file("timm/flowers", "model.bin", 20)
    assert not any("resolve" in path for _method, path in server.asked)
    path = hub.cached_file("timm/flowers", "config.json", 20)
    assert path.read_bytes() == b"{}" * 10
    asked = len(server.asked)
    assert hub.cached_file("timm/flowers", "config.json", 20) == path
    assert len(server.asked) == asked
