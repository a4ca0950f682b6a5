"""A kernel is compiled by the process that has claimed it; others wait, but not for ever."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kernel_caches import ENTRY

from neocog.engine import compilation
from neocog.kernels.compiler import jit, kernel_cache
from neocog.kernels.compiler.kernel_cache import cache_folder, claim
from neocog.kernels.compiler.spec import Size
from neocog.kernels.optimizer.averaging import Averaging, average_step

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
    monkeypatch.setattr(compilation, "compiled_kernel", lambda name, _: compiled.append(name))
    compilation._share([("a", 0), ("b", 0)])
    assert sorted(compiled) == ["a", "b"]


def test_threads_load_a_kernel_once(monkeypatch):
    loaded = []

    def load(*_):
        time.sleep(0.05)
        loaded.append(1)
        return 7

    read = ENTRY._replace(sizes=(Size("item", "i"),))
    monkeypatch.setattr(jit, "_compiled", {})
    monkeypatch.setattr(jit, "_loaded", load)
    monkeypatch.setattr(kernel_cache, "read", lambda name: read)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: jit.kept_kernel(average_step, Averaging(4)), range(8)))
    assert found == [(7, (("item", "i"),))] * 8
    assert loaded == [1]


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
        "import time\nfrom neocog.kernels.compiler.kernel_cache import claim\n"
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
