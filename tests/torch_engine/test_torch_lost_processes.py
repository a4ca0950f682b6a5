"""Processes that are killed while they train together: the run goes on, or says clearly why not."""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from together import Torchrun

import neocog
from neocog.training.checkpoints import Checkpoints

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc"),
]

#: Seconds within which a run without one of its processes has ended.
SOON = 60
NEOCOG = ("-m", "neocog", "train")
TRAIN = (*NEOCOG, "../pictures.npz", "--model", "resnet8", "--batch-size", 16, "--out", "run")
HOW = ("--schedule", "constant", "--checkpoint-steps", 5, "--log-every", 1, "--threads", 1)
STEPS_OF_EPOCH = 40
#: More than any test waits for.
LONG = ("--epochs", 1000)
KILLS = 10


@pytest.fixture
def here(tmp_path):
    """A folder beside a few pictures of four classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 800)
    images = rng.integers(0, 128, (800, 16, 16, 3)) + 30 * labels[:, None, None, None]
    np.savez(tmp_path / "pictures.npz", images=images.astype(np.uint8), labels=labels)
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def check_ends_soon(run):
    """Nothing of it is left after a minute; gives torchrun's exit code."""
    began = time.monotonic()
    code = run.wait(SOON)
    while run.ranks():
        assert time.monotonic() - began < SOON, run.ranks()
        time.sleep(0.05)
    return code


def check_whole(folder):
    """The run's models load, and its newest checkpoint is whole. There is no other run."""
    assert sorted(p.name for p in folder.iterdir()) == ["run", "stderr.txt", "stdout.txt"]
    assert Checkpoints(folder / "run").newest().damaged == ()
    models = list((folder / "run").glob("*.safetensors"))
    assert models
    for path in models:
        neocog.load(path)


def weights_of(folder):
    return neocog.load(folder / "run" / "last.safetensors").state_dict()


def go_on(folder, count):
    """Have a run that was ended go on with so many processes; gives the epochs that it then has."""
    epochs = Checkpoints(folder / "run").newest().steps // STEPS_OF_EPOCH + 2
    resumed = ("--resume", "run", "--epochs", epochs)
    with Torchrun(*NEOCOG, *resumed, count=count, cwd=folder) as run:
        assert run.wait() == 0, run.err[-4000:]
        assert "Training finished." in run.out
    check_whole(folder)
    return epochs


@pytest.mark.timeout(3000)  # ten times a process needs as long as PyTorch to be there again
def test_a_run_goes_on_after_each_of_ten_kills(here):
    """And comes to the same bits as one in which nobody was killed."""
    rng = random.Random(0)
    with Torchrun(*TRAIN, *HOW, *LONG, restarts=KILLS, cwd=here) as run:
        for _ in range(KILLS):
            if rng.random() < 0.8:  # else while they start and meet
                run.wait_for("Loss: ", run.out.count("Loss: ") + rng.randrange(1, 20))
            else:
                time.sleep(rng.uniform(0, 5))
            run.kill(rng.randrange(2))
            time.sleep(1)  # until torchrun has ended the other one, too
        run.wait_for("Loss: ", run.out.count("Loss: ") + 1)
        run.send(signal.SIGTERM)
        assert check_ends_soon(run) != 0
        check_whole(here)
    epochs = go_on(here, 2)
    quiet = here.parent / "quiet"
    quiet.mkdir()
    with Torchrun(*TRAIN, *HOW, "--epochs", epochs, cwd=quiet) as run:
        assert run.wait() == 0, run.err[-4000:]
        assert run.out.count("Loss: ") == epochs * STEPS_OF_EPOCH
    wanted, found = weights_of(quiet), weights_of(here)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_that_is_not_started_anew_ends_with_a_clear_error(here, rank):
    with Torchrun(*TRAIN, *HOW, *LONG, cwd=here) as run:
        run.wait_for("Epoch: 2")
        run.kill(rank)
        assert check_ends_soon(run) != 0
        assert f"local_rank: {rank}" in run.err
        if rank:
            assert "neocog: Rank 0 of 2 has lost another process (" in run.err
            assert "Go on with: neocog train --resume run" in run.err
        check_whole(here)


def test_when_torchrun_is_killed_its_processes_end(here):
    with Torchrun(*TRAIN, *HOW, *LONG, cwd=here) as run:
        run.wait_for("Epoch: 2")
        run.send(signal.SIGKILL)
        check_ends_soon(run)
        check_whole(here)


@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupted_run_goes_on_with_other_processes(here, count):
    with Torchrun(*TRAIN, *HOW, *LONG, cwd=here) as run:
        run.wait_for("Epoch: 2")
        run.send(signal.SIGTERM)
        assert check_ends_soon(run) != 0
        assert "Ended by SIGTERM. The weights so far are in run" in run.err
        check_whole(here)
    go_on(here, count)
