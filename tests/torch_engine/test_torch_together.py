"""Several processes train as one does: the same losses and weights, from the same random numbers.

Sums are added in another order, so ten steps and more agree but for some roundings of 2⁻²⁴.
"""

import numpy as np
import pytest

pytest.importorskip("torch")

from together import CASES, IMAGES, together, trained

from neocog.torch_engine.shares import Share

#: Of the largest number.
NEAR = 2e-5
#: In which each process normalizes its own part of a batch, which is something else.
OTHER = "own"


def assert_near(found, case):
    """The losses and weights that were found are those of neocog's own engine in one process."""
    history, state = trained(case, engine="neocog")
    wanted = {"losses": np.array(history.losses), **state}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=NEAR * np.abs(value).max(), err_msg=f"{case}: {name}"
        )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes come to in each case, and the folder of what each has written."""
    folder = tmp_path_factory.mktemp("two")
    return folder, together(folder, *CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case != OTHER])
def test_two_processes_train_as_one_does(two, case):
    assert_near(two[1][case], case)


def test_without_synchronized_statistics_each_normalizes_its_part(two):
    _, state = trained(OTHER, engine="neocog")
    found = two[1][OTHER]
    assert np.abs(found["norm.running_mean"] - state["norm.running_mean"]).max() > 1e-3
    assert all(np.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize("case", CASES)
def test_the_others_end_with_rank_zeros_weights_and_history(two, case):
    folder, found = two
    with np.load(folder / f"{case}.1.npz") as other:
        assert other.files == list(found[case])
        for name in other.files:
            np.testing.assert_array_equal(other[name], found[case][name], err_msg=name)


@pytest.mark.thorough
def test_three_processes_train_as_one_does(tmp_path):
    for case, found in together(tmp_path, "all", "sync", "weights", count=3).items():
        assert_near(found, case)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [5, 7, IMAGES, 50])
def test_the_parts_of_every_batch_are_the_batch(processes, batch):
    order = np.random.default_rng(0).permutation(IMAGES)
    shares = [Share(rank, processes) for rank in range(processes)]
    orders = [share.order(order, batch) for share in shares]
    taken = [0] * processes
    for begin in range(0, IMAGES, batch):
        whole = order[begin : begin + batch]
        parts = []
        for rank, share in enumerate(shares):
            size = share.size(len(whole))
            parts.append(orders[rank][taken[rank] : taken[rank] + size])
            taken[rank] += size
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        sizes = [len(part) for part in parts]
        assert sizes == sorted(sizes, reverse=True) and max(sizes) - min(sizes) <= 1
    assert taken == [len(own) for own in orders]
