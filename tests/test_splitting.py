"""Which pictures are held out: a part of each class, the same ones every time, no copies apart."""

import threading
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.data.sources import Pictures
from neocog.data.splitting import same_contents, split
from neocog.errors import DataError

PART = st.floats(0, 1, allow_subnormal=False)
# The contents are texts of few lengths, so that many are equal and many more are of equal length.
PICTURES = st.lists(st.tuples(st.sampled_from(["", "a", "b", "aa", "bb"]), st.integers(0, 3)))


examples = settings(max_examples=60, deadline=None)


class Texts:
    """A store of texts."""

    def __init__(self, names, contents, broken=()):
        self.names, self.contents, self.broken = names, contents, broken
        self.read_rows = Counter()

    def name(self, row):
        return self.names[row]

    def stamp(self, row):
        return ""  # so that nothing is kept of it

    def size(self, row):
        return len(self.contents[row])

    def read(self, row):
        self.read_rows[row] += 1
        if row in self.broken:
            raise OSError(5, "Input/output error")
        return self.contents[row].encode()


def pictures(contents, labels, names=None, broken=()) -> Pictures:
    names = names or [f"{n:03}" for n in range(len(labels))]
    store = Texts(names, contents, broken)
    return Pictures(store, np.arange(len(labels)), np.array(labels, np.int64))


def different(labels) -> Pictures:
    return pictures([str(n) for n in range(len(labels))], labels)


def names(some: Pictures) -> list[str]:
    return [some.name(n) for n in range(len(some))]


@examples
@given(PICTURES, PART, st.integers(0, 2**32))
def test_disjoint_and_complete(made, part, seed):
    all_of_them = pictures([text for text, _ in made], [label for _, label in made])
    train, held_out = split(all_of_them, part, seed)
    assert sorted(names(train) + names(held_out)) == sorted(names(all_of_them))
    for side in (train, held_out):
        assert names(side) == sorted(names(side))
        assert side.labels.tolist() == [made[int(row)][1] for row in side.rows]


@examples
@given(PICTURES, PART, st.integers(0, 9))
def test_the_same_content_is_on_one_side(made, part, seed):
    all_of_them = pictures([text for text, _ in made], [label for _, label in made])
    sides = [{made[int(row)][0] for row in side.rows} for side in split(all_of_them, part, seed)]
    assert not sides[0] & sides[1]


@examples
@given(PICTURES, PART, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_listing_changes_nothing(made, part, seed, random):
    numbered = list(enumerate(made))
    found = set()
    for _ in range(3):
        listed = pictures(
            [text for _, (text, _) in numbered],
            [label for _, (_, label) in numbered],
            [f"{n:03}" for n, _ in numbered],
        )
        found.add(tuple(tuple(names(side)) for side in split(listed, part, seed)))
        random.shuffle(numbered)
    assert len(found) == 1


@examples
@given(st.lists(st.integers(0, 4), max_size=80), PART, st.integers(0, 9))
def test_of_different_pictures_each_class_gives_its_part(labels, part, seed):
    train, held_out = split(different(labels), part, seed)
    for label, count in Counter(labels).items():
        taken = int((held_out.labels == label).sum())
        left = int((train.labels == label).sum())
        assert taken + left == count
        assert left >= 1
        if part > 0 and count > 1:
            assert taken == min(max(1, round(part * count)), count - 1)
        else:
            assert taken == 0


@examples
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=12), st.floats(0.05, 0.95), st.integers(0, 9)
)
def test_copies_hold_out_no_more_than_half_of_a_group_too_much(sizes, part, seed):
    contents = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    _train, held_out = split(pictures(contents, [0] * len(contents)), part, seed)
    wanted = max(1, round(part * len(contents)))
    # At least one group is held out, and if none is nearer than nothing, the smallest.
    assert len(held_out) <= max(wanted + max(sizes) / 2, min(sizes))
    assert 1 <= len(held_out) < len(contents)


def test_a_large_group_of_copies_does_not_become_most_of_what_is_held_out():
    contents = ["same"] * 50 + [str(n) for n in range(50)]
    for seed in range(20):
        held_out = split(pictures(contents, [0] * 100), 0.2, seed)[1]
        assert len(held_out) == 20


def test_another_seed_holds_out_others():
    all_of_them = different([0] * 100)
    found = {tuple(names(split(all_of_them, 0.2, seed)[1])) for seed in range(10)}
    assert len(found) == 10


def test_which_ones_are_held_out_stays_so_in_all_versions():
    """Else a network would be judged by pictures that it was trained on, after an update."""
    # Those whose b2sum -l 128 of the seed, a null character and the name comes first.
    held_out = names(split(different([0] * 10), 0.3, 7)[1])
    assert held_out == ["000", "002", "009"]


def test_every_picture_is_held_out_as_often_as_any_other():
    often = Counter()
    for seed in range(200):
        often.update(names(split(different([0] * 10), 0.3, seed)[1]))
    # 60 times each on average; the deviation of one is sqrt(200 · 0.3 · 0.7) = 6.5.
    assert len(often) == 10
    assert all(abs(times - 60) < 5 * 6.5 for times in often.values())


def test_the_edges_of_the_part():
    labels = [0] * 5 + [1] + [2] * 2
    assert len(split(different(labels), 0)[1]) == 0
    train, held_out = split(different(labels), 1)
    assert np.bincount(train.labels).tolist() == [1, 1, 1]
    assert np.bincount(held_out.labels, minlength=3).tolist() == [4, 0, 1]
    train, held_out = split(different(labels), 1e-9)
    assert np.bincount(held_out.labels, minlength=3).tolist() == [1, 0, 1]


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan"), "0.2", None, True])
def test_a_part_that_cannot_be(part):
    with pytest.raises(DataError, match=r"validation \(=.*\) must be a number from 0 to 1"):
        split(different([0, 0]), part)


def test_no_pictures():
    train, held_out = split(different([]), 0.2)
    assert len(train) == len(held_out) == 0


def test_a_class_of_copies_alone_is_trained_on():
    train, held_out = split(pictures(["x"] * 4 + ["y", "z"], [0] * 4 + [1, 1]), 0.5)
    assert train.labels.tolist().count(0) == 4
    assert len(held_out) == 1


def test_one_name_under_two_labels():
    """As a table may have it; which label comes first is not the order of its lines."""
    found = set()
    for labels in ([0, 1, 0, 1], [1, 0, 0, 1]):
        listed = pictures(["x", "x", "a", "b"], labels, ["same", "same", "u", "v"])
        found.add(tuple(tuple(names(side)) for side in split(listed, 0.5, 1)))
    assert len(found) == 1


# Contents


@examples
@given(PICTURES, st.integers(1, 4))
def test_the_first_of_each_content(made, threads):
    contents = [text for text, _ in made]
    found = same_contents(pictures(contents, [0] * len(made)), threads).tolist()
    assert found == [contents.index(text) for text in contents]


def test_only_pictures_of_equal_length_are_read_and_each_once():
    some = pictures(["a", "bb", "cc", "ddd", "bb"], [0] * 5)
    assert same_contents(some).tolist() == [0, 1, 2, 3, 1]
    assert some.store.read_rows == {1: 1, 2: 1, 4: 1}


def test_nothing_is_read_where_nothing_is_held_out():
    some = pictures(["aa", "bb"], [0, 0])
    split(some, 0)
    assert not some.store.read_rows


def test_what_cannot_be_read_is_like_no_other():
    some = pictures(["aa", "aa", "aa"], [0] * 3, broken=(1,))
    assert same_contents(some).tolist() == [0, 1, 0]


def test_pixels_are_compared_too():
    class Pixels(Texts):
        def read(self, row):
            # Columns that do not lie side by side.
            return np.array([list(self.contents[row].encode()) * 2], np.uint8)[:, ::2, None]

    store = Pixels(list("uvw"), ["ab", "cd", "ab"])
    assert same_contents(Pictures(store, np.arange(3), np.zeros(3, np.int64))).tolist() == [0, 1, 0]


def test_several_threads_read(monkeypatch):
    monkeypatch.setattr("neocog.data.cache.content_digests._AT_A_TIME", 1)
    both = threading.Barrier(2, timeout=60)

    class Waiting(Texts):
        def read(self, row):
            both.wait()
            return super().read(row)

    store = Waiting(["u", "v"], ["aa", "aa"])
    assert same_contents(Pictures(store, np.arange(2), np.zeros(2, np.int64)), 2).tolist() == [0, 0]


def test_an_error_ends_the_threads():
    class Failing(Texts):
        def read(self, row):
            raise MemoryError

    before = threading.active_count()
    store = Failing([str(n) for n in range(3000)], ["a"] * 3000)
    with pytest.raises(MemoryError):
        same_contents(Pictures(store, np.arange(3000), np.zeros(3000, np.int64)), 2)
    assert threading.active_count() == before


def test_groups_count_for_the_class_of_their_first_name():
    by_side = defaultdict(set)
    for seed in range(50):
        some = pictures(["x", "x", "a", "b", "c", "d"], [0, 1, 0, 0, 1, 1])
        for side, found in enumerate(split(some, 0.5, seed)):
            by_side[side] |= set(names(found))
    assert by_side[0] == by_side[1] == {f"{n:03}" for n in range(6)}
