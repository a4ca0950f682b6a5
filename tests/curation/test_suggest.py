"""`neocog.suggest`: planted wrong labels are found, and pictures without a label are ordered."""

import json

import numpy as np
import pytest
from folders import CLASSES, pictures, write_folder
from photographs import network

import neocog
from neocog.curation.confident_learning import confident_learning
from neocog.data.images import Dataset
from neocog.errors import DataError, NeocogError
from neocog.transfer.head import folds_of

NET = network()
WRONG = (4, 17, 33, 50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("suggest") / "photos", 90, 12, WRONG)


@pytest.fixture(scope="module")
def found(folder):
    return neocog.suggest(NET, folder, count=5)


def number(one):
    return int(one.name[-7:-4])


def true_class(n):
    return ("red", "green", "blue")[n % 3]


def test_planted_labels_are_found_first(found):
    assert {number(one) for one in found.wrong_labels[: len(WRONG)]} == set(WRONG)
    for one in found.wrong_labels[: len(WRONG)]:
        assert one.suggested == true_class(number(one))
        assert one.label == one.name.split("/")[0] != one.suggested
        assert one.probability > 0.5 > one.label_probability
        assert found.embedding.names[one.index] == one.name
    assert len(found.wrong_labels) <= len(WRONG) + 4
    assert found.accuracy >= 0.85
    assert (found.labeled, found.unlabeled, found.checked) == (90, 12, 90)


def test_probabilities_are_those_of_scikit_learn_out_of_sample(found):
    """The same folds and strength; standardized once, as fit_head does."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rows = found.embedding.labels >= 0
    x, y = found.embedding.features[rows].astype(np.float64), found.embedding.labels[rows]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    fold, best = folds_of(y, 0), None
    for strength in 10.0 ** np.arange(-4, 2.5, 0.5):
        p = np.empty((len(y), 3))
        for k in range(5):
            model = linear_model.LogisticRegression(C=strength, solver="newton-cg", tol=1e-6)
            p[fold == k] = model.fit(x[fold != k], y[fold != k]).predict_proba(x[fold == k])
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        if best is not None and loss > best[0]:
            break
        best = loss, p
    p = best[1]
    assert found.accuracy == pytest.approx((p.argmax(axis=1) == y).mean())
    names = [name for name, known in zip(found.embedding.names, rows, strict=True) if known]
    for one in found.wrong_labels:
        row = p[names.index(one.name)]
        assert one.probability == pytest.approx(row[CLASSES.index(one.suggested)], abs=0.01)
        assert one.label_probability == pytest.approx(row[CLASSES.index(one.label)], abs=0.01)
    expected = [names[n] for n in confident_learning(p, y).wrong]
    assert [one.name for one in found.wrong_labels] == expected


def test_unlabeled_pictures_get_the_last_layers_probabilities(found):
    assert found.by == "last layer"  # the network's classes have other names
    assert len(found.to_label) == 5
    for one in found.to_label:
        assert one.name.startswith("unlabeled/")
        assert {label for label, _p in one.best} == set(CLASSES)
        p = np.array([p for _label, p in one.best])
        assert p.sum() == pytest.approx(1, abs=1e-6)
        assert one.entropy == pytest.approx(-(p * np.log(p)).sum(), abs=1e-5)
    assert found.to_label[0].entropy == max(one.entropy for one in found.to_label)
    guesses = [one.best[0][0] == true_class(number(one)) for one in found.to_label]
    assert sum(guesses) >= 3


def test_a_network_that_knows_the_classes_gives_its_own_probabilities(folder):
    own = network(classes=3)
    own.name_classes(CLASSES)
    own.temperature = 1.7
    found = neocog.suggest(own, folder)
    assert found.by == "network"
    assert len(found.to_label) == 12
    images = pictures(102).images
    for one in found.to_label:
        p = own.predict_proba(images[number(one)][None].repeat(2, axis=0))[0]
        for label, probability in one.best:
            assert probability == pytest.approx(p[CLASSES.index(label)], abs=1e-5)


def test_without_labels_the_network_says_what_it_can(tmp_path):
    write_folder(tmp_path, 0, 6)
    found = neocog.suggest(NET, tmp_path, count=4)
    assert (found.by, found.labeled, found.checked, found.accuracy) == ("network", 0, 0, None)
    assert [len(one.best) for one in found.to_label] == [3] * 4
    assert {label for one in found.to_label for label, _p in one.best} <= set("0123456")
    assert found.wrong_labels == ()


def test_the_same_again(folder, found):
    again = neocog.suggest(NET, folder, count=5, threads=2)
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())


def test_classes_of_one_picture_are_not_checked(tmp_path):
    write_folder(tmp_path, 31)
    for path in sorted((tmp_path / "blue").iterdir())[1:]:
        path.unlink()
    found = neocog.suggest(NET, tmp_path)
    assert found.notes == ("Labels with one picture are not checked: blue.",)
    assert found.checked == 21
    assert {one.suggested for one in found.wrong_labels} <= {"red", "green"}


def test_one_class_and_pictures_without_a_label(tmp_path):
    write_folder(tmp_path, 30, 3)
    for name in ("blue", "green"):
        for path in (tmp_path / name).iterdir():
            path.rename(tmp_path / "unlabeled" / f"{name}{path.name}")
    found = neocog.suggest(NET, tmp_path)
    assert found.by == "network"
    assert found.notes[-1].startswith("Labels are not checked, which takes at least 2 classes")
    assert found.unlabeled == 23


def test_there_is_nothing_to_suggest(tmp_path):
    write_folder(tmp_path / "photos", 1)
    with pytest.raises(DataError, match="There is nothing to suggest for photos: labels are"):
        neocog.suggest(NET, tmp_path / "photos")


def test_networks_that_choose_no_class(tmp_path):
    several = network()
    several.loss = "binary-cross-entropy"
    write_folder(tmp_path, 0, 3)
    with pytest.raises(NeocogError, match="Suggesting pictures to label is for networks that"):
        neocog.suggest(several, tmp_path)
    write_folder(tmp_path, 30)
    found = neocog.suggest(several, tmp_path)
    assert found.by == "last layer"


def test_targets_are_not_labels():
    images = pictures(6).images
    found = neocog.suggest(NET, Dataset(images, np.zeros((6, 2), np.float32)))
    assert (found.labeled, found.unlabeled) == (0, 6)


def test_the_page(found, tmp_path):
    found.save_page(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for one in (*found.wrong_labels, *found.to_label):
        assert one.name in text
    assert text.count("<img") == len(found.wrong_labels) + len(found.to_label)
    assert "<script" not in text


def test_a_picture_that_is_gone_is_said_in_the_page(tmp_path):
    write_folder(tmp_path / "photos", 12, 2)
    found = neocog.suggest(NET, tmp_path / "photos")
    (tmp_path / "photos" / "unlabeled" / "012.png").unlink()
    found.save_page(tmp_path / "page.html")
    assert "cannot be read" in (tmp_path / "page.html").read_text(encoding="utf-8")
