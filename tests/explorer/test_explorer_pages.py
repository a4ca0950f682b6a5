"""Several pages of one explorer, and what happens when they are closed."""

import threading

from event_loop import run_async
from explorer_networks import DATA, assert_same, fitted
from exploring import PATIENCE, Listener, served

from neocog.web.events import Events


def test_two_pages_see_the_same(page):
    one, other = Listener(page), Listener(page)
    state = page.do("/api/picture", index=11)
    page.do("/api/training/step")
    last = page.do("/api/label", label=4)
    for listener in (one, other):
        listener.wait(lambda events: events[-1]["version"] >= last["version"])
        assert listener.events[-1] == last
        versions = [event["version"] for event in listener.events]
        assert versions == sorted(set(versions))
    assert last["version"] > state["version"]
    assert page.state() == {**last, "network": page.session.about}
    one.leave()
    # The other one is not disturbed.
    last = page.do("/api/label", label=5)
    other.wait(lambda events: events[-1]["version"] >= last["version"])
    other.leave()


def test_two_pages_at_once_lose_nothing(page):
    """Each step that was answered was taken, whoever asked."""
    failures = []

    def steps() -> None:
        try:
            for _ in range(10):
                page.do("/api/training/step")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert page.state()["training"]["steps"] == 40
    assert_same(page.weights(), fitted(40).state_dict())


def until_it_stops(page):
    """The state when training has stopped by itself."""
    for _ in range(20 * PATIENCE):
        state = page.state()
        if not state["training"]["running"]:
            return state
        threading.Event().wait(0.05)
    raise AssertionError("it never stopped")


def test_training_pauses_when_the_browser_is_closed(network):
    with served(network, DATA, away=0.3) as page:
        listener = Listener(page)
        page.do("/api/training/start")
        # Longer than it would last alone.
        began = listener.wait(lambda events: len(events) > 1)["training"]["steps"]
        listener.wait(lambda events: len(events) > 6)
        listener.leave()
        state = until_it_stops(page)
        assert state["message"]["kind"] == "note"
        assert state["message"]["text"] == "Training was paused because no page was open any more."
        steps = state["training"]["steps"]
        assert steps > began
        # Back again: all is there, and goes on.
        other = Listener(page)
        assert other.events[0] == {key: state[key] for key in other.events[0]}
        assert_same(page.weights(), fitted(steps).state_dict())
        assert page.do("/api/training/start")["message"] is None
        other.wait(lambda events: events[-1]["training"]["steps"] > steps)
        other.leave()


def test_training_goes_on_while_one_page_of_two_is_left(network):
    with served(network, DATA, away=0.3) as page:
        one, other = Listener(page), Listener(page)
        page.do("/api/training/start")
        one.wait(lambda events: events[-1]["training"]["steps"] > 1)
        one.leave()
        count = len(other.events)
        event = other.wait(lambda events: len(events) > count + 6)
        assert event["training"]["running"] is True
        other.leave()


def test_who_starts_it_without_a_page_has_a_moment(network):
    """Time counts from the start, not from when the last page left."""
    now = [0.0]
    with served(network, DATA, away=5.0, clock=lambda: now[0]) as page:
        now[0] = 100.0
        page.do("/api/training/start")
        for second in (1.0, 4.0):
            now[0] = 100.0 + second
            assert page.do("/api/label", label=1)["training"]["running"] is True
        now[0] = 105.5
        until_it_stops(page)


def test_events_are_never_queued():
    async def run():
        events = Events()
        stream = events.listen(heartbeat=PATIENCE)
        events.tell(b"0")
        assert await anext(stream) == b"0"
        for n in range(1000):
            events.tell(str(n).encode())
        assert await anext(stream) == b"999"
        assert events.listeners == 1
        await stream.aclose()
        assert events.listeners == 0

    run_async(run())


def test_a_heartbeat_where_nothing_happens():
    async def run():
        events = Events()
        stream = events.listen(heartbeat=0.01)
        assert await anext(stream) == b"{}"
        assert await anext(stream) is None
        events.tell(b"new")
        assert await anext(stream) == b"new"
        assert await anext(stream) is None
        events.close()
        assert [event async for event in stream] == []

    run_async(run())


def test_events_come_from_any_thread():
    async def run():
        events = Events()
        stream = events.listen(heartbeat=PATIENCE)
        assert await anext(stream) == b"{}"
        told = threading.Timer(0.1, events.tell, [b"new"])
        told.start()
        assert await anext(stream) == b"new"
        await stream.aclose()

    run_async(run())


def test_how_long_nobody_listens():
    async def run():
        now = [5.0]
        events = Events(clock=lambda: now[0])
        assert events.alone_since() == 5
        streams = [events.listen(1), events.listen(1)]
        for stream in streams:
            await anext(stream)
        assert events.alone_since() is None
        now[0] = 7.0
        await streams[0].aclose()
        assert events.alone_since() is None
        now[0] = 9.0
        await streams[1].aclose()
        assert events.alone_since() == 9

    run_async(run())


def test_closing_ends_training_and_streams(network):
    with served(network, DATA) as page:
        listener = Listener(page)
        page.do("/api/training/start")
        listener.wait(lambda events: events[-1]["training"]["steps"] > 1)
        assert page.session.close(PATIENCE)
        listener.wait_for_end()
        status, found = page.post("/api/training/step")
        assert (status, found["error"]) == (503, "The explorer has been stopped.")
        listener.leave()
