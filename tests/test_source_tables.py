"""Tables of files and labels: what each kind of file may look like, and what is made of it."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.data import load_data
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.data.sources.tables.delimited import DelimitedTable
from neocog.errors import DataError


def picture(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), level).save(path)


def pictures(folder, *names):
    for level, name in enumerate(names):
        picture(folder / name, 10 * level)


def listed(path, **request):
    """Of each part, the files and the names of their classes."""
    found = list_pictures(path, Request(**request))
    return {
        part: [(some.name(n), found.classes[some.labels[n]]) for n in range(len(some))]
        for part, some in found.parts.items()
    }


def table(folder, text, name="labels.csv", files=("a.png", "b.png", "c.png")):
    pictures(folder, *files)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return folder / name


ABC = {"all": [("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat")]}


@pytest.mark.parametrize(
    "text",
    [
        "file_name,label\na.png,cat\nb.png,dog\nc.png,cat\n",
        "\ufefffile_name,label\r\na.png,cat\r\nb.png,dog\r\nc.png,cat\r\n",
        "file_name\tlabel\na.png\tcat\nb.png\tdog\nc.png\tcat",
        "Filename;Class\na.png;cat\nb.png;dog\nc.png;cat\n",
        "class|image path\ncat|a.png\ndog|b.png\ncat|c.png\n",
        "a.png cat\nb.png   dog\n  c.png\tcat  \n",
        "a.png,cat\nb.png,dog\n\nc.png,cat\n",
        'file,label\n"a.png","cat"\n"b.png",dog\nc.png,"cat"\n',
        "file,label\ra.png,cat\rb.png,dog\rc.png,cat\r",
        ",file,label\n0,a.png,cat\n1,b.png,dog\n2,c.png,cat\n",
        "file, label\na.png, cat\nb.png, dog\nc.png, cat\n",
        "file,label\na,cat\nb,dog\nc,cat\n",
        "x,y2\na.png,cat\nb.png,dog\nc.png,cat\n",
        "file,label\n./a.png,cat\nb.png,dog\na.png,cat\nc.png,cat\n",
        "file,label,\na.png,cat\nb.png,dog,\nc.png,cat,,\n",
        '"file" "label"\n"a.png" "cat"\n"b.png" "dog"\n"c.png" "cat"\n',
    ],
    ids=[
        *("commas", "mark and CRLF", "tabs", "semicolons", "bars", "blanks", "no header"),
        *("quotes", "CR", "index", "blank after", "no ending", "unknown names", "twice"),
        *("comma at the end", "quoted blanks"),
    ],
)
def test_forms_of_one_table(tmp_path, text):
    if ",cat\nb.png,dog,\n" in text:
        text = text.replace("a.png,cat\n", "a.png,cat,\n")
    assert listed(table(tmp_path, text)) == ABC


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    text = "file,label\na.png,Kätzchen\nb.png,dog\n"
    path = table(tmp_path, text.encode(encoding))
    assert listed(path) == {"all": [("a.png", "Kätzchen"), ("b.png", "dog")]}


def test_json_lines(tmp_path):
    lines = [
        {"file_name": "a.png", "label": 10, "box": [1, 2]},
        {"label": 9, "file_name": "b.png", "box": None},
        {"file_name": "c.png", "label": 10, "box": {}},
    ]
    text = "\n\n".join(map(json.dumps, lines))
    path = table(tmp_path, text, "metadata.jsonl")
    assert listed(path) == {"all": [("a.png", "10"), ("b.png", "9"), ("c.png", "10")]}
    assert list_pictures(tmp_path, Request()).classes == ("9", "10")


def test_json_keeps_numbers_as_written(tmp_path):
    text = '{"file": "a.png", "label": 1.50}\n{"file": "b.png", "label": true}\n'
    assert listed(table(tmp_path, text, "x.jsonl")) == {
        "all": [("a.png", "1.50"), ("b.png", "true")]
    }


def test_numbers_of_classes_are_in_order_of_value(tmp_path):
    names = [f"{n}.png" for n in range(4)]
    path = table(tmp_path, "file,label\n0.png,10\n1.png,9\n2.png,-1\n3.png,10\n", files=names)
    found = list_pictures(path, Request())
    assert found.classes == ("-1", "9", "10")
    assert found.parts["all"].labels.tolist() == [2, 1, 0, 2]


def test_fractions_are_classes_as_written_in_order_of_value(tmp_path):
    text = "a.png 10.0 mono\nb.png 0.3333333333333333 poly\nc.png 9.5 mono\n"
    path = table(tmp_path, text)
    assert list_pictures(path, Request(label_column="2")).classes == (
        "0.3333333333333333",
        "9.5",
        "10.0",
    )
    assert list_pictures(path, Request(label_column="3")).classes == ("mono", "poly")


def test_many_fractions_are_no_classes(tmp_path):
    names = [f"{n}.png" for n in range(101)]
    text = "file,label\n" + "".join(f"{name},{n / 7}\n" for n, name in enumerate(names))
    path = table(tmp_path, text, files=names)
    with pytest.raises(DataError, match=r"labels.csv: the column 'label' has for 101 .* 101 diff"):
        list_pictures(path, Request())


def test_texts_that_hardly_come_twice_are_no_classes(tmp_path):
    text = "file,label\n" + "".join(f"a.png,caption {n}\n" for n in range(101))
    text = text.replace("a.png", "{}").format(*(f"{n}.png" for n in range(101)))
    path = table(tmp_path, text, files=[f"{n}.png" for n in range(101)])
    with pytest.raises(DataError, match="101 different labels, and each would be a class"):
        list_pictures(path, Request())


# Columns


def test_columns_by_name_number_or_nearly(tmp_path):
    text = "split,kind,where,other\nx,cat,a.png,1\nx,dog,b.png,2\nx,cat,c.png,1\n"
    path = table(tmp_path, text)
    assert listed(path, label_column="kind") == ABC
    assert listed(path, file_column="where", label_column="Kind") == ABC
    assert listed(path, file_column="3", label_column="2") == ABC


def test_several_columns_that_may_be_labels_are_said(tmp_path):
    path = table(tmp_path, "file,label,species\na.png,cat,x\nb.png,dog,y\nc.png,cat,x\n")
    found = list_pictures(path, Request())
    assert found.classes == ("cat", "dog")
    assert found.notes == (
        "Labels are those of the column 'label'; there is also species (--label-column).",
    )


@pytest.mark.parametrize(
    ("text", "request_", "message"),
    [
        ("a.png 1.0 mono\nb.png 0 poly\n", {}, "which column has the labels? It could be: 2 (1.0)"),
        ("x,y2,z\n1,2,3\n", {}, "which column has the names of files? It could be: x (1), y2 (2)"),
        ("file,label\na.png,cat\n", {"label_column": "lable"}, "Did you mean 'label'?"),
        ("file,label\na.png,cat\n", {"label_column": "3"}, "has no column '3'. There are: file, l"),
        ("file,label\na.png,cat\n", {"label_column": "0"}, "has no column '0'"),
        ("file,label\na.png,cat\n", {"file_column": "1", "label_column": "file"}, "cannot be both"),
        ("file,label\n", {}, "has no pictures: it has no rows"),
        ("file,label\na.png,\n", {}, "has no pictures: its rows have no labels"),
        ("", {}, "labels.csv is empty."),
        ("\n \n", {}, "labels.csv is empty."),
        ("a.png\nb.png\n", {}, "labels.csv is no table: columns must be parted by"),
    ],
)
def test_columns_that_cannot_be(tmp_path, text, request_, message):
    with pytest.raises(DataError) as raised:
        list_pictures(table(tmp_path, text), Request(**request_))
    assert message in str(raised.value)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n/\\"), max_size=8),
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=8),
        ),
        min_size=1,
        max_size=6,
    ),
    delimiter=st.sampled_from(",;\t|"),
    header=st.booleans(),
)
def test_what_csv_writes_is_read(tmp_path_factory, rows, delimiter, header):
    path = tmp_path_factory.mktemp("any") / "x.csv"
    rows = [(f"a{name}.png", label) for name, label in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        if header:
            writer.writerow(["file_name", "label"])
        writer.writerows(rows)
    found = DelimitedTable(path)
    expected = [[name.strip(), label.strip()] for name, label in rows]
    assert found.named == header
    assert [texts for _line, texts in found.rows([0, 1])] == expected


# Parts


def test_a_column_of_parts(tmp_path):
    text = "file,label,split\na.png,cat,train\nb.png,dog,Train\nc.png,cat,val\nd.png,dog,test\n"
    path = table(tmp_path, text, files=["a.png", "b.png", "c.png", "d.png"])
    assert listed(path) == {
        "train": [("a.png", "cat"), ("b.png", "dog")],
        "validation": [("c.png", "cat")],
        "test": [("d.png", "dog")],
    }


def test_folds_by_number_are_not_used_and_said(tmp_path):
    path = table(tmp_path, "file,label,fold\na.png,cat,1\nb.png,dog,2\nc.png,cat,3\n")
    found = list_pictures(path, Request())
    assert list(found.parts) == ["all"]
    assert "has other values ('1', '2', '3'), and is not used" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("train", "unlabeled", "test"), "in parts that are not known: 'unlabeled'"),
        (("val", "val", "test"), "has parts, but none is named train"),
    ],
)
def test_parts_that_cannot_be(tmp_path, values, message):
    text = "file,label,split\na.png,cat,{}\nb.png,cat,{}\nc.png,cat,{}\n".format(*values)
    with pytest.raises(DataError, match=message):
        list_pictures(table(tmp_path, text), Request())


def test_folders_of_parts_where_the_table_says_nothing(tmp_path):
    names = ["train/a.png", "train/b.png", "test/a.png"]
    path = table(tmp_path, "file,label\ntrain/a,x\ntrain/b,y\ntest/a,y\n", files=names)
    assert listed(path) == {
        "train": [("train/a.png", "x"), ("train/b.png", "y")],
        "test": [("test/a.png", "y")],
    }


def test_a_table_for_each_part(tmp_path):
    for part, name in (("train", "a"), ("validation", "b"), ("test", "a")):
        table(tmp_path / part, f"file_name,label\n{name}.png,x\n", "metadata.csv", [f"{name}.png"])
    assert listed(tmp_path) == {
        "train": [("train/a.png", "x")],
        "validation": [("validation/b.png", "x")],
        "test": [("test/a.png", "x")],
    }
    table(tmp_path / "val", "file_name,label\na.png,x\n", "metadata.csv", ["a.png"])
    with pytest.raises(DataError, match="two tables for the part validation: in val and valida"):
        list_pictures(tmp_path, Request())


# Which folders are tables


def kind_of(path):
    return list_pictures(path, Request()).kind


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "labels.csv", "labels.tsv"])
def test_a_folder_with_a_table_of_a_usual_name(tmp_path, name):
    json_form = '{"file": "a.png", "label": "cat"}\n'
    table(tmp_path, json_form if "jsonl" in name else "file,label\na.png,cat\n", name)
    assert kind_of(tmp_path) == "tables of files and labels"


def test_class_folders_with_a_stray_table_stay_class_folders(tmp_path):
    table(tmp_path, "epoch,loss\n1,2\n", "log.csv", ["cat/a.png", "dog/b.png"])
    assert kind_of(tmp_path) == "class folders"


def test_a_link_out_of_the_folder_is_no_table(tmp_path):
    outside = table(tmp_path / "outside", "file,label\na.png,cat\n")
    pictures(tmp_path / "data", "cat/a.png", "dog/b.png")
    (tmp_path / "data" / "labels.csv").symlink_to(outside)
    assert kind_of(tmp_path / "data") == "class folders"


# Rows


def test_rows_without_a_label_are_passed_over_and_said(tmp_path):
    path = table(tmp_path, "file,label\na.png,cat\nb.png,\nc.png,dog\n")
    found = list_pictures(path, Request())
    assert len(found.parts["all"]) == 2
    assert found.notes == ("Rows without a label are passed over: 1.",)


def test_one_file_with_two_labels(tmp_path):
    path = table(tmp_path, "file,label\na.png,cat\nb.png,dog\n./a.png,dog\n")
    with pytest.raises(DataError) as raised:
        list_pictures(path, Request())
    assert str(raised.value) == (
        "Files with two labels, where a picture has one class (1):\n"
        "  a.png is 'cat' and 'dog' (line 2 of labels.csv and line 4 of labels.csv)"
    )


def test_from_table_to_pixels(tmp_path):
    names = [f"{kind}{n}.png" for kind in "ab" for n in range(5)]
    text = "file,label\n" + "".join(f"{name},{name[0]}\n" for name in names)
    table(tmp_path, text, files=names)
    data = load_data(tmp_path)
    assert (len(data.train), len(data.validation), data.classes) == (8, 2, ("a", "b"))
    for part in (data.train, data.validation):
        levels = [10 * names.index(name) for name in part.names]
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], levels)
        np.testing.assert_array_equal(part.labels, [level >= 50 for level in levels])
