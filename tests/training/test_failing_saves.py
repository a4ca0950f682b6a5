"""Disks that fail at any call of a run that is kept: nothing is lost, and it can go on."""

import errno

import pytest
from faults import Faulty
from run_parts import data, network

import neocog
from neocog.errors import FormatError
from neocog.training.checkpoints import Checkpoints
from neocog.training.run_lock import LOCK

SETTINGS = {"epochs": 2, "batch_size": 4, "log_every": 8, "checkpoint_steps": 7, "lr": 0.02}
FULL = OSError(errno.ENOSPC, "No space left on device")


def fit(net, **where):
    return neocog.fit(net, data(), validation=data(1), **SETTINGS, **where)


def weights_of(net):
    return {name: value.tobytes() for name, value in net.state_dict().items()}


@pytest.fixture
def quick(monkeypatch):
    """Without what takes its time, and what reads files that are not the run's."""
    for name in ("machine", "versions"):
        monkeypatch.setattr(f"neocog.training.run_folder.{name}", dict)


def calls_of_a_run(folder):
    with pytest.MonkeyPatch.context() as patch:
        faulty = Faulty(patch)
        fit(network(), folder=folder)
    return faulty.calls


def check(tmp_path, numbers, whole):
    """A run whose `number`-th call fails says so, leaves no rubbish, and goes on to the same."""
    failed = 0
    for number in numbers:
        folder = tmp_path / f"run{number}"
        with pytest.MonkeyPatch.context() as patch:
            Faulty(patch, number, FULL)
            try:
                fit(network(), folder=folder)
            except FormatError as error:
                failed += 1
                assert "No space left on device" in str(error), number
                assert str(folder) in str(error), number
        if not folder.exists():  # before there was anything to keep
            continue
        # The lock's own file stays where it is its removal that fails; nobody holds it.
        rubbish = [path.name for path in folder.rglob(".neocog-*") if path.name != LOCK]
        assert rubbish == [], (number, rubbish)
        newest = Checkpoints(folder).newest()
        assert newest.damaged == (), number
        net = network()
        try:
            fit(net, resume=folder)
        except neocog.NeocogError as error:  # all was done, and what failed was tried again
            assert "is finished" in str(error)
            net = neocog.load(folder / "last.safetensors")
        assert weights_of(net) == whole, number
    return failed


def test_some_calls_that_fail(tmp_path, quick):
    calls = calls_of_a_run(tmp_path / "run")
    whole = weights_of(neocog.load(tmp_path / "run" / "last.safetensors"))
    assert len(calls) > 60
    assert check(tmp_path, range(3, len(calls), 41), whole) >= 3


@pytest.mark.thorough
def test_every_call_that_fails(tmp_path, quick):
    calls = calls_of_a_run(tmp_path / "run")
    whole = weights_of(neocog.load(tmp_path / "run" / "last.safetensors"))
    # Most are the writes of one array after another: of these, every seventh.
    numbers = [n for n, call in enumerate(calls, 1) if call != "write" or n % 7 == 0]
    assert check(tmp_path, numbers, whole) > len(numbers) // 2
