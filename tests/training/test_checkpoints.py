"""The checkpoints of a run: kept, found again, and never lost to a disk that fails."""

import errno
import os
import re
import sys
from pathlib import Path

import pytest
from checkpointing import checkpoint_of, same
from faults import Faulty, Killed

from neocog.errors import FormatError
from neocog.formats.checkpoint import read_checkpoint
from neocog.training.checkpoints import Checkpoints


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def file_of(steps: int) -> str:
    return f"step-{steps:09d}.safetensors"


def saved(run: Path, *steps: int, keep: int = 3) -> Checkpoints:
    checkpoints = Checkpoints(run, keep)
    for one in steps:
        checkpoints.save(one, checkpoint_of(one))
    return checkpoints


def damage(run: Path, steps: int) -> None:
    """Cut a checkpoint short."""
    path = run / "checkpoints" / file_of(steps)
    path.write_bytes(path.read_bytes()[:-100])


def test_the_newest_are_kept(tmp_path):
    checkpoints = saved(tmp_path, 10, 20, 30)
    assert checkpoints.save(40, checkpoint_of(40)) == tmp_path / "checkpoints" / file_of(40)
    assert names(tmp_path) == [file_of(20), file_of(30), file_of(40)]
    assert [steps for steps, _path in checkpoints.saved()] == [40, 30, 20]
    for steps in (20, 30, 40):
        assert same(
            read_checkpoint(tmp_path / "checkpoints" / file_of(steps)), checkpoint_of(steps)
        )
    found = Checkpoints(tmp_path).newest()
    assert (found.steps, found.path.name, found.damaged) == (40, file_of(40), ())
    assert same(found.checkpoint, checkpoint_of(40))


def test_how_many_are_kept(tmp_path):
    for keep in (0, 1, 2):
        run = tmp_path / str(keep)
        run.mkdir()
        saved(run, 1, 2, 3, keep=keep)
        assert names(run) == [file_of(steps) for steps in range(4 - max(1, keep), 4)]


def test_steps_are_ordered_as_numbers(tmp_path):
    many = 10**9
    saved(tmp_path, many - 1, many, many + 1, keep=2)
    assert names(tmp_path) == [file_of(many), file_of(many + 1)]
    assert Checkpoints(tmp_path).newest().steps == many + 1


def test_the_same_step_again(tmp_path):
    checkpoints = saved(tmp_path, 5)
    checkpoints.save(5, checkpoint_of(6))
    assert names(tmp_path) == [file_of(5)]
    assert same(checkpoints.newest().checkpoint, checkpoint_of(6))


def test_nothing_to_go_on_from(tmp_path):
    for run in (tmp_path, tmp_path / "none"):
        with pytest.raises(FormatError, match="checkpoints has no checkpoint to go on from"):
            Checkpoints(run).newest()
    assert list(tmp_path.iterdir()) == []


def test_damaged_ones_are_named_and_the_one_before_is_used(tmp_path):
    saved(tmp_path, 10, 20, 30)
    damage(tmp_path, 30)
    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.newest()
    assert (found.steps, len(found.damaged)) == (20, 1)
    assert same(found.checkpoint, checkpoint_of(20))
    assert re.fullmatch(
        "step-000000030 is damaged: it is cut short: it should have [0-9,]+ bytes and has "
        r"[0-9,]+; going on from step-000000020\.",
        found.damaged[0],
    )
    damage(tmp_path, 20)
    found = checkpoints.newest()
    assert (found.steps, len(found.damaged)) == (10, 2)
    assert [text[:14] for text in found.damaged] == ["step-000000030", "step-000000020"]
    assert all(text.endswith("; going on from step-000000010.") for text in found.damaged)


def test_a_damaged_one_is_removed_when_there_is_a_newer_whole_one(tmp_path):
    """It takes no whole one's place, though it is of a later step."""
    saved(tmp_path, 10, 20, 30)
    damage(tmp_path, 30)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.newest()
    assert names(tmp_path) == [file_of(10), file_of(20), file_of(30)]
    checkpoints.save(25, checkpoint_of(25))
    assert names(tmp_path) == [file_of(20), file_of(25)]
    assert checkpoints.newest().steps == 25


def test_a_damaged_one_is_replaced_by_that_of_its_step(tmp_path):
    saved(tmp_path, 10, 20)
    damage(tmp_path, 20)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.newest()
    checkpoints.save(20, checkpoint_of(20))
    found = checkpoints.newest()
    assert (found.steps, found.damaged) == (20, ())
    assert same(found.checkpoint, checkpoint_of(20))


def test_the_new_one_is_never_the_one_that_goes(tmp_path):
    """Where somebody goes on from an earlier one."""
    checkpoints = saved(tmp_path, 10, 20, 30)
    checkpoints.save(15, checkpoint_of(15))
    assert file_of(15) in names(tmp_path)
    assert len(names(tmp_path)) == 3


def test_all_are_damaged(tmp_path):
    saved(tmp_path, 10, 20)
    damage(tmp_path, 10)
    damage(tmp_path, 20)
    with pytest.raises(FormatError, match="as all are damaged") as caught:
        Checkpoints(tmp_path).newest()
    text = str(caught.value)
    assert "step-000000020: it is cut short" in text
    assert "step-000000010: it is cut short" in text
    assert str(tmp_path / "checkpoints") in text
    assert names(tmp_path) == [file_of(10), file_of(20)]


def test_one_of_a_later_version_is_not_passed_over(tmp_path):
    """It may be the work of days; only a newer neocog can tell."""
    saved(tmp_path, 10, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neocog.formats.checkpoint._VERSION", 2)
        saved(tmp_path, 30)
    with pytest.raises(FormatError, match=r"step-000000030.* was written by a later neocog"):
        Checkpoints(tmp_path).newest()


posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")


@posix
def test_one_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    saved(tmp_path, 10, 20)
    opened = os.open

    def refuse(path, *rest, **settings):
        if str(path).endswith(file_of(20)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *rest, **settings)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FormatError, match="cannot be read: Permission denied"):
        Checkpoints(tmp_path).newest()


def test_a_disk_that_cannot_read_one_any_more(tmp_path, monkeypatch):
    saved(tmp_path, 10, 20)
    opened = os.open

    def fail(path, *rest, **settings):
        if str(path).endswith(file_of(20)):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path, *rest, **settings)

    monkeypatch.setattr(os, "open", fail)
    found = Checkpoints(tmp_path).newest()
    assert found.steps == 10
    assert "it cannot be read (Input/output error)" in found.damaged[0]


def test_other_files_are_left_alone(tmp_path):
    saved(tmp_path, 10)
    folder = tmp_path / "checkpoints"
    for name in ("step-20.safetensors", "step-000000030.txt", "notes", ".neocog-x.tmp"):
        (folder / name).write_text("mine")
    (folder / f".neocog-{'a' * 16}.tmp").write_text("of a writing that was killed")
    checkpoints = Checkpoints(tmp_path, keep=1)
    assert checkpoints.newest().steps == 10
    checkpoints.save(40, checkpoint_of(40))
    assert names(tmp_path) == [
        ".neocog-x.tmp",
        "notes",
        "step-000000030.txt",
        file_of(40),
        "step-20.safetensors",
    ]


@posix
def test_links_lead_nowhere(tmp_path):
    """Whoever made the folder chose what is in it; the files elsewhere are the user's."""
    elsewhere, run, other = (tmp_path / name for name in ("elsewhere", "run", "other"))
    for folder in (elsewhere, run, other):
        folder.mkdir()
    saved(elsewhere, 10, 20)
    (elsewhere / "checkpoints" / f".neocog-{'a' * 16}.tmp").write_text("mine")
    before = names(elsewhere)
    (run / "checkpoints").symlink_to(elsewhere / "checkpoints")
    checkpoints = Checkpoints(run, keep=1)
    with pytest.raises(FormatError, match="This is a file or a link, not a folder"):
        checkpoints.newest()
    with pytest.raises(FormatError, match="cannot be written: This is a file or a link"):
        checkpoints.save(30, checkpoint_of(30))
    saved(other, 5)
    (other / "checkpoints" / file_of(20)).symlink_to(elsewhere / "checkpoints" / file_of(20))
    found = Checkpoints(other).newest()
    assert found.steps == 5
    assert "symbolic link" in found.damaged[0]
    assert names(elsewhere) == before


# Disks that fail


@pytest.fixture
def quick(monkeypatch):
    """Without what takes its time."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def every_call(tmp_path, before=(10, 20)):
    """Every call by number, with a run that has these checkpoints; and which call it is."""
    with pytest.MonkeyPatch.context() as patch:
        run = tmp_path / "counted"
        run.mkdir()
        saved(run, *before, keep=2)
        checkpoints = Checkpoints(run, keep=2)
        faulty = Faulty(patch)
        checkpoints.save(30, checkpoint_of(30))
    for at in range(1, len(faulty.calls) + 1):
        run = tmp_path / str(at)
        run.mkdir(exist_ok=True)
        for path in run.glob("*/*"):
            path.unlink()
        if before:
            saved(run, *before, keep=2)
        yield run, at, faulty.calls[at - 1]


ERRORS = {
    errno.ENOSPC: "No space left on device",
    errno.EIO: "Input/output error",
    errno.EROFS: "Read-only file system",
    errno.EACCES: "Permission denied",
}


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("before", [(10, 20), ()], ids=["some before", "the first"])
def test_whatever_fails_the_one_before_is_whole(tmp_path, quick, code, before):
    failed = set()
    for run, at, call in every_call(tmp_path, before):
        checkpoints, caught = Checkpoints(run, keep=2), None
        with pytest.MonkeyPatch.context() as patch:
            Faulty(patch, at, OSError(code, ERRORS[code]))
            try:
                checkpoints.save(30, checkpoint_of(30))
            except FormatError as error:
                caught = str(error)
        if before:
            last = run / "checkpoints" / file_of(20)
            assert same(read_checkpoint(last), checkpoint_of(20)), (at, call)
        if caught is not None:
            failed.add(call)
            path = run / "checkpoints" / file_of(30)
            assert caught.startswith(f"{path} cannot be written: {ERRORS[code]}"), (at, call)
            assert caught.endswith(".")
            if before:
                assert file_of(10) in names(run), "an old one goes only when the new one is there"
        there = names(run) if (run / "checkpoints").exists() else []
        assert set(there) <= {file_of(10), file_of(20), file_of(30)}, (at, call)
        if caught is None or file_of(30) in there:
            newest = checkpoints.newest()
            assert (newest.steps, newest.damaged) == (30, ())
            assert same(newest.checkpoint, checkpoint_of(30))
        # And it goes on afterwards, as if nothing had been.
        checkpoints.save(40, checkpoint_of(40))
        assert file_of(40) in names(run)
        assert len(names(run)) <= 2
    assert {"open", "write", "fsync", "replace"} <= failed


def test_a_disk_that_fails_for_good(tmp_path, quick):
    """From some call on nothing can be written or removed any more, a half-written file either."""
    for run, at, call in every_call(tmp_path):
        with pytest.MonkeyPatch.context() as patch:
            Faulty(patch, at, Killed())
            with pytest.raises((Killed, FormatError)):
                Checkpoints(run, keep=2).save(30, checkpoint_of(30))
                raise Killed
        newest = Checkpoints(run, keep=2).newest()
        assert newest.steps in (20, 30), (at, call)
        assert newest.damaged == ()
        assert same(newest.checkpoint, checkpoint_of(newest.steps))
        assert set(names(run)) <= {file_of(steps) for steps in (10, 20, 30)}


def test_what_is_said_of_a_full_disk(tmp_path, quick, monkeypatch):
    def fail(*_paths, **_settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FormatError) as caught:
        saved(tmp_path, 30)
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/checkpoints/step-000000030.safetensors cannot be written: "
        r"No space left on device \([\d,.]+ [MG]iB free, 0\.0 MiB needed\)\. Free some space, or "
        r"choose a folder on another disk\.",
        str(caught.value),
    )


def test_a_run_that_is_removed_while_it_runs(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    checkpoints = saved(run, 10)
    (run / "checkpoints" / file_of(10)).unlink()
    (run / "checkpoints").rmdir()
    checkpoints.save(20, checkpoint_of(20))  # the folder of the checkpoints alone is made anew
    (run / "checkpoints" / file_of(20)).unlink()
    (run / "checkpoints").rmdir()
    run.rmdir()
    with pytest.raises(FormatError, match=f"There is no folder {re.escape(str(run))}."):
        checkpoints.save(30, checkpoint_of(30))
    run.write_text("a file in its place")
    with pytest.raises(FormatError, match=f"{re.escape(str(run))} is a file, not a folder."):
        checkpoints.save(30, checkpoint_of(30))
