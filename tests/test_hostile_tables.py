"""Tables that are damaged, or name what they should not: one message, and nothing outside read."""

import os
import tracemalloc

import pytest
from PIL import Image

from neocog.data import load_data
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.data.sources.tables import rows
from neocog.data.sources.tables.delimited import DelimitedTable
from neocog.errors import DataError, NeocogError


def pictures(folder, *names):
    for level, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), level).save(path, "PNG")


def table(folder, text, name="labels.csv"):
    folder.mkdir(exist_ok=True)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    return folder / name


def refusal(path, **request):
    with pytest.raises(DataError) as raised:
        list_pictures(path, Request(**request))
    return str(raised.value)


# Text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,label\na.png,cat\nb.png\n",
            "labels.csv, line 3: its columns are 1, and those of the",
        ),
        ("file,label\n\na.png,cat,x\n", "labels.csv, line 3: its columns are 3, and those of the"),
        ('file,label\n"a\nb.png",cat\nc.png\n', "labels.csv, line 4: its columns are 1,"),
        ("file,label\n,cat\n", "labels.csv, line 2: it names no file."),
        ("file,label\na.png,c\0t\n", "labels.csv, line 2: it has a null character"),
        ("file,label\na.png," + "x" * 2**21, "line 2: it is longer than the 1,048,576 characters"),
        ("file,label\na.png," + "x" * 200_000, "labels.csv, line 2: a field of more than 131,072"),
        ('file,label\na.png,"cat\n' + "b.png,dog\n" * 20_000, "line 2: a field of more than 131"),
        (
            'file,label\na.png,"cat\n' + '","\n' * 2**19,
            "line 2: the record that begins there is longer than the 1,048,576 characters",
        ),
        ("file,label\na.png," + "x" * 1001, "line 2: the label 'xxx"),
        ('file,label\na.png,"a\nb"\n', r"line 2: the label 'a\nb' cannot be the name of a class"),
        (b"file,label\na.png,caf\xe9\n", r"the label 'caf\udce9' is not UTF-8: save the table as"),
        ("file,label\na.png,cat\n".encode("utf-16")[:-1], "line 2: it is not UTF-16, as the file"),
        (b"\xef\xbb\xbf", "labels.csv is empty."),
    ],
)
def test_damaged_text(tmp_path, text, message):
    assert message in refusal(table(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"file": "a.png", "label": [1]}', "line 2: 'label' is a list, where one text or number"),
        ('{"file": "a.png"}', "line 2: it has no 'label', which the first line has"),
        ('["a.png", "cat"]', 'it must be an object such as {"file_name": "a.png", "label": "cat"}'),
        ('{"file": "a.png", ', "line 2: it is no JSON: Expecting property name"),
        ("[" * 100_000, "line 2: it is no JSON: "),
        ('{"file": "a.png", "label": ' + "1" * 5000 + "}", "line 2: the label '1111"),
        ('{"file": "a.png", "label": "\\ud800"}', "line 2: the label '\\ud800' is not UTF-8"),
    ],
)
def test_damaged_json_lines(tmp_path, line, message):
    text = f'{{"file": "b.png", "label": "dog"}}\n{line}\n'
    assert message in refusal(table(tmp_path, text, "labels.jsonl"))


def test_many_rows_are_read_in_little_memory(tmp_path):
    path = table(tmp_path, "file,label\n" + "a.png,cat\n" * 50_000)
    tracemalloc.start()
    try:
        found = DelimitedTable(path)
        count = sum(1 for _row in found.rows([0, 1]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 2**20


def test_more_rows_than_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_STEP", 4)
    monkeypatch.setattr(rows, "MOST_ROWS", 8)
    pictures(tmp_path, *(f"{n}.png" for n in range(9)))
    lines = [f"{n}.png,{n % 2}\n" for n in range(9)]
    assert len(list_pictures(table(tmp_path, "".join(lines[:8])), Request()).parts["all"]) == 8
    message = refusal(table(tmp_path, "".join(lines)))
    assert message == "labels.csv has more than the 8 rows that are read."


def test_rows_need_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 2**20)
    with pytest.raises(
        NeocogError, match=r"labels.csv with its many rows needs 64.0 MiB of memory"
    ):
        list_pictures(table(tmp_path, "a.png,cat\n"), Request())


# Files


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/hostname", "is an absolute path; write it from the table's folder"),
        ("C:\\x\\a.png", "is an absolute path"),
        ("\\\\host\\a.png", "is an absolute path"),
        ("../outside/a.png", "leads upwards by '..'"),
        ("in/../a.png", "leads upwards by '..'"),
        ("in\\..\\..\\outside\\a.png", "leads upwards by '..'"),
        ("link.png", "is a link that leads out of the table's folder"),
        ("linked/a.png", "leads out of the table's folder by a link"),
        ("linked/a", "leads out of the table's folder by a link"),
        ("x" * 5000, "has 5,000 characters; a path has up to 4,096"),
        ("in/", "is the name of a folder"),
        ("twice", "may be twice.gif or twice.png; write the ending"),
    ],
)
def test_names_that_are_refused(tmp_path, name, reason):
    pictures(tmp_path / "outside", "a.png")
    root = tmp_path / "data"
    pictures(root, "a.png", "in/a.png", "twice.png", "twice.gif")
    (root / "link.png").symlink_to(tmp_path / "outside" / "a.png")
    (root / "linked").symlink_to(tmp_path / "outside")
    message = refusal(table(root, f"file,label\na.png,cat\n{name},dog\n"))
    assert message.startswith("labels.csv names files that cannot be taken (1):\n  ")
    assert f"(line 3 of labels.csv) {reason}" in message


def test_all_refused_names_are_said_at_once_and_few_are_shown(tmp_path):
    lines = "".join(f"/x{n}.png,cat\n" for n in range(30))
    message = refusal(table(tmp_path, "file,label\n" + lines))
    assert message.count("is an absolute path") == 8
    assert message.endswith("\n  and 22 more")


def test_links_within_the_folder_are_followed(tmp_path):
    pictures(tmp_path, "in/a.png")
    (tmp_path / "b.png").symlink_to("in/a.png")
    (tmp_path / "there").symlink_to("in")
    found = list_pictures(table(tmp_path, "file,label\nb.png,cat\nthere/a.png,dog\n"), Request())
    assert [found.parts["all"].read(n)[:4] for n in range(2)] == [b"\x89PNG"] * 2


def test_missing_files_are_bad_pictures(tmp_path):
    names = [f"{n}.png" for n in range(100)]
    pictures(tmp_path, *names[1:])
    (tmp_path / "0.png").symlink_to("nowhere.png")
    table(tmp_path, "file,label\n" + "".join(f"{name},x{n % 2}\n" for n, name in enumerate(names)))
    with pytest.raises(DataError) as raised:
        load_data(tmp_path)
    assert "1 of 100 pictures cannot be read." in str(raised.value)
    assert "  0.png is named in line 2 of labels.csv, and is not there." in str(raised.value)
    data = load_data(tmp_path, on_bad="skip")
    assert len(data.train) + len(data.validation) == 99
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError) as raised:
        load_data(tmp_path, on_bad="skip")
    assert "1.png is named in line 3" in str(raised.value)


def test_no_file_is_there(tmp_path):
    message = refusal(table(tmp_path, "file,label\na.png,cat\nb/c.png,dog\n"))
    assert message.startswith("None of the files that labels.csv names (2) is below ")
    assert message.endswith("mend the names.\n  a.png\n  b/c.png")


def test_names_alone_are_found_in_folders_below(tmp_path):
    pictures(tmp_path, "pictures/1/a.png", "pictures/2/b.png", "pictures/2/c.jpg")
    path = table(tmp_path, "id,breed\na,x\n2/b,y\nc.jpg,y\nd,y\n")
    found = list_pictures(path, Request())
    pictures_ = found.parts["all"]
    assert [pictures_.name(n) for n in range(4)] == [
        "pictures/1/a.png",
        "pictures/2/b.png",
        "pictures/2/c.jpg",
        "d",
    ]
    assert "names of files alone: the files of these names in folders below" in found.notes[0]
    pictures(tmp_path, "other/a.png")
    assert "a (line 2 of labels.csv) may be other/a.png or pictures/1/a.png" in refusal(path)


def test_paths_as_windows_writes_them(tmp_path):
    pictures(tmp_path, "in/a.png", "in/b\\c.png")
    found = list_pictures(table(tmp_path, "file,label\nin\\a.png,x\nin/b\\c.png,y\n"), Request())
    assert [found.parts["all"].name(n) for n in range(2)] == ["in/a.png", "in/b\\c.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    pictures(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    table(tmp_path, "file,label\na.png,x\npipe.png,y\n")
    with pytest.raises(DataError, match=r"pipe.png cannot be read: This is a pipe, a device or"):
        load_data(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="no kind of data that is known"):
        list_pictures(tmp_path / "pipe.csv", Request())


def test_names_that_are_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        pictures(tmp_path, name)
    except OSError:
        pytest.skip("this file system has only names in UTF-8")
    path = table(tmp_path, b"file,label\ncaf\xe9.png,x\n")
    found = list_pictures(path, Request())
    assert found.parts["all"].name(0) == name
    assert found.parts["all"].read(0)[:4] == b"\x89PNG"
