"""The curve of losses: bounded, with true means, cut where training went back."""

from explorer_networks import point

from neocog.web.curve import Curve


def test_a_curve_is_bounded_and_keeps_its_means():
    curve = Curve(most=4)
    for n in range(1, 5):
        curve.add(point(n, loss=n, accuracy=0.5 if n == 3 else None))
    assert curve.number == 0
    curve.add(point(8, count=3, loss=9.0))
    assert curve.number == 1
    assert [(p.steps, p.count, p.loss, p.accuracy) for p in curve.points] == [
        (2, 2, 1.5, None),
        (4, 2, 3.5, 0.5),
        (8, 3, 9.0, None),
    ]
    curve.add(point(9, accuracy=0.7))
    curve.add(point(10))
    assert [(p.steps, p.count, p.loss) for p in curve.points] == [
        (4, 4, 2.5),
        (9, 4, 7),
        (10, 1, 1),
    ]
    assert curve.points[1].accuracy == 0.7
    for n in range(11, 1000):
        curve.add(point(n))
    assert len(curve.points) <= 4
    assert sum(p.count for p in curve.points) == 4 + 3 + 1 + 1 + 989


def test_a_curve_is_cut_where_training_went_back():
    curve = Curve()
    for n in (1, 2, 3):
        curve.add(point(n))
    curve.cut(3)
    assert (curve.number, len(curve.points)) == (0, 3)
    curve.cut(2)
    assert (curve.number, curve.head()["count"], curve.head()["last"]) == (1, 2, [2, 1.0, None, 10])
    curve.restart()
    assert curve.to_dict() == {"number": 2, "count": 0, "last": None, "points": []}
