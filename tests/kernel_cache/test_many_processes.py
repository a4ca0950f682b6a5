"""Processes that begin at once with nothing compiled, and a kernel that nobody finishes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from kernel_caches import COUNT, finish, forget, run, start
from numba import int64

from neocog.kernels.codegen.pointers import function_pointer_call, longs_at
from neocog.kernels.compiler import jit, kernel_cache
from neocog.kernels.compiler.kernel_cache import claim
from neocog.kernels.compiler.python_function import python_function
from neocog.kernels.compiler.spec import Size
from neocog.kernels.optimizer.clipping import Clipping, clip_factor

MANY = 16

# Forks, so that the packages are imported once. Each child prints a line: what it compiled, and
# the most seconds that it waited from one kernel to the next.
CROWD = """
import json, os, sys, time
from neocog.engine import compilation
from neocog.kernels.compiler import jit, kernel_cache
from neocog.kernels.optimizer import averaging, clipping

compilation._PATIENCE = float(sys.argv[2])
pairs = [
    (clipping.clip_factor, clipping.Clipping(3)),
    (clipping.square_sums, clipping.Squares(64)),
    (averaging.average_step, averaging.Averaging(64)),
]
written = []
write = kernel_cache.write
kernel_cache.write = lambda name, code: (written.append(name), write(name, code))

def work():
    waited, paused = 0.0, 0.0
    def pause(seconds):
        nonlocal waited, paused
        paused += seconds
        waited = max(waited, paused)
        sleep(seconds)
    def compile_unclaimed(*pair):
        nonlocal paused
        done = unclaimed(*pair)
        paused = 0.0 if done else paused
        return done
    sleep, time.sleep = time.sleep, pause
    unclaimed, compilation.compile_unclaimed = compilation.compile_unclaimed, compile_unclaimed
    found = compilation.compile_all(pairs, 1)
    assert all(one.address for one in found)
    line = json.dumps({"written": written, "waited": waited}) + "\\n"
    os.write(1, line.encode())

children = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    children.append(child)
failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
sys.exit(failed)
"""


def crowd(folder, count, patience):
    """What each of so many processes says."""
    done = subprocess.run(
        [sys.executable, "-c", CROWD, str(count), str(patience)],
        env={**os.environ, "NEOCOG_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sixteen_processes_compile_each_kernel_once(tmp_path):
    said = crowd(tmp_path, MANY, patience=200)
    assert len(said) == MANY
    written = [name for one in said for name in one["written"]]
    assert len(set(written)) == 3
    assert len(written) == 3, "what one compiles, no other does"
    assert [one["written"] for one in crowd(tmp_path, 1, patience=200)] == [[]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nobody_waits_longer_than_the_stated_time_for_one_that_is_stuck(empty):
    name = jit._name(clip_factor, Clipping(3))
    with claim(name) as mine:
        assert mine
        said = crowd(empty, 4, patience=0.5)
    assert any(name in one["written"] for one in said)
    assert max(one["waited"] for one in said) > 0
    assert max(one["waited"] for one in said) <= 0.5 + 2 * 0.02


@pytest.mark.thorough
def test_trainings_that_begin_at_once(tmp_path, filled):
    count = 6  # each imports Numba
    processes = [start(tmp_path) for _ in range(count)]
    found = [finish(process) for process in processes]
    assert [losses for _, losses, _ in found] == [filled[1]] * count
    assert run(tmp_path, COUNT)[:2] == ("[]", filled[1])


def factor(compiled):
    """What the kernel computes from the squares 9 and 16 with a limit of 1."""
    numbers = jit.numbers_of(compiled.sizes, Clipping(2))
    sums, limit, clip = np.array([9.0, 16.0]), np.array([1.0]), np.zeros(1)
    operands = np.array([array.ctypes.data for array in (sums, limit, clip)])
    drive(compiled.address, numbers.ctypes.data, operands.ctypes.data)
    return clip[0]


_call = function_pointer_call(jit.KERNEL_ARGUMENTS)


@python_function(address=int64, numbers=int64, operands=int64)
def drive(given):
    _call(given.address, longs_at(given.numbers), longs_at(given.operands), 0, 1)


@pytest.mark.parametrize(
    "sizes", [(Size("nothing", "i"),), (Size("items.bit", "i"),), (Size("items", "f"),)]
)
def test_what_reads_other_attributes_than_the_spec_has_is_compiled_again(empty, monkeypatch, sizes):
    monkeypatch.setattr(jit, "_compiled", {})
    kernel = jit.Kernel(clip_factor.function, clip_factor.operands)
    right = jit.compiled_kernel(kernel, Clipping(2))
    assert factor(right) == pytest.approx(0.2, abs=1e-6)
    (entry,) = [path.name for path in kernel_cache.cache_folder().iterdir() if "clip" in path.name]
    code = kernel_cache.read(entry)
    assert code.sizes == right.sizes == (Size("items", "i"),)
    assert 0 < code.seconds < 100
    kernel_cache.write(entry, code._replace(sizes=sizes))
    forget()
    assert jit.kept_kernel(jit.Kernel(kernel.function, kernel.operands), Clipping(2)) is None
    again = jit.compiled_kernel(jit.Kernel(kernel.function, kernel.operands), Clipping(2))
    assert factor(again) == factor(right)
    assert kernel_cache.read(entry).sizes == right.sizes
