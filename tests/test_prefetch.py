"""Images that are mapped from a file: read ahead of a run, trained on as if they were in memory."""

import mmap
import threading

import numpy as np
import pytest
from engines import parts_of
from hypothesis import given
from hypothesis import strategies as st

from neocog import SGD
from neocog.engine import prefetch as prefetching
from neocog.engine.prefetch import mapping_of, prefetch
from neocog.engine.running import Run
from neocog.engine.trainer import Trainer
from neocog.kernels.runtime.workers import CONTROL_SIZE, DONE
from neocog.layers import Flatten, Linear
from neocog.network import Network
from neocog.settings.training import TrainingSettings

PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(not hasattr(mmap.mmap, "madvise"), reason="no madvise")


def mapped(folder, images):
    path = folder / "images"
    path.write_bytes(b"head" + images.tobytes())
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(images.shape, np.uint8, buffer=mapping, offset=4)


def test_where_an_array_lies(tmp_path):
    images = mapped(tmp_path, np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3))
    mapping, begin = mapping_of(images)
    assert (mapping, begin) == (images.base, 4)
    assert mapping_of(images[2:]) == (mapping, 4 + 24)
    assert mapping_of(np.ascontiguousarray(images[1:3])) == (mapping, 4 + 12)
    assert mapping_of(images[[0, 2]]) is None
    assert mapping_of(images.copy()) is None
    by_numpy = np.memmap(tmp_path / "images", np.uint8, "r", offset=4)
    assert mapping_of(by_numpy[10:])[1] == 14
    assert mapping_of(np.frombuffer(bytes(9), np.uint8)) is None


class Mapping:
    """Counts what is asked for."""

    def __init__(self):
        self.asked = []

    def madvise(self, advice, begin, size):
        assert begin % PAGE == 0
        self.asked.append((advice, begin, size))

    def bytes_of(self, advice):
        return [range(b, b + s) for a, b, s in self.asked if a == advice]


class Watched:
    """A run that takes a step at each look."""

    def __init__(self, steps):
        self.control = np.zeros(CONTROL_SIZE, np.int64)
        self.steps = steps
        self.begin = []

    @property
    def over(self):
        return self.control[DONE] >= self.steps

    def wait(self, seconds):
        self.control[DONE] += 1
        return self.over


def reader(mapping, images, image, begin=0, memory=0):
    found = prefetching._Reader.__new__(prefetching._Reader)
    found._mapping = mapping
    found._begin, found._size, found._image = begin, images * image, image
    found._fits = images * image < memory
    return found


@given(
    st.integers(1, 300),
    st.integers(1, 3 * PAGE),
    st.integers(0, 2 * PAGE),
    st.integers(1, 40),
)
def test_each_image_is_asked_for_in_its_turn(images, image, begin, batch):
    mapping, steps = Mapping(), -(-images // batch)
    order = np.random.default_rng(0).permutation(images)
    reader(mapping, images, image, begin).read(order, batch, Watched(steps))
    advices = [advice for advice, *_ in mapping.asked]
    assert advices[0] == mmap.MADV_RANDOM
    assert advices[-1] == mmap.MADV_NORMAL
    asked = mapping.bytes_of(mmap.MADV_WILLNEED)
    assert len(asked) == images
    for index, pages in zip(order.tolist(), asked, strict=True):
        first = begin + index * image
        assert pages.start <= first
        assert pages.stop == first + image
        assert first - pages.start < PAGE


def test_no_more_is_asked_for_than_some_bytes_ahead(monkeypatch):
    monkeypatch.setattr(prefetching, "_AHEAD", 100 * PAGE)
    mapping, run = Mapping(), Watched(500)
    ahead = []
    real = run.wait

    def wait(seconds):
        asked = len(mapping.bytes_of(mmap.MADV_WILLNEED))
        ahead.append(asked - 2 * int(run.control[DONE]))
        return real(seconds)

    run.wait = wait
    reader(mapping, 1000, PAGE).read(np.arange(1000), 2, run)
    assert set(ahead[:400]) == {100}
    assert max(ahead) == 100


def test_a_run_that_ends_early_ends_it():
    mapping = Mapping()
    reader(mapping, 10_000, PAGE).read(np.arange(10_000), 2, Watched(3))
    assert len(mapping.asked) < 10_000
    assert mapping.asked[-1][0] == mmap.MADV_NORMAL


def test_what_fits_the_memory_is_read_once_in_a_row(monkeypatch):
    monkeypatch.setattr(prefetching, "_PART", 3 * PAGE)
    mapping = Mapping()
    reader(mapping, 10, PAGE, memory=2**30).read(np.arange(10), 2, Watched(5))
    asked = mapping.bytes_of(mmap.MADV_WILLNEED)
    assert len(asked) == len(mapping.asked) == 4
    assert sorted(byte // PAGE for part in asked for byte in part[::PAGE]) == list(range(10))


def test_a_system_that_takes_no_advice():
    class Refusing:
        def madvise(self, *_):
            raise OSError(22, "Invalid argument")

    reader(Refusing(), 10, PAGE).read(np.arange(10), 2, Watched(5))


def test_a_run_that_was_called_off_is_over():
    run = Run(lambda rank: 1, 1, np.zeros(CONTROL_SIZE, np.int64), None)
    assert not run.over
    assert run.end() == 0
    assert run.over
    run = Run(lambda rank: 1, 1, np.zeros(CONTROL_SIZE, np.int64), None)
    run.begin()
    assert run.finish() == 1
    assert run.over


@pytest.mark.parametrize("memory", [0, 2**40])
def test_training_from_a_file_is_the_same(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(prefetching, "available_memory", lambda: memory)
    ended = threading.Event()
    real = prefetching._Reader.read

    def read(self, *arguments):
        assert self._fits == bool(memory)
        real(self, *arguments)
        ended.set()

    monkeypatch.setattr(prefetching._Reader, "read", read)
    images = np.random.default_rng(0).integers(0, 256, (50, 2, 4, 1), np.uint8)

    def losses(of):
        network = Network(input_shape=(1, 2, 4), flatten=Flatten(), fc=Linear(8, 3))
        network.load_state_dict(
            {"fc.weight": np.arange(24, dtype=np.float32).reshape(3, 8) / 24}
            | {"fc.bias": np.zeros(3, np.float32)}
        )
        trainer = Trainer(
            *parts_of(network),
            of,
            np.arange(50) % 3,
            TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=1),
        )
        return trainer.run(np.random.default_rng(1).permutation(50))

    in_memory = losses(images)
    assert not ended.is_set()
    np.testing.assert_array_equal(losses(mapped(tmp_path, images)), in_memory)
    assert ended.wait(30)


def test_a_trainer_does_not_copy_what_is_mapped(tmp_path):
    images = mapped(tmp_path, np.zeros((50, 2, 4, 1), np.uint8))
    network = Network(input_shape=(1, 2, 4), flatten=Flatten(), fc=Linear(8, 3))
    network.initialize(0)
    labels = np.zeros(50, np.int64)
    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=1),
    )
    assert np.shares_memory(trainer._images, images)


def test_nothing_is_started_without_need(monkeypatch, tmp_path):
    monkeypatch.setattr(prefetching, "start_new_thread", None)
    images = np.zeros((5, 2, 2, 3), np.uint8)
    prefetch(images, np.arange(5), 2, Watched(3))
    prefetch(mapped(tmp_path, images), np.arange(0), 2, Watched(3))
    prefetch(mapped(tmp_path, images)[:0], np.arange(0), 2, Watched(3))
