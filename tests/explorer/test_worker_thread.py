"""The explorer's own thread: what it is asked, and when it works."""

import threading

import pytest
from exploring import PATIENCE

from neocog.http.refusal import RefusedError
from neocog.web.worker_thread import WorkerThread


def test_the_owner_does_what_is_asked_between_its_own_work():
    done, more = [], threading.Event()

    def work() -> bool:
        done.append("work")
        more.wait(0.001)
        return True

    owner = WorkerThread(work)
    for n in range(5):
        assert owner.ask(lambda n=n: done.append(n) or n).result() == n
    with pytest.raises(ZeroDivisionError):
        owner.ask(lambda: 1 / 0).result()
    assert [d for d in done if d != "work"] == [0, 1, 2, 3, 4]
    assert owner.end(PATIENCE)
    count = len(done)
    with pytest.raises(RefusedError):
        owner.ask(lambda: None)
    assert len(done) == count


def test_the_owner_leaves_nobody_waiting():
    """Who asked while it ended is told so."""
    entered, leave, found = threading.Event(), threading.Event(), []
    owner = WorkerThread(lambda: False)

    def slow() -> None:
        entered.set()
        leave.wait(PATIENCE)

    def ask() -> None:
        try:
            owner.ask(lambda: found.append("done")).result()
        except RefusedError as error:
            found.append(error.status)

    first = owner.ask(slow)
    assert entered.wait(PATIENCE)
    second = threading.Thread(target=ask)
    second.start()
    while owner._asked.empty():
        threading.Event().wait(0.01)
    assert not owner.end(0.01)
    leave.set()
    first.result(PATIENCE)
    second.join(PATIENCE)
    assert found == [503]


def test_nothing_is_done_that_nobody_waits_for():
    entered, leave, done = threading.Event(), threading.Event(), []
    owner = WorkerThread(lambda: False)

    def slow() -> None:
        entered.set()
        leave.wait(PATIENCE)

    first = owner.ask(slow)
    assert entered.wait(PATIENCE)
    second = owner.ask(lambda: done.append(2))
    assert not first.cancel()  # it has begun
    assert second.cancel()
    leave.set()
    owner.ask(lambda: done.append(3)).result(PATIENCE)
    assert done == [3]
    assert owner.end(PATIENCE)
