"""What torchrun says to a process, and what follows from it before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest

import neocog
from neocog import NeocogError
from neocog.data import Dataset
from neocog.engines import choose_engine
from neocog.launch import Launch, check_alone, launch
from neocog.layers import Flatten, Linear
from neocog.settings.training import TrainingSettings
from neocog.training.restarting import check_restartable, goes_on_in
from neocog.training.together import processes_of

#: As torchrun sets them, of the second of two processes on one machine.
VARIABLES = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "TORCHELASTIC_MAX_RESTARTS": "3",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SECOND = Launch(1, 2, 1, 2, 0, 3, "127.0.0.1", 29500, True)


@pytest.fixture
def said(monkeypatch):
    """Sets what torchrun says."""

    def say(**changes):
        for name, value in {**VARIABLES, **changes}.items():
            monkeypatch.setenv(name, value)

    return say


def test_what_torchrun_says_is_read(said, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launch() is None
    said()
    assert launch() == SECOND
    said(TORCHELASTIC_USE_AGENT_STORE="False", TORCHELASTIC_RESTART_COUNT="2")
    assert launch() == replace(SECOND, restarts=2, has_store=False)


@pytest.mark.parametrize("value", ["", "-1", "two", "1.0", "²"])
def test_what_is_no_number_is_refused(said, value):
    said(WORLD_SIZE=value)
    with pytest.raises(NeocogError, match=r"^WORLD_SIZE \(='.*'\) must be a whole number"):
        launch()


def test_one_process_trains_alone():
    assert processes_of(None) is None
    assert processes_of(replace(SECOND, rank=0, count=1)) is None


def test_several_processes_need_pytorch(monkeypatch):
    monkeypatch.setattr("neocog.training.together.find_spec", lambda name: None)
    with pytest.raises(NeocogError, match=r"pip install 'neocog\[torch\]'"):
        processes_of(SECOND)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"engine": "neocog"},
            r"engine \(='neocog'\) trains in one process.* started 2\. ",
        ),
        ({"device": "cuda:1"}, r"device \(='cuda:1'\) is for one process"),
        ({"device": "mps"}, r"device \(='mps'\) is for one process"),
    ],
)
def test_settings_for_one_process_are_refused_for_several(settings, message):
    with pytest.raises(NeocogError, match=message):
        choose_engine(TrainingSettings(**settings), SECOND)


def test_several_processes_train_by_pytorch(monkeypatch):
    pytest.importorskip("torch")
    chosen = choose_engine(TrainingSettings(device="cpu"), SECOND)
    assert (chosen.engine, chosen.device) == ("torch", "cpu")
    assert str(chosen).endswith(" on the CPU in 2 processes, as torchrun has started 2 processes")
    from neocog.torch_engine import devices

    monkeypatch.setattr(devices, "has_gpu", lambda: True)
    checked = []
    monkeypatch.setattr(devices, "_check_cuda", lambda *arguments: checked.append(arguments))
    assert devices.chosen_device(None, "float32", 1) == "cuda:1"
    assert devices.chosen_device("cuda", "bf16", 3) == "cuda:3"
    assert checked == [("cuda:1", 1, "float32"), ("cuda:3", 3, "bf16")]


def test_what_one_process_does_is_refused_to_several(said):
    said(RANK="0", WORLD_SIZE="1")
    check_alone("tune")
    said()
    with pytest.raises(NeocogError, match=r"^tune works in one process, and torchrun"):
        check_alone("tune")


def test_a_run_that_torchrun_may_start_anew_needs_a_folder():
    check_restartable(None, None)
    check_restartable(replace(SECOND, most_restarts=0), None)
    check_restartable(SECOND, "runs/one")
    with pytest.raises(NeocogError, match=r"\(--max-restarts 3\).* name one with --out\."):
        check_restartable(SECOND, None)


def network():
    return neocog.Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, 2))


def trained(folder, epochs):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 4, 4, 1), dtype=np.uint8)
    data = Dataset(images, np.arange(8) % 2)
    return neocog.fit(network(), data, epochs=epochs, folder=folder, engine="neocog")


def test_fit_goes_on_in_its_folder_where_torchrun_has_started_it_anew(said, tmp_path):
    said(RANK="0", WORLD_SIZE="1", TORCHELASTIC_RESTART_COUNT="0")
    history = trained(tmp_path / "run", 1)
    assert history.steps == 2
    with pytest.raises(NeocogError, match="holds something already"):
        trained(tmp_path / "run", 3)
    said(RANK="0", WORLD_SIZE="1", TORCHELASTIC_RESTART_COUNT="1")
    history = trained(tmp_path / "run", 3)
    assert history.steps == 6 and len(history.epochs) == 3


def test_what_a_run_left_before_its_first_checkpoint_is_taken_away(said, tmp_path):
    again = replace(SECOND, rank=0, restarts=1)
    assert not goes_on_in(again, tmp_path / "nothing")
    trained(tmp_path / "run", 1)
    assert not goes_on_in(SECOND, tmp_path / "run")
    assert goes_on_in(again, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    assert not goes_on_in(again, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
