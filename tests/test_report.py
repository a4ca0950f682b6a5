"""What a report gathers from a run, and that it is bounded and escapes what files bring."""

import json
import re

import numpy as np
import pytest
from reporting import HOSTILE, MEGABYTE, evaluation, noise, random_evaluation

import neocog
from neocog.errors import DataError, NeocogError
from neocog.evaluation import Evaluation
from neocog.evaluation.target_measures import LabelsEvaluation, NumbersEvaluation
from neocog.report import write_report
from neocog.report.attention import covered_maps, explained
from neocog.report.confusion import choose_pictures
from neocog.training.history import Epoch, History, Logged


def small_network(side=12, classes=3, channels=3):
    network = neocog.Network(
        input_shape=(channels, side, side),
        conv=neocog.Conv2d(channels, 4, 3, padding=1),
        relu=neocog.ReLU(),
        pool=neocog.AdaptiveAvgPool2d(),
        flatten=neocog.Flatten(),
        fc=neocog.Linear(4, classes),
    )
    network.initialize(0)
    return network


def structure_of(path):
    """The structure that a page holds, and what else there is of it."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'id="structure">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1]), text


# What it looks at


def test_what_speaks_for_a_class_is_where_it_is():
    """A network that sees red as class 0, and an image with red in one corner."""
    network = small_network()
    state = {name: np.zeros_like(value) for name, value in network.state_dict().items()}
    state["conv.weight"][0, 0, 1, 1] = 1
    state["fc.weight"][0, 0] = 40
    network.load_state_dict(state)
    network.preprocessing = neocog.Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    image = np.zeros((12, 12, 3), np.uint8)
    image[:3, :3, 0] = 255
    maps = covered_maps(network, image, (0, 1))
    assert maps.shape == (2, 12, 12)
    assert np.unravel_index(maps[0].argmax(), (12, 12)) == (0, 0)
    # z is 40 · 9/144 with the square, and 0 without; log odds less log 2 of two others.
    assert maps[0, 0, 0] == pytest.approx(2.5, rel=1e-5)
    assert maps[0, 6:, 6:].max() == pytest.approx(0, abs=1e-5)
    assert maps[1, 0, 0] == pytest.approx(-np.log((np.exp(2.5) + 1) / 2), rel=1e-5)


def test_large_networks_are_not_looked_into():
    assert explained(small_network()) == 12
    assert 1 <= explained(neocog.models.resnet18()) < 12
    assert explained(neocog.models.resnet18(input_shape=(3, 512, 512))) == 0


# The whole


@pytest.fixture(scope="module")
def run():
    network = small_network()
    names = [f"photos/{n}.png" for n in range(60)]
    data = neocog.Dataset(noise(60, 12, 12, 3), np.arange(60) % 3, names)
    return network, data, neocog.evaluate(network, data)


def test_a_whole_report(run, tmp_path):
    network, data, result = run
    path = tmp_path / "report.html"
    history = History(logged=[Logged(1, 1, 2.0, 0.1)], epochs=[Epoch(1, 2.0, 0.1)], steps=1)
    write_report(
        path,
        title="a run",
        network=network,
        evaluation=result,
        data=data,
        history=history,
        settings={"epochs": 1},
        facts={"Machine": {"cores": 2}},
    )
    found, text = structure_of(path)
    wrong = int((result.predicted != result.labels).sum())
    assert found["evaluation"]["accuracy"] == pytest.approx(1 - wrong / 60)
    assert found["mistakes"]["count"] == wrong
    worst = found["mistakes"]["items"][0]
    assert worst["name"] == f"photos/{worst['index']}.png"
    assert worst["probability"] == result.confidence[result.predicted != result.labels].max()
    assert worst["maps"]["shape"] == [2, 12, 12]
    assert found["filters"]["weight"]["shape"] == [4, 3, 3, 3]
    assert found["facts"] == {"Machine": [["cores", "2"]]}
    assert len(found["pictures"]["items"]) == len(choose_pictures(result, 900))
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)


def test_only_what_is_given_is_there(tmp_path, run):
    path = tmp_path / "report.html"
    write_report(path, title="nothing")
    found, _text = structure_of(path)
    assert not {"history", "evaluation", "pictures", "mistakes", "filters"} & found.keys()
    network, _data, result = run
    write_report(path, title="without pictures", network=network, evaluation=result)
    found, _text = structure_of(path)
    assert "evaluation" in found
    assert not {"pictures", "mistakes"} & found.keys()


def test_labels_have_scores_and_mistakes(tmp_path):
    path = tmp_path / "report.html"
    data = neocog.Dataset(noise(2, 12, 12, 3), np.float32([[1, 0], [0, 0]]), ["x.png", "y.png"])
    p = np.array([[0.9, 0.1], [0.6, 0.3]])
    labels = LabelsEvaluation(0.25, ("a", "b"), data.labels, p, 0.0, data.names)
    write_report(path, title="labels", evaluation=labels, data=data)
    found, _text = structure_of(path)
    assert not {"evaluation", "pictures", "mistakes"} & found.keys()
    said = found["targets"]
    assert said["wrong"].pop("pictures")["src"].startswith("data:image/")
    wrong = {"index": 1, "name": "y.png", "label": "a", "there": False, "probability": 0.6}
    assert said == {
        "kind": "labels",
        "part": "test",
        "count": 2,
        "loss": 0.25,
        "accuracy": 0.75,
        "f1": pytest.approx(2 / 3),
        "mean_precision": 1,
        "threshold": 0.5,
        "names": ["a", "b"],
        "scores": [[1, 0.5, 1, pytest.approx(2 / 3), 1], [0, None, None, None, None]],
        "means": [0.5, 1, pytest.approx(2 / 3), 1],
        "all_labels": 2,
        "wrong": {"count": 1, "items": [wrong]},
    }
    other = neocog.Dataset(data.images, data.labels[::-1])
    with pytest.raises(neocog.NeocogError, match="are not the 2 of the evaluation"):
        write_report(path, title="labels", evaluation=labels, data=other)


def test_numbers_have_points_and_mistakes(tmp_path):
    path = tmp_path / "report.html"
    targets = np.float32([[1, 0], [0, 0]])
    numbers = NumbersEvaluation(
        0.05, ("x", "y"), targets, targets + np.array([[0.3, 0], [0.1, 0]]), 0.0
    )
    write_report(path, title="numbers", evaluation=numbers, part="validation")
    said = structure_of(path)[0]["targets"]
    assert said["part"] == "validation" and said["mae"] == pytest.approx(0.1)
    assert said["rmse"] == pytest.approx(0.05**0.5) and said["r2"] == pytest.approx(0.8)
    x, y = said["outputs"]
    assert (x["target"], x["predicted"]) == ([1, 0], [1.3, 0.1])
    assert (y["mae"], y["r2"]) == (0, None)
    first = said["wrong"]["items"][0]
    assert first == {"index": 0, "name": None, "label": "x", "target": 1.0, "predicted": 1.3}
    assert said["wrong"]["count"] == 4


def test_hostile_names_are_text(tmp_path):
    long = HOSTILE * 1000
    network = small_network()
    tags = "</script><img src=x onerror=alert(1)><!--"
    network.name_classes(("a", tags, tags + "b"))
    data = neocog.Dataset(noise(30, 12, 12, 3), np.arange(30) % 3, [long] * 30)
    path = tmp_path / "report.html"
    write_report(
        path,
        title=long,
        network=network,
        evaluation=neocog.evaluate(network, data),
        data=data,
        part=long,
        settings={long: long},
        facts={long: {long: long}},
    )
    found, text = structure_of(path)
    assert text.count("</script>") == 3  # of the structure, the block and the program
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 300_000
    assert found["evaluation"]["classes"][1].startswith("</script>")


def test_the_largest_report_is_below_3_mb(tmp_path):
    """Noise, of which nothing can be made smaller, in 1200 classes with long names."""
    classes, count, side = 1200, 4000, 96
    names = [f"{n:05d}" + "ü" * 10_000 for n in range(count)]
    found = random_evaluation(count, classes, names)
    found = Evaluation(
        **{**vars(found), "classes": tuple(f"{k}" + "漢" * 500 for k in range(classes))}
    )
    one = noise(40, side, side, 3)
    images = np.broadcast_to(one[None], (count // 40, *one.shape)).reshape(count, side, side, 3)
    history = History(
        logged=[Logged(1 + n // 100, n % 100, 1 / (n + 1), n) for n in range(50_000)],
        epochs=[Epoch(n + 1, 1 / (n + 3), 0.123456789) for n in range(3000)],
        steps=50_000,
    )
    path = tmp_path / "report.html"
    write_report(
        path,
        title="x",
        network=small_network(side, classes),
        evaluation=found,
        data=(images, found.labels),
        history=history,
        settings={f"setting {n}": "y" * 1000 for n in range(1000)},
    )
    assert path.stat().st_size < 3 * MEGABYTE


def test_other_data_than_those_evaluated_are_refused(run, tmp_path):
    network, data, result = run
    with pytest.raises(DataError, match="59 images that are not the 60 of the evaluation"):
        write_report(
            tmp_path / "report.html", title="x", network=network, evaluation=result, data=data[:59]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NeocogError, match=r"report\.html cannot be written"):
        write_report(tmp_path / "file" / "report.html", title="x")


def test_without_a_mistake_there_is_no_list(tmp_path, run):
    network, data, _result = run
    perfect = evaluation(data.labels, data.labels, np.full(60, 0.9))
    path = tmp_path / "report.html"
    write_report(path, title="x", network=network, evaluation=perfect, data=data)
    found, _text = structure_of(path)
    assert found["mistakes"] == {"count": 0, "items": []}
    assert found["evaluation"]["confusion"]["table"] == [[20, 0, 0], [0, 20, 0], [0, 0, 20]]
