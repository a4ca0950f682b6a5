"""The kernels' machine code on disk: found again, shared, and never trusted when it is torn."""

import contextlib
import errno
import hashlib
import logging
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import neocog
from neocog import files
from neocog.engine import compilation
from neocog.errors import NeocogError
from neocog.kernels import jit, kernel_cache
from neocog.kernels.kernel_cache import MachineCode, cache_folder, claim, read, write
from neocog.kernels.runtime_sizes import Items
from neocog.private_folder import private_folder

# A network of five kernels or so. Prints how many were to be compiled, how many files were
# written or were there, and the losses to the last bit.
PROGRAM = """
import sys
import numpy as np
from neocog import SGD
from neocog.engine.trainer import Trainer
from neocog.kernels import jit, kernel_cache
from neocog.layers import Flatten, Linear
from neocog.network import Network
from neocog.settings.training import TrainingSettings

network = Network(input_shape=(1, 2, 4), flatten=Flatten(), fc=Linear(8, 3))
network.load_state_dict({
    "fc.weight": np.arange(24, dtype=np.float32).reshape(3, 8) / 24,
    "fc.bias": np.zeros(3, np.float32),
})
images = np.arange(64, dtype=np.uint8).reshape(8, 2, 4, 1)
told = []
exec(sys.argv[1])
trainer = Trainer(
    network.graph, network.state_dict(), network.preprocessing, images, np.arange(8) % 3,
    TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=1), on_compile=told.append,
)
print(told, [float(loss).hex() for loss in trainer.run(np.arange(8))], sep="|", end="|")
print(kernel_cache.cache_folder())
"""

# Counts what numba really compiles, whatever anyone says about it.
COUNT = """
from numba.core import compiler
real = compiler.compile_extra
def counted(*arguments, **options):
    told.append("compiled")
    return real(*arguments, **options)
compiler.compile_extra = counted
"""


def start(folder, before="", root=None, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, before],
        cwd=root or Path(neocog.__file__).parent.parent,
        env={
            **os.environ,
            "NEOCOG_CACHE_DIR": str(folder),
            "PYTHONPATH": str(root or Path(neocog.__file__).parent.parent),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """(what was told about compiling, the losses, the cache folder)."""
    return finish_saying(process)[:3]


def finish_saying(process):
    """The same, and what it said on stderr."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    told, losses, folder = out.strip().split("|")
    return told, losses, Path(folder), errors


def run(folder, *arguments, **options):
    return finish(start(folder, *arguments, **options))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that one process has filled: its folder, and the losses."""
    folder = tmp_path_factory.mktemp("cache")
    told, losses, inner = run(folder, COUNT)
    assert inner.parent.parent == folder
    return folder, losses, told.count("compiled")


@pytest.fixture
def cache(filled, tmp_path):
    """A copy of it, its files, and the losses."""
    folder, losses, _ = filled
    shutil.copytree(folder, tmp_path / "cache")
    files = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert len(files) >= 5
    return tmp_path / "cache", files, losses


def contents(files):
    return {path: path.read_bytes() for path in files}


def test_a_second_process_compiles_nothing(cache):
    folder, files, losses = cache
    before = contents(files)
    assert run(folder, COUNT)[:2] == ("[]", losses)
    assert contents(p for p in folder.rglob("*") if p.is_file()) == before


def test_the_count_sees_what_is_compiled(filled):
    """So that the test above can fail."""
    assert filled[2] >= 5


def test_nothing_is_left_beside_the_machine_code(cache):
    _, files, _ = cache
    assert not [p.name for p in files if p.name.startswith("tmp")]
    assert len({p.parent for p in files}) == 1


class Planted:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_torn_files_are_compiled_again_and_no_pickle_is_read(cache, filled, tmp_path):
    folder, files, losses = cache
    planted = pickle.dumps(Planted(tmp_path / "was here"))
    damages = (
        lambda content: hashlib.sha256(planted).digest() + planted,
        lambda content: content[: len(content) // 2],
        lambda content: content[:10],
        lambda content: b"",
        lambda content: b"\x80\x05garbage" * 100,
        lambda content: content[:2000] + bytes([content[2000] ^ 1]) + content[2001:],
    )
    for n, path in enumerate(files):
        path.write_bytes(damages[n % len(damages)](path.read_bytes()))
    told, found, _ = run(folder, COUNT)
    assert told.count("compiled") == filled[2]
    assert found == losses
    assert not (tmp_path / "was here").exists()
    # They were mended: the next process compiles nothing.
    assert run(folder, COUNT)[:2] == ("[]", losses)


def test_folders_and_foreign_files_in_the_way(cache):
    folder, files, losses = cache
    files[0].unlink()
    files[0].mkdir()
    (files[0].parent / "something else").write_bytes(b"of another program")
    assert run(folder)[1] == losses


def test_a_folder_that_cannot_be_written(tmp_path, filled):
    (tmp_path / "file").write_bytes(b"")
    told, losses, _, said = finish_saying(start(tmp_path / "file"))
    assert told != "[]"
    assert losses == filled[1]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert said.count("\n") == 1
    assert f"{tmp_path / 'file'}" in said and "Not a directory" in said


# Counts the entries that a process writes; on a busy machine others may take their time.
WRITES = """
from neocog.engine import compilation
compilation._PATIENCE = kernel_cache._PATIENCE = 200
real = kernel_cache.write
def counted(*arguments):
    told.append("written")
    return real(*arguments)
kernel_cache.write = counted
"""


def test_processes_at_once_compile_each_kernel_once(tmp_path, filled):
    all_at_once = [finish(process) for process in [start(tmp_path, WRITES) for _ in range(2)]]
    assert [losses for _, losses, _ in all_at_once] == [filled[1]] * 2
    entries = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(told.count("written") for told, _, _ in all_at_once) == len(entries)
    assert run(tmp_path, COUNT)[:2] == ("[]", filled[1])


def test_a_changed_source_changes_the_folder(tmp_path, filled):
    package = tmp_path / "neocog"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(neocog.__file__).parent, package, ignore=ignored)
    code = "import neocog.kernels.kernel_cache as c; print(c.cache_folder())"

    def folder():
        done = subprocess.run(
            [sys.executable, "-B", "-c", code],
            cwd=tmp_path,
            env={**os.environ, "NEOCOG_CACHE_DIR": "cache", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    first = folder()
    assert folder() == first
    seen = {first}
    for name in ("simd.py", "convolution.py", "spec_type.py"):
        path = package / "kernels" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        seen.add(folder())
    assert len(seen) == 4
    (package / "kernels" / "one_more.py").write_text('"""One more."""\n', encoding="utf-8")
    seen.add(folder())
    assert len(seen) == 5
    (package / "cli" / "one_more.py").parent.mkdir(exist_ok=True)
    (package / "cli" / "one_more.py").write_text('"""No kernel."""\n', encoding="utf-8")
    assert folder() in seen


def test_widths_have_folders_of_their_own(tmp_path):
    """Each process shows its folder without compiling for it."""
    ask = "print(told, '', kernel_cache.cache_folder(), sep='|'); sys.exit()"
    folders = {run(tmp_path, ask, NEOCOG_LANES=width)[2] for width in ("4", "8", "16")}
    assert len(folders) == 3


def test_every_kernel_of_a_program_is_read_back():
    """In another process nothing compiles again: also specs whose attributes lead back to them."""
    folder = cache_folder()
    network = neocog.models.simple_cnn()
    network.initialize(0)
    network.predict_proba(np.zeros((40, 32, 32, 3), np.uint8))
    code = (
        "import numpy as np, neocog, neocog.kernels.kernel_cache as c\n"
        "read = c.read\n"
        "def checked(name):\n"
        "    found = read(name)\n"
        "    assert found is not None, name\n"
        "    return found\n"
        "c.read = checked\n"
        "network = neocog.models.simple_cnn()\n"
        "network.initialize(0)\n"
        "network.predict_proba(np.zeros((40, 32, 32, 3), np.uint8))\n"
        "print('read', c.cache_folder())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["read", str(folder)]


# Helping processes


def test_helpers_are_not_misled_by_the_current_folder(tmp_path, filled):
    """All kernels come from a helper, started beside files named as what it imports."""
    trap = f"open({str(tmp_path / 'was here')!r}, 'w').close()\nimport time; time.sleep(1000)\n"
    (tmp_path / "here").mkdir()
    (tmp_path / "other" / "neocog").mkdir(parents=True)
    (tmp_path / "other" / "neocog" / "__init__.py").write_text(trap, encoding="utf-8")
    for name in ("random", "numpy", "json", "pickle", "neocog"):
        (tmp_path / "here" / f"{name}.py").write_text(trap, encoding="utf-8")
    before = (
        COUNT
        + "import os; from neocog.engine import compilation\n"
        + f"os.chdir({str(tmp_path / 'here')!r})\n"
        + f"sys.path[:0] = ['', {str(tmp_path / 'other')!r}]\n"
        + "compilation._WORTHWHILE, compilation._PATIENCE = 1, 200\n"
        + "compilation.compile_unclaimed = lambda *p: compilation.kept_address(*p) is not None\n"
    )
    told, losses, _, said = finish_saying(
        start(
            tmp_path / "cache",
            before,
            NEOCOG_COMPILERS="2",
            NEOCOG_CACHE_DIR="../cache",
            PYTHONSAFEPATH="",
        )
    )
    assert said == ""
    assert losses == filled[1]
    assert not (tmp_path / "was here").exists()
    assert 0 < told.count("compiled") < filled[2], "only the driver compiles here"


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "neocog")
    return caplog


def test_what_a_failing_helper_said_is_logged(monkeypatch, log):
    monkeypatch.setattr(compilation, "_START", "import sys; print(1); sys.exit('no such luck')")
    with compilation._helper([]) as process:
        process.wait(60)
    assert [r.message for r in log.records] == [
        "A process that helped compiling failed (exit code 1): no such luck"
    ]
    with pytest.raises(KeyboardInterrupt), compilation._helper([]) as process:
        process.wait(60)
        raise KeyboardInterrupt  # which the helper gets too, and dies of
    assert len(log.records) == 1


def test_a_helper_that_hangs_is_not_waited_for(monkeypatch, log):
    monkeypatch.setattr(compilation, "_START", "import time; time.sleep(1000)")
    monkeypatch.setattr(compilation, "_module_folders", lambda: ["x" * 10_000_000])  # not read
    began = time.monotonic()
    with compilation._helper([]) as process:
        assert process.poll() is None
    assert process.poll() is not None
    assert time.monotonic() - began < 60
    assert log.records == []


def test_a_helper_gets_the_folders_of_modules_but_not_the_current_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", "x", str(tmp_path), "/elsewhere"])
    assert compilation._module_folders() == ["/elsewhere"]


def test_a_helper_with_other_sources_says_so(monkeypatch, log):
    with monkeypatch.context() as patch:
        patch.setattr(kernel_cache, "cache_folder", lambda: Path("elsewhere"))
        with compilation._helper([]) as process:
            process.wait(60)
    (record,) = log.records
    assert "sources of neocog's kernels were changed" in record.message


def test_no_helper_is_started_by_a_program_with_python_inside(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/server/bin/application")
    assert not compilation._can_start()
    monkeypatch.setattr(sys, "executable", None)
    assert not compilation._can_start()


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5", "1025", "9" * 5000, "٣"])
def test_a_number_of_compilers_that_cannot_be(monkeypatch, value):
    monkeypatch.setenv("NEOCOG_COMPILERS", value)
    with pytest.raises(NeocogError, match=r"NEOCOG_COMPILERS \(='") as refused:
        compilation.compile_all([], 2)
    assert value[:30] in str(refused.value) and len(str(refused.value)) < 200


def test_numbers_of_compilers(monkeypatch):
    for value, expected in (("", 3), ("1", 1), (" 7 ", 7), ("1024", 1024)):
        monkeypatch.setenv("NEOCOG_COMPILERS", value)
        assert compilation._compilers(3) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NUMBA_DISABLE_JIT", "1"), ("NEOCOG_LANES", "x"), ("NEOCOG_LANES", "0")],
)
def test_settings_with_which_nothing_compiles_are_one_line(tmp_path, variable, value):
    done = subprocess.run(
        [sys.executable, "-m", "neocog", "train"],
        cwd=tmp_path,
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("neocog: ") and done.stderr.count("\n") == 1
    assert variable in done.stderr


# Sharing


def test_what_others_compile_is_waited_for_last(monkeypatch):
    monkeypatch.setattr(compilation, "_PAUSE", 0)
    asked = []

    def compile_unclaimed(name, _):
        asked.append(name)
        return name != "claimed" or asked.count("claimed") == 3

    monkeypatch.setattr(compilation, "compile_unclaimed", compile_unclaimed)
    compilation._share([("claimed", 0), ("a", 0), ("b", 0)])
    assert asked == ["claimed", "a", "b", "claimed", "claimed"]


def test_who_holds_a_kernel_for_ever_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(compilation, "_PATIENCE", 0.05)
    compiled = []
    monkeypatch.setattr(compilation, "compile_unclaimed", lambda name, _: name in compiled)
    monkeypatch.setattr(compilation, "kernel_address", lambda name, _: compiled.append(name))
    compilation._share([("a", 0), ("b", 0)])
    assert sorted(compiled) == ["a", "b"]


def test_threads_load_a_kernel_once(monkeypatch):
    loaded = []

    def load(*_):
        time.sleep(0.05)
        loaded.append(1)
        return 7

    monkeypatch.setattr(jit, "_addresses", {})
    monkeypatch.setattr(jit, "_name", lambda *_: "one")
    monkeypatch.setattr(jit, "_loaded", load)
    monkeypatch.setattr(kernel_cache, "read", lambda name: ENTRY)
    kernel = object()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: jit.kept_address(kernel, Items(4)), range(8)))
    assert found == [7] * 8
    assert loaded == [1]


# Entries and folders, without any compiling

ENTRY = MachineCode("_ZN6kernel$1.2", "", bytes(range(256)) * 20)


def forget():
    for known in (kernel_cache.root, cache_folder, kernel_cache._opened):
        known.cache_clear()
    kernel_cache._say_not_kept.cache_clear()


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache's root, for this process."""
    forget()
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "a" / "b"))
    yield tmp_path / "a" / "b"
    forget()


def test_an_entry_comes_back(empty):
    assert read("one") is None
    write("one", ENTRY)
    assert read("one") == ENTRY
    path = cache_folder() / "one"
    assert list(cache_folder().iterdir()) == [path]
    levels = [empty.parent, empty, empty / "kernels", cache_folder()]
    assert [stat_mode(level) for level in levels] == [0o700] * 4
    assert stat_mode(path) == 0o600


def stat_mode(path):
    return path.stat().st_mode & 0o777 if os.name == "posix" else 0o700 if path.is_dir() else 0o600


def test_no_damaged_entry_is_used(empty, log):
    write("one", ENTRY)
    path = cache_folder() / "one"
    whole = path.read_bytes()
    damaged = [b"", whole[:31], whole[:100], whole[:-1], whole + b"\0", b"\x80\x05x" * 100]
    damaged += [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(0, 500, 7)]
    for content in damaged:
        path.write_bytes(content)
        assert read("one") is None
    assert len(log.records) == len(damaged)
    assert {r.levelname for r in log.records} == {"DEBUG"}
    assert all(str(path) in r.message for r in log.records)
    path.write_bytes(whole)
    assert read("one") == ENTRY


def sealed(header, code=ENTRY.code):
    rest = len(header).to_bytes(4, "big") + header + code
    return hashlib.sha256(rest).digest() + rest


def test_an_entry_is_what_its_header_says(empty):
    write("one", ENTRY)
    path = cache_folder() / "one"
    whole = path.read_bytes()
    size = int.from_bytes(whole[32:36], "big")
    header = whole[36 : 36 + size]
    path.write_bytes(sealed(header))
    assert read("one") == ENTRY
    for wrong in (
        header.replace(b'"one"', b'"two"'),
        header.replace(b'"format": 1', b'"format": 2'),
        header.replace(b"5120", b"5119"),
        header.replace(b"5120", b'5120, "more": 1'),
        header.replace(b'"_ZN6kernel$1.2"', b"null"),
        b"[" * 10_000,
        b"7",
        b"not JSON",
        b"\xff",
        b"",
        header + b" " * 20_000,
    ):
        path.write_bytes(sealed(wrong))
        assert read("one") is None, wrong
    path.rename(path.with_name("two"))
    path.with_name("two").write_bytes(whole)
    assert read("two") is None, "another kernel's entry"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files and rights")
def test_only_regular_files_of_this_users_are_entries(empty, tmp_path):
    write("one", ENTRY)
    folder = cache_folder()
    (folder / "one").rename(tmp_path / "elsewhere")
    (folder / "one").symlink_to(tmp_path / "elsewhere")
    assert read("one") is None
    (folder / "one").unlink()
    os.mkfifo(folder / "one")
    assert read("one") is None
    (folder / "one").unlink()
    shutil.copy(tmp_path / "elsewhere", folder / "one")
    (folder / "one").chmod(0o622)
    assert read("one") is None
    (folder / "one").chmod(0o644)
    assert read("one") == ENTRY


def test_writing_does_not_follow_a_link(empty, tmp_path):
    write("one", ENTRY)
    (tmp_path / "victim").write_bytes(b"precious")
    for name in ("two", "two.lock"):
        (cache_folder() / name).symlink_to(tmp_path / "victim")
    with claim("two"):
        write("two", ENTRY)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert read("two") == ENTRY


def test_a_cache_that_was_cleared_is_filled_again(empty):
    write("one", ENTRY)
    shutil.rmtree(empty)
    assert read("one") is None
    with claim("one") as mine:
        assert mine
        write("one", ENTRY)
    assert read("one") == ENTRY


def test_a_full_disk_is_said_once(empty, monkeypatch, log):
    def no_space(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{path}.{time.monotonic()}")

    write("one", ENTRY)
    monkeypatch.setattr(files, "writing", no_space)
    write("two", ENTRY)
    write("three", ENTRY)
    assert (read("one"), read("two")) == (ENTRY, None)
    (record,) = log.records
    assert record.levelname == "WARNING"
    assert os.strerror(errno.ENOSPC) in record.message and str(empty) in record.message


def test_without_a_home_nothing_is_kept(empty, monkeypatch, log):
    monkeypatch.delenv("NEOCOG_CACHE_DIR")
    monkeypatch.setattr(files, "cache_folder", lambda: None)
    write("one", ENTRY)
    assert read("one") is None
    with claim("one") as mine:
        assert mine
    assert not kernel_cache.is_open()
    (record,) = log.records
    assert "no home folder" in record.message and "NEOCOG_CACHE_DIR" in record.message


@pytest.mark.parametrize("named", ["{}/file", "{}/file/below", "{}/" + "x" * 300])
def test_folders_that_cannot_be(empty, monkeypatch, tmp_path, log, named):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", named.format(tmp_path))
    write("one", ENTRY)
    assert read("one") is None
    assert len(log.records) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_folder_that_others_can_write_to_is_neither_read_nor_written(empty, log):
    write("one", ENTRY)
    empty.chmod(0o707)
    forget()
    assert read("one") is None
    write("two", ENTRY)
    with claim("one") as mine:
        assert mine
    (record,) = log.records
    assert f"other users can write to {empty} (`chmod go-w {empty}`" in record.message
    assert [path.name for path in (empty / "kernels").glob("*/*")] == ["one"]


def test_a_relative_folder_and_one_below_home(empty, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOCOG_CACHE_DIR", "here")
    assert kernel_cache.root() == tmp_path / "here"
    monkeypatch.chdir("/")
    assert cache_folder().parent.parent == tmp_path / "here"
    forget()
    monkeypatch.setenv("HOME" if os.name == "posix" else "USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NEOCOG_CACHE_DIR", "~/there")
    assert kernel_cache.root() == tmp_path / "there"


# Whose folder it is


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
class TestPrivateFolder:
    def test_missing_levels_are_made_for_this_user_alone(self, tmp_path):
        before = os.umask(0)
        try:
            made = private_folder(tmp_path / "a" / "b")
        finally:
            os.umask(before)
        assert [stat_mode(made), stat_mode(made.parent)] == [0o700, 0o700]
        assert private_folder(made) == made

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o775, 0o777])
    @pytest.mark.parametrize("level", ["a", "a/b", "a/b/c"])
    def test_others_may_write_to_no_level(self, tmp_path, monkeypatch, level, mode):
        group = SimpleNamespace(gr_name="staff", gr_mem=[])
        monkeypatch.setattr("grp.getgrgid", lambda _number: group)
        private_folder(tmp_path / "a" / "b" / "c")
        (tmp_path / level).chmod(mode)
        with pytest.raises(PermissionError, match=f"chmod go-w {tmp_path / level}"):
            private_folder(tmp_path / "a" / "b" / "c")

    @pytest.mark.parametrize(
        ("name", "members", "allowed"),
        [("me", [], True), ("me", ["me"], True), ("me", ["you"], False), ("us", [], False)],
    )
    def test_a_group_of_this_user_alone_is_no_other(
        self, tmp_path, monkeypatch, name, members, allowed
    ):
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o775)
        user = SimpleNamespace(pw_name="me", pw_gid=(tmp_path / "a").stat().st_gid)
        group = SimpleNamespace(gr_name=name, gr_mem=members)
        monkeypatch.setattr("pwd.getpwuid", lambda _number: user)
        monkeypatch.setattr("grp.getgrgid", lambda _number: group)
        with contextlib.nullcontext() if allowed else pytest.raises(PermissionError):
            private_folder(tmp_path / "a")

    def test_reading_is_allowed(self, tmp_path):
        (tmp_path / "a").mkdir(mode=0o755)
        private_folder(tmp_path / "a")

    def test_a_shared_folder_for_temporary_files_may_be_above_it(self, tmp_path):
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared").chmod(0o1777)
        private_folder(tmp_path / "shared" / "own")
        with pytest.raises(PermissionError):
            private_folder(tmp_path / "shared")

    def test_links_are_followed_once_and_what_they_name_is_looked_at(self, tmp_path):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        (tmp_path / "link").symlink_to("open")
        with pytest.raises(PermissionError):
            private_folder(tmp_path / "link" / "own")
        (tmp_path / "open").chmod(0o700)
        assert private_folder(tmp_path / "link" / "own") == (tmp_path / "open" / "own").resolve()

    def test_another_users_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4321)
        if os.getuid() == 0:  # what is root's is anyone's to trust
            os.chown(tmp_path, 7654, -1)
        with pytest.raises(PermissionError, match="belongs to another user"):
            private_folder(tmp_path / "a")
        assert not (tmp_path / "a").exists()

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(NotADirectoryError):
            private_folder(tmp_path / "file" / "a")


# Claims


def claimed_elsewhere(name):
    """Whether another thread could have it now."""
    found = []

    def look():
        with claim(name) as mine:
            found.append(mine)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return not found[0]


def test_one_has_a_claim(empty):
    with claim("one") as mine:
        assert mine
        assert claimed_elsewhere("one")
        assert not claimed_elsewhere("two")
    assert not claimed_elsewhere("one")
    assert list(cache_folder().iterdir()) == []


def test_a_claim_ends_with_its_process(empty):
    code = (
        "import time\nfrom neocog.kernels.kernel_cache import claim\n"
        "with claim('one') as mine:\n    print(mine, flush=True)\n    time.sleep(1000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        assert claimed_elsewhere("one")
    finally:
        process.kill()
        process.communicate()
    assert not claimed_elsewhere("one")


def test_a_claim_is_awaited_but_not_for_ever(empty, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_PATIENCE", 0.1)
    held, done = threading.Event(), threading.Event()

    def hold():
        with claim("one"):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    began = time.monotonic()
    with kernel_cache.await_claim("one"):
        assert time.monotonic() - began >= 0.1
    done.set()
    thread.join()


def test_where_there_are_no_locks_all_compile(empty, monkeypatch):
    def none(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(kernel_cache.FileLock, "acquire", none)
    with claim("one") as mine:
        assert mine
    assert not claimed_elsewhere("one")
