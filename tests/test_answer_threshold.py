"""Answering only where the network is sure: what a threshold leaves, and which one is wanted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import NeocogError
from neocog.evaluation import Evaluation, wilson_interval


def evaluation(confidence, right, **more) -> Evaluation:
    """Of two classes; labels are 0, and predictions 1 where they are wrong."""
    n = len(confidence)
    predicted = np.where(np.array(right, bool), 0, 1)
    values = np.array(confidence, np.float64)
    zeros = np.zeros(n, np.int64)
    return Evaluation(0.5, ("a", "b"), zeros, predicted, values, predicted, values, 1.0, **more)


def test_what_is_answered_by_hand():
    result = evaluation([0.5, 0.6, 0.7, 0.9], [True, False, True, True])
    found = result.answered(0.6)
    assert (found.count, found.coverage, found.accuracy) == (3, 0.75, 2 / 3)
    assert found.interval == wilson_interval(2, 3)
    nothing = result.answered(0.95)
    assert (nothing.count, nothing.coverage, nothing.accuracy) == (0, 0.0, None)
    assert nothing.to_dict()["accuracy_interval"] == {"level": 0.95, "low": 0.0, "high": 1.0}
    assert result.answered(0).accuracy == result.accuracy == 0.75


def test_the_threshold_for_an_accuracy_by_hand():
    result = evaluation([0.5, 0.6, 0.7, 0.9], [True, False, True, True])
    assert result.threshold_for(0.75) == 0.0  # all may be answered
    assert result.threshold_for(0.76) == pytest.approx(0.65)
    assert result.threshold_for(1) == pytest.approx(0.65)
    assert evaluation([0.9, 0.8], [False, True]).threshold_for(0.6) is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.3, 0.35, 0.7, 0.9, 1.0]), st.booleans()), min_size=1
    ),
    st.floats(0.01, 1),
)
def test_no_other_threshold_answers_more(pairs, accuracy):
    result = evaluation([c for c, _ in pairs], [r for _, r in pairs])
    enough = [
        result.answered(one).count
        for one in (0.1, 0.3, 0.35, 0.7, 0.9, 1.0)
        if (result.answered(one).accuracy or -1) >= accuracy
    ]
    found = result.threshold_for(accuracy)
    if not enough:
        assert found is None
    else:
        left = result.answered(found)
        assert left.count == max(enough)
        assert left.accuracy >= accuracy


def test_the_networks_own_threshold_is_told_of():
    result = evaluation([0.5, 0.9], [False, True], threshold=0.6)
    assert result.told().count == 1
    assert result.told(0.1).count == 2
    assert result.told(0) is None
    assert result.to_dict()["threshold"]["threshold"] == 0.6
    assert result.to_dict(threshold=0)["threshold"] is None
    assert evaluation([0.5], [True]).told() is None


def test_the_tables_of_the_json():
    result = evaluation([0.5, 0.6, 0.7, 0.9], [True, False, True, True])
    plain = result.to_dict(complete=True)
    assert "thresholds" not in result.to_dict()
    rows = plain["thresholds"]
    assert [row["threshold"] for row in rows] == [n / 100 for n in range(101)]
    assert rows[60]["coverage"] == 0.75
    assert list(rows[100].values())[:4] == [1.0, 0, 0.0, None]
    wanted = {row["wanted"]: row["threshold"] for row in plain["thresholds_for"]}
    assert wanted == dict.fromkeys((0.9, 0.95, 0.99, 0.999), pytest.approx(0.65))
    never = evaluation([0.9], [False]).to_dict()["thresholds_for"]
    assert [list(row.values()) for row in never[:2]] == [[0.9, None], [0.95, None]]


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "0.5", None])
def test_values_that_cannot_be(value):
    result = evaluation([0.5], [True])
    with pytest.raises(NeocogError, match="threshold"):
        result.answered(value)
    with pytest.raises(NeocogError, match="accuracy"):
        result.threshold_for(value)
    for zero in (0, value):
        with pytest.raises(NeocogError, match="level"):
            result.accuracy_interval(zero)
