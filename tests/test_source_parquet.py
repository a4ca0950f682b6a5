"""Parquet: pictures in a column of bytes, as Hugging Face has them, and tables of files."""

import io
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from neocog.data import load_data
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.data.sources.tables import parquet, parquet_store
from neocog.data.sources.tables.parquet import ParquetFile
from neocog.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(level):
    file = io.BytesIO()
    Image.new("L", (4, 4), level).save(file, "PNG")
    return file.getvalue()


def images(levels):
    return pa.array([{"bytes": png(n), "path": f"{n}.png"} for n in levels], IMAGE)


def write(path, columns, names=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(table, path, **options)
    return path


def listed(path, **request):
    """The classes, and for each part the levels of its pictures and the class numbers."""
    found = list_pictures(path, Request(**request))
    parts = {
        part: (
            [Image.open(io.BytesIO(some.read(n))).getpixel((0, 0)) for n in range(len(some))],
            some.labels.tolist(),
        )
        for part, some in found.parts.items()
    }
    return found.classes, parts


def refusal(path, **request):
    with pytest.raises(DataError) as raised:
        list_pictures(path, Request(**request))
    return str(raised.value)


# Pictures


def test_hugging_faces_form(tmp_path):
    names = ["dog", "cat"]
    for n, levels, labels in ((0, [1, 2], [1, 0]), (1, [3], [1])):
        columns = {"image": images(levels), "label": labels}
        write(tmp_path / "data" / f"train-0000{n}-of-00002.parquet", columns, names)
    columns = {"image": images([4, 5]), "label": [0, -1]}
    write(tmp_path / "data" / "test-00000-of-00001.parquet", columns, names)
    (tmp_path / "README.md").write_text("a card")
    found = list_pictures(tmp_path, Request())
    assert found.kind == "Parquet files with pictures"
    assert found.notes == ("Rows without a label are passed over: 1.",)
    assert found.parts["train"].name(2) == "data/train-00001-of-00002.parquet, row 0"
    assert listed(tmp_path) == (
        ("dog", "cat"),
        {"train": ([1, 2, 3], [1, 0, 1]), "test": ([4], [0])},
    )


@pytest.mark.parametrize(
    "names",
    [
        ("train.parquet", "validation.parquet"),
        ("train-00000-of-00001-abc.parquet", "val_0.parquet"),
        ("mnist/train-00000-of-00001.parquet", "mnist/valid-00000-of-00001.parquet"),
        ("train/0000.parquet", "validation/0000.parquet"),
    ],
)
def test_parts_by_names_of_files_and_folders(tmp_path, names):
    for n, name in enumerate(names):
        write(tmp_path / name, {"image": images([n]), "label": ["x"]})
    assert listed(tmp_path) == (("x",), {"train": ([0], [0]), "validation": ([1], [0])})


@pytest.mark.parametrize("names", [("0000", "0001"), ("extra", "train-0")])
def test_files_of_which_not_all_name_a_part_are_one(tmp_path, names):
    for n, name in enumerate(names):
        write(tmp_path / f"{name}.parquet", {"image": images([n]), "label": ["x"]})
    assert listed(tmp_path) == (("x",), {"all": ([0, 1], [0, 0])})


def test_a_column_of_parts(tmp_path):
    columns = {"image": images([1, 2]), "label": ["x", "x"], "split": ["train", "test"]}
    path = write(tmp_path / "any.parquet", columns)
    assert listed(path) == (("x",), {"train": ([1], [0]), "test": ([2], [0])})


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["b", "a", "b"]),
        pa.array(["b", "a", "b"]).dictionary_encode(),
        pa.array(["b", "a", "b"], pa.large_string()),
        pa.array([10, 9, 10], pa.uint8()),
        pa.array([1.5, 0.1, 1.5], pa.float32()),
        pa.array([True, False, True]),
    ],
    ids=lambda labels: str(labels.type),
)
def test_types_of_labels(tmp_path, labels):
    path = write(tmp_path / "x.parquet", {"img": [png(n) for n in range(3)], "species": labels})
    classes, parts = listed(path)
    assert parts == {"all": ([0, 1, 2], [1, 0, 1])}
    expected = {"bool": "false", "float": "0.1", "uint8": "9"}.get(str(labels.type), "a")
    assert classes[0] == expected


def test_columns_that_are_asked_for(tmp_path):
    columns = {"image": images([1]), "other": [png(2)], "label": ["x"], "more": ["y"]}
    path = write(tmp_path / "x.parquet", columns)
    assert listed(path, file_column="other", label_column="more") == (("y",), {"all": ([2], [0])})
    assert "column 'label' has the type" not in refusal(path, label_column="image")
    assert "has the type binary, where texts or numbers" in refusal(path, label_column="other")
    assert "has no column of pictures" in refusal(path, file_column="label")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_any_order_and_any_thread(tmp_path, monkeypatch, size):
    """Pieces of a few rows, of which hardly any is kept."""
    monkeypatch.setattr("neocog.data.sources.tables.parquet._PIECE", size * 70)
    monkeypatch.setattr(parquet_store, "_MOST_KEPT", 400)
    columns = {"image": images(range(200)), "label": [0] * 200}
    write(tmp_path / "x.parquet", columns, row_group_size=70, use_dictionary=False)
    some = list_pictures(tmp_path, Request()).parts["all"]
    wrong = []

    def read(seed):
        for n in np.random.default_rng(seed).integers(0, 200, 60).tolist():
            if some.read(n) != png(n) or some.store.size(n) != len(png(n)):
                wrong.append(n)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []
    kept = some.store._kept.values()
    assert len(kept) == 1 or sum(len(one) for piece in kept for one in piece) <= 400


def test_reading_in_order_reads_each_piece_once(tmp_path, monkeypatch):
    columns = {"image": images(range(200)), "label": [n % 2 for n in range(200)]}
    write(tmp_path / "x.parquet", columns, row_group_size=50, use_dictionary=False)
    monkeypatch.setattr("neocog.data.sources.tables.parquet._PIECE", 700)
    monkeypatch.setattr(parquet_store, "_MOST_KEPT", 1)
    some = list_pictures(tmp_path, Request()).parts["all"]
    opened = []
    original = ParquetFile.pictures
    monkeypatch.setattr(
        ParquetFile, "pictures", lambda *args: opened.append(args[1]) or original(*args)
    )
    assert [some.read(n) for n in range(200)] == [png(n) for n in range(200)]
    assert opened == [0, 1, 2, 3]
    names = [some.name(n) for n in range(200)]
    assert names == sorted(names)


def test_from_parquet_to_pixels(tmp_path):
    levels = range(0, 200, 2)
    path = write(
        tmp_path / "x.parquet", {"image": images(levels), "label": [n % 4 for n in levels]}
    )
    data = load_data(path)
    assert (len(data.train), len(data.validation), data.classes) == (80, 20, ("0", "2"))
    for part in (data.train, data.validation):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] % 4, 2 * part.labels)
    found = np.concatenate([data.train.images, data.validation.images])[:, 0, 0, 0]
    assert sorted(found) == list(levels)


def test_a_picture_without_bytes_is_a_bad_one(tmp_path):
    column = pa.array([{"bytes": png(1), "path": None}, {"bytes": None, "path": "/a.png"}], IMAGE)
    path = write(tmp_path / "x.parquet", {"image": column, "label": [0, 0]})
    with pytest.raises(DataError, match=r"x.parquet, row 1 has no bytes in the file"):
        load_data(path)


# Tables of files


def test_a_table_of_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(png(ord(name)))
    columns = {"file_name": ["a.png", "b"], "label": pa.array([1, 0]), "hash": [b"x", b"y"]}
    path = write(tmp_path / "metadata.parquet", columns, ["no", "yes"])
    for place in (tmp_path, path):
        assert list_pictures(place, Request()).kind == "tables of files and labels"
        assert listed(place) == (("no", "yes"), {"all": ([97, 98], [1, 0])})
    write(path, {"file_name": ["a.png", "b"], "label": [1, 2]}, ["no", "yes"])
    assert "metadata.parquet, row 2: the label '2' is not the number of a class, 0 to 1" in refusal(
        path
    )


def test_many_rows_of_a_table(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1))
    names = ["a.png", *(f"{n}.png" for n in range(40_000))]
    path = write(tmp_path / "x.parquet", {"file": names, "label": [n % 7 for n in range(40_001)]})
    some = list_pictures(path, Request()).parts["all"]
    assert [some.name(n) for n in (0, 1, 20_000, 40_000)] == [
        names[n] for n in (0, 1, 20_000, 40_000)
    ]
    assert some.labels.tolist() == [n % 7 for n in range(40_001)]


# Hostile files


def test_damaged_files(tmp_path):
    whole = write(
        tmp_path / "x.parquet", {"image": images(range(9)), "label": [0] * 9}
    ).read_bytes()
    for content, message in (
        (whole[:-1], "x.parquet is no Parquet file, or its end is missing."),
        (whole[:40], "is no Parquet file, or its end is missing."),
        (b"", "is no Parquet file, or its end is missing."),
        (b"PAR1PAR1", "is no Parquet file, or its end is missing."),
        (whole[:-8] + b"\xff\xff\xff\xffPAR1", "is damaged, or no Parquet file: it describes its"),
        (whole[:-8] + b"\x10\0\0\0PAR1", "is damaged, or no Parquet file: "),
        (whole[:-4] + b"PARE", "x.parquet is encrypted."),
        (bytes(len(whole) - 8) + b"\x80\0\0\0PAR1", "is damaged, or no Parquet file: "),
    ):
        path = tmp_path / "x.parquet"
        path.write_bytes(content)
        assert message in refusal(path)


def test_every_flipped_byte_of_the_description_gives_a_message_or_pictures(tmp_path):
    path = write(
        tmp_path / "x.parquet", {"image": images(range(3)), "label": [0, 1, 0]}, ["a", "b"]
    )
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - footer, len(whole), 13):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            some = list_pictures(path, Request()).parts["all"]
            for n in range(len(some)):
                some.read(n)
        except DataError:
            pass


def test_damaged_pictures_are_bad_ones(tmp_path):
    columns = {"image": images(range(9)), "label": [n % 2 for n in range(9)]}
    path = write(tmp_path / "x.parquet", columns, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    at = content.index(b"\x89PNG")
    content[at - 30 : at] = b"\xff" * 30
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x.parquet"):
        load_data(path)


def test_wrong_types(tmp_path):
    path = write(tmp_path / "train.parquet", {"image": [1, 2], "label": [0, 1]})
    assert "None of the files that train.parquet names (2)" in refusal(path)
    folder = write(tmp_path / "data" / "train-0.parquet", {"image": [[1]], "label": [0]}).parent
    message = refusal(folder)
    assert message.startswith("train-0.parquet has no column of pictures, whose type is binary or")
    assert "image (list<element: int64>), label (int64)" in message
    path = write(tmp_path / "l.parquet", {"image": images([1]), "label": [[1]]})
    assert "l.parquet: the column 'label' has the type list<element: int64>" in refusal(path)
    path = write(tmp_path / "m.parquet", {"image": images([1]), "a": [1], "b": [1]})
    assert "m.parquet: which column has the labels? It could be: a (1), b (1)" in refusal(path)
    path = write(tmp_path / "n.parquet", {"image": images([]), "label": pa.array([], pa.int64())})
    assert refusal(path) == "n has no pictures: there are no rows."


@pytest.mark.parametrize("text", [b"{", b"[" * 10**5, b'{"info": {"features": [1]}}', b"\xff"])
def test_odd_notes_of_hugging_face_are_not_used(tmp_path, text):
    table = pa.table({"image": images([1]), "label": [3]})
    pq.write_table(table.replace_schema_metadata({"huggingface": text}), tmp_path / "x.parquet")
    assert listed(tmp_path / "x.parquet")[0] == ("3",)


def test_a_picture_that_stands_in_many_rows_takes_its_memory_once(tmp_path):
    """1 MiB in the dictionary and 20,000 rows of it: 20 GiB, if all were unpacked."""
    big = png(7) + bytes(2**20)
    column = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(20_000, np.int32)), pa.array([big], pa.binary())
    )
    columns = {"image": column, "label": [0] * 20_000}
    path = tmp_path / "x.parquet"
    write(path, columns, dictionary_pagesize_limit=2**24, store_schema=False)
    some = list_pictures(path, Request()).parts["all"]
    assert some.read(99) == big
    assert len(big) < max(some.store._at_a_time) * len(big) <= 2**28


def test_a_text_that_stands_in_many_rows_takes_its_memory_once(tmp_path, monkeypatch):
    columns = {"image": [png(1)] * 2000, "label": ["x" * 20_000] * 2000}
    path = write(tmp_path / "x.parquet", columns, store_schema=False)
    sizes = []
    original = parquet._texts
    monkeypatch.setattr(
        parquet, "_texts", lambda cells: sizes.append(cells.nbytes) or original(cells)
    )
    assert "x.parquet, row 1: the label 'xxx" in refusal(path)
    assert sizes
    assert max(sizes) < 100_000


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.data.sources.tables.parquet._ALWAYS", 2**20)
    columns = {"image": [bytes(2**20) for _ in range(2)], "label": [0] * 2}
    path = tmp_path / "x.parquet"
    write(path, columns, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 2**12
    assert "its group 1 unpacks from" in refusal(path)
    monkeypatch.setattr("neocog.data.sources.tables.parquet._ALWAYS", 2**22)
    assert len(list_pictures(path, Request()).parts["all"].read(1)) == 2**20


def test_more_rows_than_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "x.parquet", {"image": images(range(9)), "label": [0] * 9})
    monkeypatch.setattr("neocog.data.sources.tables.parquet.MOST_ROWS", 8)
    assert refusal(path) == "x.parquet has more than the 8 rows that are read."


def test_links_out_of_the_folder_are_not_read(tmp_path):
    outside = write(tmp_path / "outside.parquet", {"image": images([1]), "label": ["x"]})
    folder = write(
        tmp_path / "data" / "train-0.parquet", {"image": images([2]), "label": ["x"]}
    ).parent
    (folder / "train-1.parquet").symlink_to(outside)
    assert listed(folder) == (("x",), {"all": ([2], [0])})


def test_without_pyarrow_one_message_says_what_to_install(tmp_path):
    path = write(tmp_path / "train.parquet", {"image": images([1]), "label": ["x"]})
    code = (
        "import sys\nsys.modules['pyarrow'] = None\n"
        "import neocog\n"
        "try:\n    neocog.load_data(sys.argv[1])\n"
        "except neocog.NeocogError as error:\n    print(error)\n"
    )
    for place in (path, tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True
        )
        assert done.stdout == (
            "train.parquet is a Parquet file, and reading it needs pyarrow: "
            "pip install 'neocog[parquet]'\n"
        )
