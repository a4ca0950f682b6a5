"""Parts of the server without one: batches, heads of pictures, shared counts."""

import asyncio
import io
import threading

import numpy as np
import pytest
from event_loop import run_async
from PIL import Image
from served import encoded

from neocog.errors import NeocogError
from neocog.http.bodies import Bodies
from neocog.http.guard import Guard
from neocog.http.refusal import RefusedError
from neocog.serving.batching import Batching
from neocog.serving.headers import head_of
from neocog.serving.metrics import Metrics, metrics_size


class Model:
    """Answers each image with its first pixel; waits for `go` in every batch."""

    seconds = 0.0

    def __init__(self):
        self.sizes, self.go = [], threading.Event()

    def predict(self, images):
        assert self.go.wait(60)
        self.sizes.append(len(images))
        if images.max() == 255:
            raise NeocogError("The model gives NaN or infinite outputs.")
        return images[:, :1].astype(np.float32)


def image(value):
    return np.full(3, value, np.uint8)


def test_what_comes_during_a_batch_is_the_next_one():
    async def run():
        model, metrics = Model(), Metrics()
        batching = Batching(4, 0.0, 60.0, metrics)
        asked = [asyncio.create_task(batching.predict(model, [image(0)]))]
        await asyncio.sleep(0.1)  # now it computes
        asked += [asyncio.create_task(batching.predict(model, [image(n)])) for n in range(1, 7)]
        await asyncio.sleep(0.1)
        assert metrics.total("waiting") == 6
        model.go.set()
        rows = await asyncio.gather(*asked)
        assert [int(row[0][0]) for row in rows] == list(range(7))
        assert model.sizes == [1, 4, 2]

    run_async(run())


def test_a_batch_of_slow_pictures_is_small():
    async def run():
        model = Model()
        model.seconds = 0.03
        model.go.set()
        batching = Batching(64, 0.0, 60.0, Metrics())
        await batching.predict(model, [image(n) for n in range(9)])
        assert model.sizes[0] == 3
        slow = Model()
        slow.seconds = 5.0  # even one takes longer than a batch should
        slow.go.set()
        await batching.predict(slow, [image(1)])
        assert slow.sizes == [1]

    run_async(run())


def test_pictures_wait_for_others_only_while_nothing_is_computed():
    async def run():
        model = Model()
        model.go.set()
        batching = Batching(8, 0.2, 60.0, Metrics())
        asked = [asyncio.create_task(batching.predict(model, [image(1)]))]
        await asyncio.sleep(0.05)
        asked.append(asyncio.create_task(batching.predict(model, [image(2), image(3)])))
        await asyncio.gather(*asked)
        assert model.sizes == [3]

    run_async(run())


def test_pictures_of_two_models_are_in_two_batches():
    async def run():
        one, other = Model(), Model()
        one.go.set()
        other.go.set()
        batching = Batching(8, 0.0, 60.0, Metrics())
        order = (one, one, other, one)
        await asyncio.gather(*(batching.predict(each, [image(1)]) for each in order))
        assert (one.sizes, other.sizes) == ([2, 1], [1])

    run_async(run())


def test_an_error_of_a_batch_is_told_and_the_next_one_goes_on():
    async def run():
        model = Model()
        model.go.set()
        batching = Batching(8, 0.0, 60.0, Metrics())
        with pytest.raises(RefusedError, match="NaN or infinite") as found:
            await batching.predict(model, [image(255)])
        assert found.value.status == 500
        assert (await batching.predict(model, [image(7)]))[0][0] == 7

    run_async(run())


def test_what_would_wait_too_long_is_refused_at_once():
    async def run():
        model = Model()
        model.seconds = 0.3
        batching = Batching(1, 0.0, 1.0, Metrics())
        asked = [asyncio.create_task(batching.predict(model, [image(n)])) for n in range(2)]
        await asyncio.sleep(0.1)  # one is being computed, one waits
        asked.append(asyncio.create_task(batching.predict(model, [image(2)])))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="Too many pictures are waiting") as found:
            await batching.predict(model, [image(3)])
        assert found.value.status == 503
        model.go.set()
        await asyncio.gather(*asked)

    run_async(run())


def receiver(*parts):
    """A function that gives a body's parts, and then waits."""
    given = iter(parts)

    async def receive():
        part = next(given, None)
        if part is None:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": part, "more_body": True}

    return receive


def test_the_oldest_upload_goes_first():
    async def run():
        bodies = Bodies(100)

        async def upload(*parts):
            async with bodies.read({"headers": []}, receiver(*parts), 100) as body:
                return body

        old = asyncio.create_task(upload(b"x" * 40, b"x" * 40))
        await asyncio.sleep(0.05)
        young = asyncio.create_task(upload(b"y" * 10, b"y" * 30))
        await asyncio.sleep(0.05)
        assert bodies.size == 40
        with pytest.raises(RefusedError) as found:
            await old
        assert found.value.status == 503
        young.cancel()
        await asyncio.gather(young, return_exceptions=True)
        assert bodies.size == 0

    run_async(run())


def pictures():
    small = Image.new("RGB", (64, 64))
    yield encoded(small), True
    yield encoded(small, "JPEG"), True
    yield encoded(small, "JPEG", progressive=True), False
    yield encoded(Image.new("RGB", (300, 300))), False
    yield encoded(Image.new("RGB", (300, 300)), "JPEG"), False
    exif = Image.Exif()
    exif[0x0112] = 6
    yield encoded(small, "JPEG", exif=exif), False


def test_heads_say_the_size_and_what_is_quick():
    for content, is_quick in pictures():
        width, height = Image.open(io.BytesIO(content)).size
        head = head_of(content)
        assert head == (width * height, is_quick)


def test_compressed_text_is_not_quick():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("note", "x" * 100_000, zip=True)
    assert not head_of(encoded(Image.new("L", (8, 8)), pnginfo=info)).is_quick


def test_heads_of_anything_are_read_without_an_error():
    random = np.random.default_rng(0)
    for content, _ in pictures():
        for _n in range(300):
            cut = content[: random.integers(0, 200)]
            damaged = bytearray(content[:200])
            damaged[random.integers(0, len(damaged))] = random.integers(0, 256)
            head_of(cut)
            head_of(bytes(damaged))


def test_workers_add_to_rows_of_shared_memory(tmp_path):
    with (tmp_path / "counts").open("w+b") as file:
        file.truncate(metrics_size(2))
        one, other = (Metrics(file.fileno(), row, 2) for row in range(2))
        one.request(200, 0.003)
        other.request(200, 0.2)
        other.request(418, 20.0)
        one.set("connections", 3)
        other.set("connections", 4)
        assert one.total("status 200") == other.total("status 200") == 2
        text = one.text()
        assert 'neocog_requests_total{status="other"} 1\n' in text
        assert "neocog_connections 7\n" in text
        assert 'neocog_request_seconds_bucket{le="0.005"} 1\n' in text
        assert 'neocog_request_seconds_bucket{le="0.25"} 2\n' in text
        assert 'neocog_request_seconds_bucket{le="+Inf"} 3\n' in text
        assert "neocog_request_seconds_count 3\n" in text
        # A worker in the place of another goes on counting, but has no connections yet.
        again = Metrics(file.fileno(), 1, 2)
        assert again.total("status 200") == 2
        assert again.total("connections") == 3


def test_any_name_may_be_allowed():
    guard = Guard("0.0.0.0", 80, ["*"])
    scope = {"headers": [(b"host", b"anything.example")], "path": "/"}
    guard.check(scope)
    with pytest.raises(RefusedError):
        Guard("0.0.0.0", 80).check(scope)
    Guard("0.0.0.0", 80).check({"headers": [(b"host", b"192.168.0.1")], "path": "/"})
