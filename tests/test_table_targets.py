"""Tables of several labels a picture, and of numbers: what is read, and what is refused."""

import json
import zipfile

import numpy as np
import pytest
from target_tables import LABELS, write_picture, write_planted, write_rows

import neocog
from neocog.data.sources.base import Pictures
from neocog.data.splitting import split


@pytest.fixture
def planted(tmp_path):
    return tmp_path, *write_planted(tmp_path)


def by_name(data):
    """The targets of all pictures, by their names."""
    return {
        name: row.tolist()
        for part in data.parts.values()
        if len(part)
        for name, row in zip(part.names, part.labels, strict=True)
    }


def expected(targets):
    return {f"pics/{k:03}.png": row for k, row in enumerate(np.float32(targets).tolist())}


def refused(path, **options):
    with pytest.raises(neocog.NeocogError) as error:
        neocog.load_data(path, **options)
    return str(error.value)


def test_a_column_for_each_label(planted):
    folder, has, _doses = planted
    data = neocog.load_data(folder / "several.csv", labels="several")
    assert data.classes == LABELS and data.train.labels.dtype == np.float32
    assert by_name(data) == expected(has)
    # A fifth is held out, and every label is on both sides.
    assert 9 <= len(data.validation) <= 15
    assert (data.train.labels.sum(axis=0) > 0).all() and (data.validation.labels.sum(axis=0)).all()
    assert (
        "3 labels" in data.summary() and str(int(data.train.labels[:, 0].sum())) in data.summary()
    )
    assert data.show().size[0] > 0


def test_labels_in_one_column(planted):
    folder, has, _doses = planted
    data = neocog.load_data(folder / "parted.csv", labels="several")
    assert data.classes == ("dark", "green", "red")  # by name, as nothing says another order
    assert by_name(data) == expected(has[:, ::-1])
    some = neocog.load_data(folder / "parted.csv", labels="several", classes=["red", "dark"])
    assert by_name(some) == expected(has[:, [0, 2]])


@pytest.mark.parametrize("between", [";", "|", ",", " ; "])
def test_what_parts_labels(planted, between):
    folder, _has, _doses = planted
    rows = [["pics/000.png", f"a cat{between}dog"], ["pics/001.png", "dog"]]
    table = write_rows(folder / "t.csv", ["file", "tags"], rows)
    data = neocog.load_data(table, labels="several", validation=0)
    assert data.classes == ("a cat", "dog") and data.train.labels.tolist() == [[1, 1], [0, 1]]


def test_rows_of_a_picture_add_up(planted):
    folder, _has, _doses = planted
    rows = [["pics/000.png", "b"], ["pics/001.png", "a"], ["pics/000.png", "a"]]
    table = write_rows(folder / "t.csv", ["file", "label"], rows)
    data = neocog.load_data(table, labels="several", validation=0)
    assert by_name(data) == {"pics/000.png": [1, 1], "pics/001.png": [1, 0]}


def test_which_columns_are_labels(planted):
    folder, has, _doses = planted
    rows = [[f"pics/{k:03}.png", *row, "x", "7"] for k, row in enumerate(has.tolist())]
    table = write_rows(folder / "t.csv", ["file", *LABELS, "camera", "mass, g"], rows)
    data = neocog.load_data(table, labels="several", label_column="dark, red")
    assert data.classes == ("dark", "red") and by_name(data) == expected(has[:, [2, 0]])
    one = neocog.load_data(table, labels="several", label_column="green")
    assert one.classes == ("green",) and by_name(one) == expected(has[:, 1:2])
    mass = neocog.load_data(table, labels="number", label_column="mass, g")
    assert mass.classes == ("mass, g",) and set(np.unique(mass.train.labels)) == {7}
    message = refused(table, labels="several")
    assert message.startswith("t.csv, line 2: the label is 'x' in the column 'camera'")
    assert "--label-column A,B" in message


def test_numbers(planted):
    folder, _has, doses = planted
    data = neocog.load_data(folder / "doses.csv", labels="number")
    assert data.classes == ("dose",)
    found = by_name(data)
    for name, (dose,) in found.items():
        assert dose == pytest.approx(doses[int(name[5:8])], abs=1e-3)
    assert f"mean {data.train.labels.mean():g}" in data.summary()
    assert data.show(per_class=3).size[0] > 0


def test_without_a_head_and_with_unknown_numbers(planted):
    folder, _has, _doses = planted
    rows = [["pics/000.png", "1.5"], ["pics/001.png", ""], ["pics/002.png", "-2e3"]]
    data = neocog.load_data(write_rows(folder / "t.csv", None, rows), labels="number", validation=0)
    assert data.classes == ("number",) and data.train.labels.tolist() == [[1.5], [-2000]]
    assert any("without a label are passed over: 1" in note for note in data.notes)


def test_a_label_of_zeros_and_ones_in_other_words(planted):
    folder, _has, _doses = planted
    rows = [{"file": f"pics/00{k}.png", "old": k % 2 == 0, "wet": float(k > 2)} for k in range(5)]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = neocog.load_data(folder / "t.jsonl", labels="several", validation=0)
    assert data.train.labels.tolist() == [[1, 0], [0, 0], [1, 0], [0, 1], [1, 1]]


def test_lists_of_labels_in_json(planted):
    folder, _has, _doses = planted
    rows = [["old", "wet"], [], ["wet"]]
    lines = [json.dumps({"file": f"pics/00{k}.png", "tags": row}) for k, row in enumerate(rows)]
    (folder / "t.jsonl").write_text("\n".join(lines))
    data = neocog.load_data(folder / "t.jsonl", labels="several", validation=0)
    assert data.classes == ("old", "wet") and data.train.labels.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert "is a list, where one text" in refused(folder / "t.jsonl")


def test_texts_that_are_no_labels(planted):
    folder, _has, _doses = planted
    rows = [[f"pics/{k % 60:03}.png", f"once {k}, then {k}"] for k in range(60)]
    table = write_rows(folder / "t.csv", ["file", "caption"], rows)
    message = refused(table, labels="several")
    assert message.startswith("t has for 60 rows 120 different labels, the first of which is 'once")


def test_more_labels_than_memory(planted, monkeypatch):
    """60 rows of 3 labels take 720 bytes, which are asked for before they are taken."""
    folder, _has, _doses = planted

    def little(size, purpose, remedy):
        if size == 720:
            raise neocog.NeocogError(f"{purpose}: no memory. {remedy}")

    monkeypatch.setattr("neocog.data.sources.tables.table_targets.require_memory", little)
    message = refused(folder / "several.csv", labels="several")
    assert message == "3 labels of 60 rows: no memory. Take fewer labels."


def test_tables_in_a_zip(planted):
    folder, has, _doses = planted
    with zipfile.ZipFile(folder / "all.zip", "w") as file:
        for one in (folder / "pics").iterdir():
            file.write(one, f"pics/{one.name}")
        file.write(folder / "several.csv", "labels.csv")
    data = neocog.load_data(folder / "all.zip", labels="several")
    assert by_name(data) == expected(has)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a.png", "3"], ["b.png", "three"]], "line 3: the label 'three' in the column 'age' is "),
        ([["a.png", "nan"], ["b.png", "3"]], "line 2: the label 'nan' in the column 'age' is not "),
        ([["a.png", "3"], ["b.png", "-inf"]], "line 3: the label '-inf' in the column 'age' is "),
        ([["a.png", "1e39"], ["b.png", "3"]], "line 2: the label '1e39' in the column 'age' is "),
        ([["a.png", "3"], ["a.png", "4"]], "a.png is 3.0 and 4.0 (line 2 of t.csv and line 3"),
        ([["a.png", ""], ["b.png", ""]], "t.csv has no pictures: its rows have no labels."),
    ],
)
def test_numbers_that_are_refused(tmp_path, rows, message):
    for name in "ab":
        write_picture(tmp_path / f"{name}.png")
    table = write_rows(tmp_path / "t.csv", ["file", "age"], rows)
    assert message in refused(table, labels="number")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a.png", "1", "0"], ["b.png", "1", "2"]], "line 3: the label is '2' in the column 'y'"),
        ([["a.png", "1", ""], ["b.png", "1", "1"]], "line 2: the label is empty in the column 'y'"),
        ([["a.png", 1, 0], ["a.png", 1, 1]], "a.png is x and x, y (line 2 of t.csv"),
    ],
)
def test_labels_that_are_refused(tmp_path, rows, message):
    for name in "ab":
        write_picture(tmp_path / f"{name}.png")
    table = write_rows(tmp_path / "t.csv", ["file", "x", "y"], rows)
    assert message in refused(table, labels="several", label_column="x,y")


def test_missing_files_are_named(planted):
    folder, _has, _doses = planted
    rows = [["pics/000.png", "1"], ["pics/nothing.png", "2"]]
    table = write_rows(folder / "t.csv", ["file", "age"], rows)
    message = refused(table, labels="number")
    assert "pics/nothing.png" in message and "line 3 of t.csv" in message


def test_other_sources_have_one_class_a_picture(planted):
    folder, _has, _doses = planted
    for kind in ("several", "number"):
        assert f"--labels {kind}" in refused(folder / "pics", labels=kind)
        assert "labels" in refused((np.zeros((2, 4, 4, 3), np.uint8), [0, 1]), labels=kind)
    assert "must be 'one', 'several' or 'number'" in refused(folder / "doses.csv", labels="two")
    assert "leave them out" in refused(folder / "doses.csv", labels="number", classes=["a"])
    assert "has no class 'blue'" in refused(
        folder / "several.csv", labels="several", classes=["blue"]
    )


def test_fingerprints_differ_by_parts_of_numbers():
    """Whole parts of 0.25 and 0.75 are the same, which a digest of class numbers would see only."""
    images = np.zeros((2, 4, 4, 3), np.uint8)

    def fingerprint(numbers):
        data = neocog.Dataset(images, np.float32(numbers)[:, None])
        return neocog.Data("x", data, data[:0], ("age",)).fingerprint

    assert fingerprint([0.25, 0.5]) == fingerprint([0.25, 0.5]) != fingerprint([0.75, 0.5])


def test_a_rare_label_stays_in_training():
    class Store:
        def name(self, row):
            return f"{row:03}.png"

        def size(self, row):
            return row

        def stamp(self, row):
            return ""

    targets = np.zeros((50, 2), np.float32)
    targets[:, 0] = 1
    targets[7, 1] = 1
    for seed in range(20):
        train, held_out = split(Pictures(Store(), np.arange(50), targets), 0.2, seed)
        assert train.labels[:, 1].sum() == 1 and len(held_out) == 10
