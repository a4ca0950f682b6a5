"""Batches from tar shards of which each process reads its own."""

from collections import Counter

import numpy as np
import pytest
from picture_places import picture, samples, tar

from neocog.data.shard_stream import ShardStream, shards_of_rank
from neocog.errors import DataError, NeocogError

SHARDS, EACH = 10, 12
SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """Ten shards of twelve pictures; picture n has the red n and the class n % 3."""
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        first = shard * EACH
        labels = [str(n % 3) for n in range(first, first + EACH)]
        tar(folder / f"train-{shard:03}.tar", *samples(first, labels))
    return str(folder / "train-{000..009}.tar")


def stream(pattern, **more):
    return ShardStream(pattern, SHAPE, ["0", "1", "2"], **{"batch_size": 8, "threads": 2, **more})


def numbers(batches):
    """The pictures by their numbers, which are their colors; their labels must be right."""
    found = []
    for images, labels in batches:
        assert images.dtype == np.uint8 and images.shape == (len(labels), 8, 8, 3)
        assert labels.dtype == np.int64
        red = images[:, 0, 0, 0]
        assert (images == np.stack([red, 0 * red, 0 * red], 1)[:, None, None]).all()
        assert (labels == red % 3).all()
        found += red.tolist()
    return found


# Dividing


@pytest.mark.parametrize("ranks", [1, 3, 8, 100])
def test_each_shard_is_read_once_and_the_numbers_are_near(ranks):
    shards = list(range(100))
    parts = [shards_of_rank(shards, rank, ranks, seed=5, epoch=2) for rank in range(ranks)]
    assert sorted(shard for part in parts for shard in part) == shards
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_they_are_divided_anew_by_epoch_and_seed():
    shards = list(range(1000))
    first = set(shards_of_rank(shards, 0, 4))
    for other in ({"epoch": 1}, {"seed": 1}):
        again = set(shards_of_rank(shards, 0, 4, **other))
        # Of 250 shards a quarter is the same by chance, 62.5 ± 6.
        assert 30 < len(first & again) < 95
    assert set(shards_of_rank(shards, 0, 4)) == first


def test_they_are_divided_the_same_everywhere():
    """By the order of what ``printf '0 0 3' | b2sum -l 128`` prints for 0 to 4."""
    assert shards_of_rank("abcde", 0, 1) == list("decab")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 2), r"rank \(=2\)"),
        ((-1, 2), r"rank \(=-1\)"),
        ((0, 0), r"ranks \(=0\)"),
        ((0, 4), "There are 3 shards for 4 processes, and each reads its own: make at least 4"),
    ],
)
def test_what_cannot_be_divided(arguments, message):
    with pytest.raises(NeocogError, match=message):
        shards_of_rank("abc", *arguments)


# Streaming


def test_all_processes_together_read_each_picture_once(pattern):
    parts = [numbers(stream(pattern, rank=rank, ranks=4).batches(0)) for rank in range(4)]
    assert Counter(n for part in parts for n in part) == Counter(range(SHARDS * EACH))
    assert [len(part) for part in parts] == [36, 36, 24, 24]


def test_an_epoch_is_the_same_each_time_and_another_one_is_not(pattern):
    first = numbers(stream(pattern).batches(3))
    assert numbers(stream(pattern, threads=1).batches(3)) == first
    for other in (stream(pattern).batches(4), stream(pattern, seed=1).batches(3)):
        assert numbers(other) != first


def test_shards_may_be_divided_once(pattern):
    def own(rank, epoch):
        stays = stream(pattern, rank=rank, ranks=2, divide_anew=False, buffer=1)
        return numbers(stays.batches(epoch))

    first, other = own(0, 0), own(1, 0)
    assert sorted(first + other) == list(range(SHARDS * EACH))
    # The same pictures in other orders.
    again = own(0, 1)
    assert again != first and sorted(again) == sorted(first)
    moved = stream(pattern, rank=0, ranks=2).batches(1)
    assert sorted(numbers(moved)) != sorted(first)


def test_a_buffer_mixes_what_is_in_it(pattern):
    unmixed = numbers(stream(pattern, buffer=1).batches(0))
    # As they lie in the shards; those are in some order.
    assert all(unmixed[n : n + EACH] == sorted(unmixed[n : n + EACH]) for n in range(0, 120, EACH))
    mixed = numbers(stream(pattern, buffer=30).batches(0))
    assert sorted(mixed) == sorted(unmixed)
    # No picture can come long before its time: at place k, the first k + 30 have been seen.
    place = {n: k for k, n in enumerate(unmixed)}
    assert all(place[n] <= k + 30 for k, n in enumerate(mixed))
    # The first twelve are of several shards.
    assert len({n // EACH for n in mixed[:EACH]}) > 1


def test_with_a_count_processes_have_equally_many_whole_batches(pattern):
    for rank in range(3):  # with 48, 36 and 36 pictures
        found = list(stream(pattern, rank=rank, ranks=3).batches(0, count=5))
        assert [len(labels) for _images, labels in found] == [8] * 5
        pictures = Counter(numbers(found))
        assert max(pictures.values()) == (1 if rank == 0 else 2)
    assert list(stream(pattern).batches(0, count=0)) == []


def test_the_last_batch_may_be_smaller(pattern):
    found = list(stream(pattern, batch_size=50).batches(0))
    assert [len(labels) for _images, labels in found] == [50, 50, 20]


def test_folders_may_be_the_classes(tmp_path):
    members = [(f"photos/{name}/{n}.png", picture(n)) for n, name in enumerate(("dog", "cat"))]
    path = tar(tmp_path / "a.tar", *members)
    ((images, labels),) = ShardStream([path], SHAPE, ["cat", "dog"]).batches(0)
    assert dict(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True)) == {0: 1, 1: 0}


# What cannot be


def test_a_class_that_was_not_given(tmp_path):
    path = tar(tmp_path / "a.tar", *samples(0, ["0", "odd"]))
    with pytest.raises(DataError, match=r"a.tar has a picture of the class 'odd', which is not am"):
        list(stream([path]).batches(0))


def test_pictures_that_cannot_be_read(tmp_path):
    path = tar(tmp_path / "a.tar", *samples(0, "01"), ("9.png", b"no picture"), ("9.cls", b"0"))
    with pytest.raises(DataError, match=r"a.tar/9.png (is|cannot|has)"):
        list(stream([path]).batches(0))
    skipping = stream([path], on_bad="skip")
    assert sorted(numbers(skipping.batches(0))) == [0, 1]
    assert skipping.skipped == 1


def test_shards_without_pictures_or_that_are_none(tmp_path):
    empty = tar(tmp_path / "empty.tar", ("readme.txt", b""))
    with pytest.raises(DataError, match=r"empty.tar and others have no pictures"):
        list(stream([empty]).batches(0, count=1))
    with pytest.raises(DataError, match=r"none.tar cannot be read"):
        list(stream([tmp_path / "none.tar"]).batches(0))
    (tmp_path / "letter.tar").write_bytes(b"Dear" * 300)
    with pytest.raises(DataError, match=r"letter.tar is no sound tar file"):
        list(stream([tmp_path / "letter.tar"]).batches(0))
    with pytest.raises(DataError, match="There is no file that"):
        stream(tmp_path / "x*.tar")


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"buffer": 0}, {"on_bad": "hide"}, {"divide_anew": 1}]
)
def test_arguments(pattern, wrong):
    with pytest.raises(NeocogError, match=next(iter(wrong))):
        stream(pattern, **wrong)
