"""Processes that help to compile: how many there are, and what happens when they fail."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kernel_caches import COUNT, finish_saying, start

from neocog.engine import compilation
from neocog.errors import NeocogError
from neocog.kernels.compiler import kernel_cache


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
        + "compilation.compile_unclaimed = lambda *p: compilation.kept_kernel(*p) is not None\n"
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
    assert told.count("compiled") == 0 < filled[2], "nothing compiles here"


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
