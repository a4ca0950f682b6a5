"""Runs that are kept in a folder by `neocog.fit`, and go on there."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from run_parts import data, network

import neocog
from neocog.errors import FormatError, NeocogError
from neocog.settings.schedules import Linear
from neocog.training.checkpoints import Checkpoints
from neocog.training.run_lock import RunLock
from neocog.training.run_records import read_run

COMMON = {"batch_size": 4, "log_every": 4, "lr": 0.02}


def fit(net=None, images=None, **changes):
    images = data() if images is None else images
    return neocog.fit(
        net or network(), images, callback=changes.pop("callback", None), **{**COMMON, **changes}
    )


class StopsAt(neocog.Callback):
    """Presses Ctrl+C at a call of some name, and does nothing else."""

    def __init__(self, name, count=1):
        self.left = count
        setattr(self, name, self.press)

    def press(self, *_):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def weights_of(net):
    return {name: value.tobytes() for name, value in net.state_dict().items()}


def numbers_of(history):
    logged = [(e.epoch, e.batch, e.loss) for e in history.logged]
    epochs = [(e.epoch, e.loss, e.lr, e.validation_loss) for e in history.epochs]
    return logged, epochs, history.steps


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("events."))


FILES = ["checkpoints", "cnn_model.pth", "config.toml", "history.csv", "last.safetensors"]
FILES += ["log.txt", "run.json"]


def test_a_folder_holds_a_run(tmp_path):
    history = fit(folder=tmp_path / "new" / "mine", epochs=2, validation=data(1))
    folder = tmp_path / "new" / "mine"
    assert names(folder) == sorted(["best.safetensors", *FILES])
    record = read_run(folder)
    assert (record.status, record.epochs, record.steps) == ("finished", 2, 16)
    assert record.settings["optimizer.lr"] == 0.02
    assert (folder / "history.csv").read_text() == history.to_csv()
    assert neocog.load(folder).initialized
    assert "epochs = 2" in (folder / "config.toml").read_text()


@pytest.mark.parametrize(
    ("name", "count", "validated"),
    [
        ("logged", 1, False),
        ("logged", 2, True),
        ("epoch_done", 1, True),
        ("progress", 4, False),
        ("logged", 4, True),
        ("logged", 4, False),
    ],
)
def test_a_run_that_was_interrupted_goes_on_to_the_same(tmp_path, name, count, validated):
    images = data(1) if validated else None
    changes = {"epochs": 2, "ema": 0.9, "accumulate": 3, "validation": images, "seed": 5}
    whole = network()
    wanted = fit(whole, **changes)
    folder = tmp_path / "run"
    first = fit(folder=folder, **changes, callback=StopsAt(name, count))
    again = network()
    found = fit(again, resume=folder, **{**changes, "threads": 1}) if first.interrupted else first
    if first.interrupted:
        assert weights_of(again) == weights_of(whole)
    assert numbers_of(found) == numbers_of(wanted)
    rows = [row.split(",")[:2] for row in (folder / "history.csv").read_text().split()[1:]]
    assert rows == [[str(e.epoch), str(e.batch)] for e in wanted.logged]
    assert read_run(folder).status == "finished"


def test_ctrl_c_while_it_validates(tmp_path, monkeypatch):
    whole, again = network(), network()
    wanted = fit(whole, epochs=2, validation=data(1))
    with monkeypatch.context() as patch:

        def press(*_, **__):
            raise KeyboardInterrupt

        patch.setattr("neocog.training.epochs.evaluate", press)
        first = fit(folder=tmp_path / "run", epochs=2, validation=data(1))
    assert (first.interrupted, first.steps, first.epochs) == (True, 8, [])
    found = fit(again, resume=tmp_path / "run", validation=data(1))
    assert weights_of(again) == weights_of(whole)
    assert numbers_of(found) == numbers_of(wanted)


def test_the_settings_are_those_of_the_run(tmp_path):
    first = fit(folder=tmp_path / "run", epochs=1, optimizer="adam", balance="sample", seed=9)
    net = network()
    again = neocog.fit(net, data(), resume=tmp_path / "run", epochs=3)
    assert numbers_of(again)[0][: len(first.logged)] == numbers_of(first)[0]
    whole = network()
    wanted = fit(whole, epochs=3, optimizer="adam", balance="sample", seed=9)
    assert weights_of(net) == weights_of(whole)
    assert numbers_of(again) == numbers_of(wanted)
    assert read_run(tmp_path / "run").settings["epochs"] == 3
    assert "epochs = 3" in (tmp_path / "run" / "config.toml").read_text()


def test_a_checkpoint_by_itself(tmp_path):
    fit(folder=tmp_path / "run", epochs=1)
    checkpoint = Checkpoints(tmp_path / "run").newest().checkpoint
    one, other = network(), network()
    neocog.fit(one, data(), resume=checkpoint, epochs=2)
    fit(other, epochs=2)
    assert weights_of(one) == weights_of(other)
    neocog.fit(network(), data(), resume=checkpoint, epochs=2, folder=tmp_path / "other")
    assert names(tmp_path / "other") == FILES


def test_a_finished_run_says_what_to_do(tmp_path):
    folder = tmp_path / "run"
    fit(folder=folder, epochs=1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(NeocogError) as caught:
        neocog.fit(network(), data(), resume=folder)
    assert str(caught.value) == (
        f"The run in {folder} is finished: it has done all of its 1 epochs. To go on, give it more "
        f"epochs. For a new run with its settings: neocog train --config {folder}/config.toml"
    )
    for changes in ({"lr": 0.5, "epochs": 2}, {"images": data(1), "epochs": 2}):
        with pytest.raises(NeocogError):
            fit(resume=folder, **changes)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_that_stopped_early_is_finished(tmp_path):
    changes = {"epochs": 9, "patience": 1, "lr": 1e-9, "min_delta": 1.0, "validation": data(1)}
    first = fit(folder=tmp_path / "run", **changes)
    assert (first.stopped, len(first.epochs)) == (True, 2)
    with pytest.raises(NeocogError, match=r"it stopped early after 2 epochs.*more patience"):
        neocog.fit(network(), data(), resume=tmp_path / "run", validation=data(1))
    again = neocog.fit(network(), data(), resume=tmp_path / "run", validation=data(1), patience=3)
    assert (again.stopped, len(again.epochs)) == (True, 4)


def test_a_run_that_was_killed_as_it_stopped_early_takes_no_further_epoch(tmp_path):
    changes = {"epochs": 9, "patience": 1, "lr": 1e-9, "min_delta": 1.0, "validation": data(1)}
    fit(folder=tmp_path / "run", **changes)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**info, "status": "running"}))
    again = neocog.fit(network(), data(), resume=tmp_path / "run", validation=data(1))
    assert (again.stopped, len(again.epochs)) == (True, 2)


def test_the_best_model_stays_the_best(tmp_path):
    """By the losses of all epochs, those before the run went on too."""
    folder = tmp_path / "run"
    changes = {"validation": data(), "schedule": Linear(start=1.0, end=1e3, length=16)}
    fit(folder=folder, epochs=1, **changes)
    best = (folder / "best.safetensors").read_bytes()
    found = neocog.fit(network(), data(), resume=folder, validation=data(), epochs=2)
    losses = [epoch.validation_loss for epoch in found.epochs]
    assert len(losses) == 2
    assert ((folder / "best.safetensors").read_bytes() == best) == (losses[0] < losses[1])
    last = neocog.load(folder / "last.safetensors")
    assert weights_of(last) != weights_of(neocog.load(folder / "best.safetensors")) or (
        losses[1] < losses[0]
    )


def test_what_a_kill_cut_off_behind_a_checkpoint_is_made_up_for(tmp_path):
    folder = tmp_path / "run"
    fit(folder=folder, epochs=2, validation=data(1), ema=0.9)
    models = ("best.safetensors", "last.safetensors", "cnn_model.pth", "history.csv")
    # Each checkpoint of an epoch's end comes before these files.
    before = {name: (folder / name).read_bytes() for name in models}
    best = neocog.load(folder / "best.safetensors")
    for name in models:
        (folder / name).unlink()
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "status": "running"}))
    history = neocog.fit(network(), data(), resume=folder, validation=data(1))
    for name in models[1:]:
        assert (folder / name).read_bytes() == before[name]
    by_loss = np.argmin([epoch.validation_loss for epoch in history.epochs])
    if by_loss == 1:
        assert weights_of(neocog.load(folder / "best.safetensors")) == weights_of(best)


def test_a_damaged_checkpoint_is_told_of(tmp_path):
    folder = tmp_path / "run"
    fit(folder=folder, epochs=2)
    newest = folder / "checkpoints" / "step-000000016.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    net, whole = network(), network()
    fit(whole, epochs=3)
    with pytest.warns(UserWarning, match="step-000000016 is damaged: .*; going on from step-0+8"):
        neocog.fit(net, data(), resume=folder, epochs=3)
    assert weights_of(net) == weights_of(whole)
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match="as all are damaged"):
        neocog.fit(network(), data(), resume=folder, epochs=4)


def test_folders_that_hold_no_run_to_go_on_with(tmp_path):
    (tmp_path / "file").write_text("text")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(FormatError, match=r"is no folder of a run: it .* run\.json"):
            fit(resume=place)
    folder = tmp_path / "run"
    fit(folder=folder, epochs=1)
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(
        FormatError, match=r"has no checkpoint to go on from: .* Begin anew: neocog"
    ):
        fit(resume=folder)
    with pytest.raises(FormatError, match=r"holds a run already|holds something already"):
        fit(folder=folder)
    with pytest.raises(NeocogError, match="stays in its folder"):
        fit(resume=folder, folder=tmp_path / "other")
    with pytest.raises(NeocogError, match="resume"):
        fit(resume=3)


def test_a_folder_in_use_is_refused_by_any_path(tmp_path):
    folder = tmp_path / "run"
    fit(folder=folder, epochs=1)
    (tmp_path / "link").symlink_to(folder)
    with RunLock(folder):
        for place in (folder, tmp_path / "link", os.path.relpath(folder), f"{folder}/"):
            with pytest.raises(NeocogError, match="is in use: this process is training in it"):
                neocog.fit(network(), data(), resume=place, epochs=2)
    neocog.fit(network(), data(), resume=tmp_path / "link", epochs=2)
    assert not (folder / ".neocog-lock").exists()


def test_a_run_without_a_first_step_leaves_nothing(tmp_path):
    for name in ("begin", "ready"):
        with pytest.raises(KeyboardInterrupt):
            fit(folder=tmp_path / "new" / "run", callback=StopsAt(name))
        assert list(tmp_path.iterdir()) == [], name
    with pytest.raises(NeocogError):
        fit(folder=tmp_path / "new" / "run", images=data(), freeze_after={"nothing": 1})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_sees_each_step_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "run"
    fit(folder=folder, epochs=2, checkpoint_steps=3, keep_checkpoints=9)
    for path in (folder / "checkpoints").glob("step-00000001*"):
        path.unlink()  # what was written since is written again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        neocog.fit(network(), data(), resume=folder)
        read = accumulator.EventAccumulator(str(folder))
        read.Reload()
        steps = {tag: [event.step for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    assert steps["loss/batches"] == [4, 8, 12, 16]
    assert steps["loss/training"] == [8, 16]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", -15), ("SIGHUP", -1)])
def test_a_signal_ends_a_script_after_its_run_was_saved(tmp_path, name, code):
    script = (
        "import signal, os, neocog\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"
        "from run_parts import data, network\n"
        "class Ends(neocog.Callback):\n"
        "    def logged(self, entry):\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "neocog.fit(network(), data(), epochs=100, log_every=4, folder='run', callback=Ends())\n"
        "print('not here')\n"
    )
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", ""), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (info["status"], info["signal"]) == ("interrupted", name)
    assert re.match(r"step-\d+", Checkpoints(tmp_path / "run").newest().path.name)
    assert Checkpoints(tmp_path / "run").newest().steps > 0
