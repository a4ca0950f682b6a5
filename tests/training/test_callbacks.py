"""Callbacks are told what happens in a training, in order, and may end it."""

import threading
import time

import pytest
from fitting import Recorder, assert_same_weights, fit, long_data, once, small_network

# Callbacks


def test_a_callback_is_told_in_order():
    weights = {}

    def act(name, *rest):
        if name == "epoch_done":
            weights[rest[0].epoch] = network.state_dict()

    network, callback = small_network(), Recorder(act)
    history = fit(network, epochs=2, log_every=4, callback=callback)
    names = [call[0] for call in callback.calls]
    told = [name for name in names if name not in ("compiling", "progress")]
    assert told == ["ready", *["logged"] * 2, "epoch_done", *["logged"] * 2, "epoch_done"]
    assert names.index("ready") == names.count("compiling")
    assert [call[1] for call in callback.calls if call[0] == "logged"] == history.logged
    assert [call[1] for call in callback.calls if call[0] == "epoch_done"] == history.epochs
    assert all(call[2] is history for call in callback.calls if call[0] == "epoch_done")
    progress = [call[1:] for call in callback.calls if call[0] == "progress"]
    assert progress == sorted(progress)
    assert {(1, 11, 11), (2, 11, 11)} <= set(progress)

    one_epoch = small_network()
    fit(one_epoch, epochs=1)
    assert_same_weights(weights[1], one_epoch.state_dict())
    assert_same_weights(weights[2], network.state_dict())


@pytest.mark.parametrize("when", ["ready", "progress", "logged", "epoch_done"])
def test_a_callback_that_fails_ends_training_and_every_worker(when):
    threads = threading.active_count()
    with pytest.raises(OSError, match="disk full"):
        fit(
            small_network(),
            long_data(20_000),
            threads=2,
            callback=Recorder(once(when, OSError("disk full"))),
        )
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


# Ending early, and again


@pytest.mark.parametrize("where", ["ready", "progress", "logged", "epoch_done"])
def test_a_callback_ends_the_training_after_an_epoch(where):
    def act(name, *rest):
        if name == where and (name == "ready" or len(callback.history.epochs) >= 1):
            callback.stop()
        if name == "ready":
            callback.history = rest[0]

    callback = Recorder(act)
    network, same = small_network(), small_network()
    history = fit(network, epochs=5, callback=callback)
    epochs = {"ready": 1, "progress": 2, "logged": 2, "epoch_done": 1}[where]
    assert (history.stopped, history.interrupted) == (True, False)
    assert [e.epoch for e in history.epochs] == list(range(1, epochs + 1))
    fit(same, epochs=epochs)
    assert_same_weights(network.state_dict(), same.state_dict())
    # It can watch another training, and to stop one at its end is nothing special.
    callback.act = lambda name, *_: callback.stop() if name == "epoch_done" else None
    assert not fit(small_network(), epochs=1, callback=callback).stopped


@pytest.mark.parametrize(
    "error", [None, KeyboardInterrupt(), OSError("disk full")], ids=["end", "Ctrl+C", "error"]
)
def test_a_callback_is_told_of_the_end(error):
    class Ending(Recorder):
        def ended(self, history):
            self.note("ended", history)

    callback = Ending(once("logged", error) if error else None)
    if isinstance(error, OSError):
        with pytest.raises(OSError, match="disk full"):
            fit(small_network(), callback=callback)
    else:
        fit(small_network(), callback=callback)
    assert callback.calls[-1][0] == "ended"
    assert [call[0] for call in callback.calls].count("ended") == 1
