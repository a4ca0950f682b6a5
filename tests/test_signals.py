"""SIGTERM and SIGHUP end a command as Ctrl+C does."""

import os
import signal
import sys
import threading
import time

import pytest

from neocog.kernels.compiler.jit import compiled_kernel, kept_kernel, kernel
from neocog.kernels.optimizer.update import Update
from neocog.signals import Terminated, deferred_signals, exit_code, termination_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


@pytest.fixture(autouse=True)
def usual_handlers():
    """Whatever the process that runs the tests has made of its signals."""
    ways = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ways[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, way) for number, way in ways.items()}
    yield ways
    now = {number: signal.getsignal(number) for number in ways}
    for number, way in before.items():
        signal.signal(number, way)
    assert now == ways  # whatever was set is undone


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_they_are_a_kind_of_ctrl_c(name, code):
    with termination_signals() as ended:
        with pytest.raises(KeyboardInterrupt, match=f"ended by {name}") as caught:
            os.kill(os.getpid(), getattr(signal, name))
        assert isinstance(caught.value, Terminated)
        assert ended.by is caught.value
        assert (ended.by.name, exit_code(ended.by)) == (name, code)


def test_ctrl_c_is_another():
    with termination_signals() as ended:
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), signal.SIGINT)
        assert ended.by is None
        assert exit_code(caught.value) == 130


def test_what_is_ignored_stays_ignored(usual_handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with termination_signals() as ended, deferred_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    assert ended.by is None
    assert signal.signal(signal.SIGHUP, signal.SIG_DFL) == signal.SIG_IGN


def test_other_threads_handle_none():
    seen = []

    def work():
        with termination_signals(), deferred_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_they_wait_for_what_must_not_be_cut_short(name):
    done = []
    with termination_signals():
        with pytest.raises(KeyboardInterrupt), deferred_signals():
            os.kill(os.getpid(), getattr(signal, name))
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)
        assert done


def test_who_ends_by_itself_is_told():
    told = []
    with pytest.raises(KeyboardInterrupt), deferred_signals(told.append):
        os.kill(os.getpid(), signal.SIGINT)
        assert told == [signal.SIGINT]
        told.append("end")
    assert told == [signal.SIGINT, "end"]


def test_an_error_does_not_swallow_what_came():
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError


def test_a_kernel_is_compiled_to_its_end(monkeypatch):
    """An exception in the midst of LLVM's work would abort the process."""
    nothing, spec = kernel()(lambda spec, o, first, count: None), Update(16)
    compiled = nothing.dispatcher.compile

    def pressed(signature):
        os.kill(os.getpid(), signal.SIGINT)
        return compiled(signature)

    monkeypatch.setattr(nothing.dispatcher, "compile", pressed)
    with pytest.raises(KeyboardInterrupt):
        compiled_kernel(nothing, spec)
    assert kept_kernel(nothing, spec) is not None


@pytest.mark.parametrize(
    "pair", [("SIGTERM", "SIGHUP"), ("SIGINT", "SIGTERM"), ("SIGHUP", "SIGHUP")]
)
def test_two_that_come_together_are_one(pair):
    with termination_signals(), termination_signals():  # as of a command within `main`
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), getattr(signal, pair[0]))
        os.kill(os.getpid(), getattr(signal, pair[1]))
        time.sleep(0.01)


def test_a_later_one_is_raised_again(monkeypatch):
    monkeypatch.setattr("neocog.signals._TOGETHER", 0.0)
    with termination_signals() as ended:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        assert ended.by.name == "SIGTERM"


def test_handlers_are_put_back_whatever_comes_meanwhile(monkeypatch, usual_handlers):
    real, calls = signal.signal, []

    def pressed(number, handler):
        calls.append(number)
        if len(calls) > 3:  # they are put back
            signal.raise_signal(signal.SIGINT)
        return real(number, handler)

    monkeypatch.setattr("signal.signal", pressed)
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        pass
    monkeypatch.undo()
    assert {number: signal.getsignal(number) for number in usual_handlers} == usual_handlers
