"""The kernels' machine code on disk: found again, shared, and never trusted when it is torn."""

import errno
import hashlib
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog import files
from neocog.engine import compilation
from neocog.errors import NeocogError
from neocog.kernels import kernel_cache
from neocog.kernels.kernel_cache import MachineCode, cache_folder, claim, read, write
from neocog.private_folder import private_folder

# A network of five kernels or so. Prints how many were to be compiled, how many files were
# written or were there, and the losses to the last bit.
PROGRAM = """
import sys
import numpy as np
from neocog import SGD
from neocog.engine.trainer import Trainer
from neocog.kernels import compiling, kernel_cache
from neocog.layers import Flatten, Linear
from neocog.network import Network

network = Network(input_shape=(1, 2, 4), flatten=Flatten(), fc=Linear(8, 3))
network.load_state_dict({
    "fc.weight": np.arange(24, dtype=np.float32).reshape(3, 8) / 24,
    "fc.bias": np.zeros(3, np.float32),
})
images = np.arange(64, dtype=np.uint8).reshape(8, 2, 4, 1)
told = []
exec(sys.argv[1])
trainer = Trainer(
    network, images, np.arange(8) % 3, batch_size=4, optimiser=SGD(0.1), threads=1,
    on_compile=told.append,
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


def test_torn_files_are_compiled_again(cache, filled):
    folder, files, losses = cache
    damages = (
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
    # They were mended: the next process compiles nothing.
    assert run(folder, COUNT)[:2] == ("[]", losses)


def test_folders_and_foreign_files_in_the_way(cache):
    folder, files, losses = cache
    files[0].unlink()
    files[0].mkdir()
    (files[0].parent / "something else").write_bytes(b"of another program")
    assert run(folder)[1] == losses


@pytest.mark.parametrize("where", ["below a file", "a file"])
def test_a_folder_that_cannot_be_written(tmp_path, filled, where):
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" if where == "a file" else tmp_path / "file" / "cache"
    told, losses, _ = run(folder)
    assert told != "[]"
    assert losses == filled[1]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_two_processes_at_once(tmp_path, filled):
    both = [start(tmp_path) for _ in range(2)]
    assert [finish(process)[1] for process in both] == [filled[1]] * 2
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
    for name in ("simd.py", "convolution.py", "static.py"):
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
    """In another process nothing compiles again: also stages whose attributes lead back to them."""
    folder = cache_folder()
    network = neocog.models.simple_cnn()
    network.initialise(0)
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
        "network.initialise(0)\n"
        "network.predict_proba(np.zeros((40, 32, 32, 3), np.uint8))\n"
        "print('read', c.cache_folder())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["read", str(folder)]
