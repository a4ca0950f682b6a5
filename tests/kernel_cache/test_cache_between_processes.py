"""Machine code on disk is found by other processes, and compiled anew where it is torn or stale."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from kernel_caches import COUNT, finish, finish_saying, run, start

import neocog
from neocog.kernels.compiler.kernel_cache import cache_folder


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
    code = "import neocog.kernels.compiler.kernel_cache as c; print(c.cache_folder())"

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
    for name in ("codegen/emitter.py", "convolution/forward.py", "layout.py"):
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
        "import numpy as np, neocog, neocog.kernels.compiler.kernel_cache as c\n"
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
