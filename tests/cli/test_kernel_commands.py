"""``neocog kernels`` and ``neocog warm-up``."""

import json
import re

import pytest

from neocog.cli import warm_up
from neocog.engine import warming
from neocog.kernels import kinds
from neocog.kernels.compiler import jit, kernel_cache
from neocog.kernels.kinds import KernelKind
from neocog.kernels.optimizer.averaging import Averaging, average_step
from neocog.kernels.optimizer.clipping import Clipping, Squares, clip_factor, square_sums
from neocog.kernels.runtime.helper_threads import help_with


@pytest.fixture
def four(monkeypatch, tmp_path):
    """Three kernels and a function that Python calls are all there is, and nothing is compiled."""
    forget()
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "_compiled", {})
    listed = [
        KernelKind("optimizer", fresh(average_step), Averaging(16), "average_step"),
        KernelKind("optimizer", fresh(clip_factor), Clipping(1), "clip_factor"),
        KernelKind("optimizer", fresh(square_sums), Squares(16), "square_sums"),
        KernelKind("runtime", fresh(help_with), None, "help_with"),
    ]
    for module in ("neocog.cli.kernels", "neocog.engine.warming"):
        monkeypatch.setattr(f"{module}.all_kinds", lambda: listed)
    yield tmp_path / "cache"
    forget()


def fresh(kernel):
    return type(kernel)(kernel.function, kernel.operands)


def forget():
    for known in (kernel_cache.root, kernel_cache.cache_folder, kernel_cache._opened):
        known.cache_clear()
    kernel_cache._say_not_kept.cache_clear()


def test_kinds_are_compiled_once_and_listed(four, command):
    code, out, err = command("kernels")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["optimizer", "seconds", "size"]
    assert [" ".join(line.split()) for line in lines[1:4]] == [
        "average_step – –",
        "clip_factor – –",
        "square_sums – –",
    ]
    assert lines[5].split() == ["runtime", "seconds", "size"]
    assert lines[-2:] == ["4 kinds, of which 0 are compiled.", "Compile all: neocog warm-up"]

    code, out, err = command("warm-up")
    assert code == 0
    assert err.splitlines()[0] == "Compiling 4 kinds of kernels …"
    assert re.fullmatch(r"\d of 4", err.splitlines()[1])
    first, second = out.splitlines()
    assert re.fullmatch(r"Compiled 4 kinds of kernels in \d+\.\d s\.", first)
    written = four / "kernels" / kernel_cache.cache_folder().name
    assert second.startswith("All 4 take ") and second.endswith(f" in {written}")
    assert len([path for path in written.iterdir() if path.suffix != ".lock"]) == 4

    code, out, err = command("warm-up")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "There was nothing to compile."

    code, out, err = command("kernels", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [one["kernel"] for one in found["kinds"]] == [
        "average_step",
        "clip_factor",
        "square_sums",
        "help_with",
    ]
    assert all(one["compiled"] and 0 < one["seconds"] < 100 for one in found["kinds"])
    assert found["bytes"] == sum(one["bytes"] for one in found["kinds"]) > 4 * 500
    assert found["seconds"] == sum(one["seconds"] for one in found["kinds"])
    code, out, _ = command("kernels")
    assert code == 0
    assert out.splitlines()[-1].startswith("4 kinds, of which 4 are compiled: ")


def test_kinds_of_one_kernel_stand_below_it(four, command, monkeypatch):
    kernel = fresh(average_step)
    two = [
        KernelKind("optimizer", kernel, Averaging(16), "average_step"),
        KernelKind("optimizer", kernel, Averaging(16), "average_step, tile=4, bias"),
    ]
    monkeypatch.setattr("neocog.cli.kernels.all_kinds", lambda: two)
    lines = command("kernels")[1].splitlines()
    assert [" ".join(line.split()) for line in lines[:4]] == [
        "optimizer seconds size",
        "average_step",
        "none of these – –",
        "tile=4, bias – –",
    ]


def test_only_what_is_missing_is_compiled(four, command):
    jit.compiled_kernel(warming.all_kinds()[0].code, Averaging(32))
    code, out, err = command("warm-up", "--json")
    assert code == 0
    assert err.startswith("Compiling 3 kinds of kernels …\n")
    found = json.loads(out)
    assert (found["kinds"], found["compiled"]) == (4, 3)
    assert found["folder"] == str(kernel_cache.cache_folder())
    assert found["size"] == json.loads(command("kernels", "--json")[1])["bytes"]


def test_progress_on_a_terminal_leaves_nothing_behind(four, command, monkeypatch):
    monkeypatch.setattr(warm_up, "is_terminal", lambda: True)
    code, out, err = command("warm-up")
    assert code == 0
    assert out.startswith("Compiled 4 kinds of kernels in ")
    assert "Compiling 4" not in err


def test_without_a_folder_there_is_nothing_to_warm_up(four, command, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    code, out, err = command("warm-up")
    assert (code, out) == (1, "")
    assert err.startswith("neocog: Compiled kernels cannot be kept: other users can write to ")
    assert err.endswith("NEOCOG_CACHE_DIR can name another folder.\n") and err.count("\n") == 1


def test_what_cannot_be_written_is_said(four, command, monkeypatch):
    monkeypatch.setattr(kernel_cache, "write", lambda name, code: None)
    code, _, err = command("warm-up")
    assert code == 1
    to = kernel_cache.cache_folder()
    said = f"neocog: The machine code of 4 kinds could not be written to {to}."
    assert err.splitlines()[-1] == said


def test_every_kind_is_listed_once():
    listed = kinds.all_kinds()
    names = [(kind.family, kind.name) for kind in listed]
    assert len(set(names)) == len(names)
    assert {"help_with", "run", "work_together"} <= {kind.kernel for kind in listed}
    assert [kind.family for kind in listed] == sorted(kind.family for kind in listed)
