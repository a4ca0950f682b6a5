"""Ctrl+C during a training keeps what was learned."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from engines import parts_of
from fitting import BATCH, Recorder, assert_same_weights, fit, long_data, once, small_network

import neocog
from neocog import SGD
from neocog.engine import Trainer
from neocog.random.torch_stream import TorchStream
from neocog.settings.training import TrainingSettings

# Ctrl+C


def test_ctrl_c_within_an_epoch_keeps_the_weights_so_far():
    network, data = small_network(), long_data(400_000)
    network.initialize(0)
    before = network.state_dict()

    def act(name, *rest):
        if name == "progress" and rest[1] > 0 and not seen:
            seen.append(rest[1])
            raise KeyboardInterrupt

    seen = []
    callback = Recorder(act)
    history = fit(network, data, callback=callback, optimizer=SGD(0.001))
    assert history.interrupted
    assert seen[0] <= history.steps < 100_000
    assert history.epochs == []
    assert len(history.losses) == history.steps  # what was done is logged
    assert np.isfinite(history.losses).all()
    assert "epoch_done" not in [call[0] for call in callback.calls]

    # The weights are those after exactly so many steps.
    same = small_network()
    stream = TorchStream(0)
    same.initialize(0)
    order = stream.epoch_order(len(data))[: BATCH * history.steps]
    trainer = Trainer(
        *parts_of(same),
        data.images,
        data.labels,
        TrainingSettings(batch_size=BATCH, optimizer=SGD(0.001), threads=1),
    )
    trainer.run(order)
    assert_same_weights(network.state_dict(), trainer.state())
    assert any((network.state_dict()[name] != before[name]).any() for name in before)


def test_ctrl_c_at_the_end_of_an_epoch_keeps_that_epoch():
    def act(name, *rest):
        if name == "logged" and rest[0].epoch == 2 and rest[0].batch == 11 and not raised:
            raised.append(True)
            raise KeyboardInterrupt

    raised = []
    network, two = small_network(), small_network()
    history = fit(network, epochs=5, callback=Recorder(act))
    fit(two, epochs=2)
    assert history.interrupted
    assert [e.epoch for e in history.epochs] == [1, 2]
    assert_same_weights(network.state_dict(), two.state_dict())


def test_ctrl_c_after_the_last_step_changes_nothing():
    def act(name, *rest):
        if name == "logged" and rest[0].batch == 11 and not raised:
            raised.append(True)
            raise KeyboardInterrupt

    raised = []
    history = fit(small_network(), epochs=1, callback=Recorder(act))
    assert raised
    assert not history.interrupted
    assert history.steps == 11
    assert len(history.epochs) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
def test_a_real_sigint_ends_training_and_keeps_the_weights(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import neocog\n"
        "from fitting import long_data, small_network\n"
        "class Callback(neocog.Callback):\n"
        "    def logged(self, entry):\n"
        "        print(entry.batch, flush=True)\n"
        "net = small_network()\n"
        "history = neocog.fit(net, long_data(100_000), epochs=10_000, log_every=1000,\n"
        "                     callback=Callback())\n"
        "net.save('kept.safetensors')\n"
        "print('interrupted', history.interrupted, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "1000\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, _ = process.communicate(timeout=60)
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert output.splitlines()[-1] == "interrupted True"
    assert neocog.load(tmp_path / "kept.safetensors").initialized


# The note's script


def test_ctrl_c_while_an_epoch_is_saved_keeps_that_epoch():
    network, one = small_network(), small_network()
    history = fit(network, epochs=5, callback=Recorder(once("epoch_done", KeyboardInterrupt())))
    fit(one, epochs=1)
    assert history.interrupted
    assert [e.epoch for e in history.epochs] == [1]
    assert_same_weights(network.state_dict(), one.state_dict())
