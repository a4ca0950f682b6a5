"""Many clients at once, of which some mean no good: a good one is answered within a second."""

import asyncio
import contextlib
import http.client
import json
import threading
import time

import pytest
from event_loop import run_async
from PIL import Image
from served import PATIENCE, Good, base64_of, encoded, picture, read_reply, serving, wait_until

pytestmark = pytest.mark.thorough

# Seconds that a good client may have to wait.
WITHIN = 1.0


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with serving(model, tmp_path_factory.mktemp("load"), workers=2) as found:
        wait_until(lambda: len(found.workers()) == 2)
        yield found
        assert "Traceback" not in found.log.read_text()


def assert_good(good: Good, *statuses: int) -> None:
    assert good.answers, "there was no answer"
    assert {status for status, _ in good.answers} <= {200, *statuses}
    slow = sorted(seconds for _, seconds in good.answers)[-3:]
    assert slow[-1] < WITHIN, slow


async def ask(server, body, count, kind="image/png"):
    """So many requests at once, each on its own connection; gives the statuses."""

    async def one():
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(server.head(len(body), kind, "Connection: close") + body)
        found = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        head = found.partition(b"\r\n\r\n")[0]
        if b" 503 " in head[:16]:
            assert b"retry-after: 1" in head
        return int(found[9:12])

    return await asyncio.gather(*(one() for _ in range(count)))


def drip(connections, end):
    """Send a byte on each now and then, as long as the server takes them."""
    while not end.wait(0.2):
        for one in connections:
            with contextlib.suppress(OSError):
                one.sendall(b"x")


def test_200_slow_clients(server):
    before = server.memory()
    connections = [server.connect() for _ in range(200)]
    for number, one in enumerate(connections):
        one.settimeout(1.0)
        one.sendall([b"", b"POST /pre", server.head(10**6), server.head(10**6) + b"x"][number % 4])
    end = threading.Event()
    thread = threading.Thread(target=drip, args=(connections, end))
    thread.start()
    try:
        with Good(server, picture()) as good:
            time.sleep(4)
        assert_good(good)
        assert server.memory() - before < 32 * 2**20
    finally:
        end.set()
        thread.join()
        for one in connections:
            one.close()


def test_2000_parallel_requests(server):
    before = server.memory()
    with Good(server, picture()) as good:
        statuses = run_async(ask(server, picture(1), 2000))
        time.sleep(0.2)
    assert len(statuses) == 2000
    assert set(statuses) <= {200, 503}
    # There is room for 256 at once, of whom one may be the good client.
    assert statuses.count(200) >= 255
    assert_good(good, 503)
    wait_until(lambda: server.memory() - before < 64 * 2**20, 60)


def test_bodies_that_stop(server):
    """200 clients that send five megabytes each, and then nothing more."""
    before = server.memory()
    connections = []
    with Good(server, picture()) as good:
        for _ in range(200):
            one = server.connect()
            one.settimeout(2.0)
            connections.append(one)
            with contextlib.suppress(OSError):
                one.sendall(server.head(6 * 2**20) + bytes(5 * 2**20))
    most = server.memory() - before
    for one in connections:
        one.close()
    assert_good(good)
    assert most < 320 * 2**20
    wait_until(lambda: server.memory() - before < 64 * 2**20, 60)


def bombs():
    """Small files whose decoding takes long, or much memory."""
    flat = Image.new("L", (7000, 7000))
    yield encoded(flat), "image/png"
    yield encoded(Image.new("RGB", (5000, 3000)), optimize=True), "image/png"
    yield encoded(Image.new("RGB", (6000, 6000)), "JPEG"), "image/jpeg"
    yield encoded(Image.new("RGB", (5000, 5000)), "JPEG", progressive=True), "image/jpeg"
    yield encoded(Image.new("RGB", (4000, 4000)), "WEBP"), "image/webp"
    yield encoded(Image.new("L", (9000, 9000)), "GIF"), "image/gif"
    yield encoded(Image.new("1", (60_000, 60_000)), "TIFF", compression="group4"), "image/tiff"
    many = [base64_of(encoded(Image.new("L", (1400, 1400)))) for _ in range(20)]
    yield json.dumps({"images": many}).encode(), "application/json"
    yield b'{"images": [' + b"[" * 500_000, "application/json"
    yield b"--x\r\n" * 100_000, "multipart/form-data; boundary=x"
    yield b"\r" * 1_000_000, "multipart/form-data; boundary=x"


def test_bombs(server):
    kinds = list(bombs())
    before = server.memory()

    async def send_all():
        return await asyncio.gather(*(ask(server, body, 5, kind) for body, kind in kinds))

    with Good(server, picture()) as good:
        statuses = run_async(send_all())
    assert {one for some in statuses for one in some} <= {200, 400, 413, 503}
    assert_good(good)
    wait_until(lambda: server.memory() - before < 128 * 2**20, 60)
    assert server.send(body=picture(1, (2000, 1500), "JPEG"), kind="image/jpeg")[0] == 200


def test_nothing_is_lost_at_the_end(model, tmp_path):
    """Clients ask without a pause; from SIGTERM on they are answered, told to go, or not let in."""
    with serving(model, tmp_path, workers=2) as server:
        wait_until(lambda: len(server.workers()) == 2)
        answered, lost = [], []
        enough = threading.Event()

        def client(number):
            body = picture(number)
            while True:
                try:
                    one = server.connect()
                except ConnectionRefusedError:  # nobody listens any more
                    return
                with one:
                    try:
                        # Some connections are used for one request only, others until they end.
                        while ask_once(one, body) and number % 2:
                            answered.append(number)
                            if len(answered) >= 500:
                                enough.set()
                    except OSError as error:
                        lost.append(error)
                        return
                answered.append(number)

        def ask_once(one, body):
            one.sendall(server.head(len(body)) + body)
            with http.client.HTTPResponse(one) as reply:
                reply.begin()
                assert reply.status == 200
                assert json.loads(reply.read())[0]["top"]
                return not reply.will_close

        threads = [threading.Thread(target=client, args=(n,)) for n in range(32)]
        for one in threads:
            one.start()
        assert enough.wait(PATIENCE)
        code = server.end()
        for one in threads:
            one.join()
        assert code == 0
        assert not lost
        assert len(answered) >= 500
        assert "killed" not in server.log.read_text()


def test_what_was_begun_before_the_end_is_answered(model, tmp_path):
    body = picture(1, (300, 300))
    with serving(model, tmp_path) as server:
        slow, idle = server.connect(), server.connect()
        slow.sendall(server.head(len(body)) + body[:100])
        idle.sendall(server.head(len(picture())) + picture())
        assert read_reply(idle)[0] == 200
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.2)
        assert server.process.poll() is None
        for part in range(100, len(body), 10_000):
            slow.sendall(body[part : part + 10_000])
            time.sleep(0.02)
        assert read_reply(slow)[0] == 200
        assert idle.recv(10) == b""
        assert server.process.wait(PATIENCE) == 0
        slow.close()
        idle.close()
