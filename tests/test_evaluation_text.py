"""What an evaluation says: its lines, its JSON, and its mistakes by file."""

import csv
import io
import json

import numpy as np
import pytest

from neocog.errors import NeocogError
from neocog.evaluation import Evaluation, summary, wilson_interval, write_mistakes


def made(
    classes: int, n: int = 300, *, good: float = 0.7, long: int = 0, names: bool = False, **more
) -> Evaluation:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    right = rng.random(n) < good
    predicted = np.where(right, labels, (labels + 1 + rng.integers(0, 3, n)) % classes)
    ranks = np.where(predicted == labels, 0, rng.integers(1, max(2, classes), n))
    confidence = rng.uniform(0.3, 1, n)
    return Evaluation(
        0.75,
        tuple(f"class {k} {'é' * long}" for k in range(classes)),
        labels,
        predicted,
        confidence,
        ranks,
        np.where(predicted == labels, confidence, (1 - confidence) / 2),
        0.1,
        [f"folder/{'deep/' * long}{k:04}.png" for k in range(n)] if names else None,
        **more,
    )


@pytest.mark.parametrize("classes", [1, 2, 5, 10, 17, 30, 100, 1000])
@pytest.mark.parametrize("long", [0, 40])
@pytest.mark.parametrize("n", [1, 300, 20_000])
def test_it_fits_eighty_columns(classes, long, n):
    result = made(classes, n, long=long, names=True, temperature=1.234, threshold=0.9)
    lines = summary(result, "validation", threshold=0.5).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 100
    assert lines[0] == "Loss: 0.7500"


def test_its_first_lines():
    result = made(10)
    low, high = wilson_interval(int(result.right.sum()), 300)
    lines = summary(result, "test").splitlines()
    assert lines[1] == (
        f"Test accuracy: {100 * result.accuracy:.2f} % of 300 images "
        f"(95 % CI: {100 * low:.2f} to {100 * high:.2f} %)"
    )
    assert lines[2] == f"Top-5 accuracy: {100 * (result.ranks < 5).mean():.2f} %"
    assert lines[3] == ""
    assert summary(result, "test", top_k=2).splitlines()[2].startswith("Top-2 accuracy: ")
    assert summary(made(5)).splitlines()[1].startswith("Accuracy: ")
    assert "Top-" not in summary(made(5))
    assert "of 1 image (" in summary(made(5, 1))


def test_each_class_or_the_weakest():
    result = made(10)
    text = summary(result)
    for one in result.per_class:
        row = next(line for line in text.splitlines() if line.startswith(one.name))
        assert row.split()[2:] == [
            str(one.count),
            *f"{100 * one.precision:.1f} % {100 * one.recall:.1f} % {100 * one.f1:.1f} %".split(),
        ]
    precision, recall, f1 = result.macro
    mean = next(line for line in text.splitlines() if line.startswith("mean of the classes"))
    assert mean.endswith(f"300     {100 * precision:.1f} %  {100 * recall:.1f} %  {100 * f1:.1f} %")
    many = made(100, 3000)
    lines = summary(many).splitlines()
    first = lines.index("The weakest of 100 classes (--json has all):") + 2
    weakest = sorted(many.per_class, key=lambda one: one.f1)[:10]
    assert [line.partition("  ")[0].strip() for line in lines[first : first + 10]] == [
        one.name.strip() for one in weakest
    ]


def test_calibration_and_thresholds():
    result = made(4, temperature=1.5)
    text = summary(result, threshold=0.8)
    found, left = result.reliability(), result.answered(0.8)
    assert f"Mean confidence: {100 * found.confidence:.2f} % (temperature 1.5)\n" in text
    assert f"Expected calibration error: {100 * found.ece:.2f} % (15 bins)\n" in text
    assert (
        f"Threshold 0.8: {left.count} of 300 images answered ({100 * left.coverage:.1f} %)" in text
    )
    assert f"Accuracy of the answers: {100 * left.accuracy:.2f} % (95 %" in text
    row = next(line for line in text.splitlines() if line.startswith("  0.70"))
    at = result.answered(0.7)
    assert row.split() == f"0.70 {100 * at.coverage:.1f} % {100 * at.accuracy:.1f} %".split()
    assert "temperature" not in summary(made(4))
    assert "Accuracy of the answers" not in summary(made(4), threshold=1)
    assert "99 % of the answers are right without a threshold." in summary(made(4, good=1.0))
    assert "No threshold makes 99 % of the answers right." in summary(made(4, good=0.0))


def test_mistakes_are_by_how_sure_they_are():
    result = made(4, 50, names=True)
    found = result.mistakes
    wrong = [k for k in range(50) if result.labels[k] != result.predicted[k]]
    assert sorted(one.index for one in found) == wrong
    assert [one.probability for one in found] == sorted(
        (float(result.confidence[k]) for k in wrong), reverse=True
    )
    for one in found:
        assert one.name == f"folder/{one.index:04}.png"
        assert one.label == result.classes[result.labels[one.index]]
        assert one.predicted == result.classes[result.predicted[one.index]]
        assert one.label_probability == result.label_probability[one.index]
    lines = summary(result).splitlines()
    first = lines.index(f"Surest mistakes of {len(wrong)} (--mistakes FILE.csv writes all):") + 1
    assert len(lines[first:]) == min(10, len(wrong))
    assert lines[first] == (
        f"  {found[0].name}: {found[0].label} taken for {found[0].predicted}, "
        f"{100 * found[0].probability:.1f} %"
    )
    assert "mistake" not in summary(made(4, good=1.0))
    assert made(4, 50).mistakes[0].name == str(found[0].index)


def test_mistakes_as_csv_and_json():
    result = made(4, 50, names=True)
    out = io.StringIO()
    write_mistakes(result.mistakes, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    plain = json.loads(json.dumps(result.to_dict(complete=True), allow_nan=False))["mistakes"]
    assert len(rows) == len(plain) == len(result.mistakes)
    for row, one in zip(rows, plain, strict=True):
        assert (
            list(row)
            == list(one)
            == [*("file", "true", "predicted", "probability", "true_probability")]
        )
        assert (row["file"], row["true"]) == (one["file"], one["true"])
        assert float(row["probability"]) == pytest.approx(one["probability"], rel=1e-5)
    assert "mistakes" not in result.to_dict()


def test_names_of_files_move_no_cursor():
    result = made(4, 1, good=0.0)
    lines = summary(
        Evaluation(**{**vars_of(result), "names": ["a\x1b[2Jb\n" + 100 * "x"]})
    ).splitlines()
    assert "\x1b" not in "".join(lines)
    assert lines[-1].startswith("  …xxx")
    lines = summary(Evaluation(**{**vars_of(result), "names": ["a\x1b[2J"]})).splitlines()
    assert lines[-1].startswith(r"  a\x1b[2J: class ")


def vars_of(result: Evaluation) -> dict:
    return {name: getattr(result, name) for name in Evaluation.__dataclass_fields__}


def test_the_json_is_complete():
    result = made(10, temperature=1.5)
    plain = json.loads(json.dumps(result.to_dict(top_k=3), allow_nan=False))
    low, high = wilson_interval(int(result.right.sum()), 300)
    assert plain["accuracy_interval"] == {"level": 0.95, "low": low, "high": high}
    assert plain["top_k"] == {"k": 3, "accuracy": (result.ranks < 3).mean()}
    assert plain["macro"] == dict(zip(("precision", "recall", "f1"), result.macro, strict=True))
    assert plain["calibration"]["temperature"] == 1.5
    assert plain["calibration"]["ece"] == result.reliability().ece
    bins = plain["calibration"]["bins"]
    assert sum(one["count"] for one in bins) == 300
    assert list(bins[0]) == ["low", "high", "count", "confidence", "accuracy"]
    assert made(5).to_dict()["top_k"] is None


def test_top_k():
    result = made(10)
    assert result.top_k(1) == result.accuracy
    assert result.top_k(10) == 1.0
    for k in (0, 11, 1.5, "3"):
        with pytest.raises(NeocogError, match=r"k \(=.*\) must be a whole number from 1 to 10"):
            result.top_k(k)


def test_its_repr_is_one_line():
    assert repr(made(10)).startswith("<Evaluation of 300 images in 10 classes: accuracy=0.")
    assert "ECE=0." in repr(made(10))
    assert len(repr(made(1000))) < 150
