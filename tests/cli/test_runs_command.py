"""``neocog runs`` and ``neocog compare``: what they print of run folders."""

import json

import pytest


def write(here, name, accuracy=None, loss=1.0, status="finished", **settings):
    folder = here / "runs" / name
    folder.mkdir(parents=True)
    measured = None if accuracy is None else {"accuracy": accuracy, "loss": loss}
    info = {
        "status": status,
        "started": f"2026-11-{10 + len(name)}T08:00:00+00:00",
        "settings": settings,
        "timings": {"training_seconds": 10.0 * len(name)},
        "epochs": [{"loss": 0.5, "seconds": 1.0}],
        "test": measured,
    }
    (folder / "run.json").write_text(json.dumps(info))
    return folder


@pytest.fixture
def three(here, monkeypatch):
    """Three runs, which differ in two settings."""
    monkeypatch.setenv("COLUMNS", "80")
    same = {"model": "lenet", "schedule": None}
    write(here, "good", 0.9, 0.25, optimizer={"type": "sgd", "lr": 0.1}, nesterov=True, **same)
    write(here, "best!", 0.95, 0.5, optimizer={"type": "sgd", "lr": 0.05}, nesterov=False, **same)
    write(here, "cut", status="failed", optimizer={"type": "sgd", "lr": 9.0}, nesterov=True, **same)


def test_a_table_of_runs(command, three):
    code, out, err = command("runs")
    assert (code, err) == (0, "")
    assert out == (
        "run    status    accuracy    lr  nesterov  loss    time\n"
        "best!  finished    95.0 %  0.05        no   0.5  50.0 s\n"
        "good   finished    90.0 %   0.1       yes  0.25  40.0 s\n"
        "cut    failed           –     9       yes     –  30.0 s\n"
    )


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("accuracy", ["best!", "good", "cut"]),
        ("loss", ["good", "best!", "cut"]),
        ("time", ["cut", "good", "best!"]),
        ("started", ["best!", "good", "cut"]),
        ("name", ["best!", "cut", "good"]),
    ],
)
def test_the_order_of_the_table(command, three, sort, names):
    code, out, _err = command("runs", "--sort", sort)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == names


def test_runs_as_json(command, three):
    code, out, _err = command("runs", "runs", "--json")
    found = json.loads(out)
    assert code == 0
    assert [run["name"] for run in found] == ["best!", "good", "cut"]
    assert found[0]["settings"]["optimizer.lr"] == 0.05
    assert found[0]["results"] == {"test.accuracy": 0.95, "test.loss": 0.5, "train.loss": 0.5}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_the_terminal(command, here, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for number in range(6):
        name = f"simple-cnn-shapes-20261130-08584{number}-with-a-long-tail"
        values = {f"setting_{n}": number * n / 7 for n in range(1, 13)}
        write(here, name, number / 10, optimizer={"lr": number}, **values)
    for arguments in (["runs"], ["compare", *sorted((here / "runs").iterdir())]):
        code, out, _err = command(*arguments)
        assert code == 0
        longest = max(map(len, out.splitlines()))
        assert longest <= width, out
        # Whatever is cut of the names, they can be told apart.
        assert all(f"584{number}" in out for number in range(6)), out
    code, out, _err = command("runs")
    if width == 80:
        assert "These differ too: " in out
        assert " more. A wider window shows them, or --json." in " ".join(out.split())
    assert ("setting_12" in out.splitlines()[0]) == (width == 200)


def test_settings_without_room_that_tell_least_are_the_last(command, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for seed in range(2):
        write(here, f"run{seed}", 0.5, seed=seed, lr=seed / 10)
    out = command("runs")[1]
    assert out.splitlines()[0].split()[3:5] == ["lr", "seed"]


def test_one_run_differs_in_nothing(command, here):
    write(here, "only", 0.5, lr=0.1)
    out = command("runs")[1]
    assert out.splitlines()[0].split() == ["run", "status", "accuracy", "loss", "time"]


def test_no_runs(command, refused, here):
    assert "runs cannot be read: No such file or directory." in refused("runs")
    (here / "runs").mkdir()
    code, out, _err = command("runs")
    assert (code, out) == (0, "There are no runs in runs. Begin one: neocog train\n")
    assert command("runs", "--json")[1] == "[]\n"


def test_runs_side_by_side(command, three):
    code, out, err = command("compare", "runs/good", "runs/best!")
    assert (code, err) == (0, "")
    assert out == (
        "run                  good     best!\n"
        "status           finished  finished\n"
        "test accuracy      90.0 %    95.0 %\n"
        "test loss            0.25       0.5\n"
        "train loss            0.5       0.5\n"
        "epochs finished         1         1\n"
        "training time      40.0 s    50.0 s\n"
        "lr                    0.1      0.05\n"
        "nesterov              yes        no\n"
        "\n"
        "3 other settings: the same in all.\n"
    )


def test_intervals_of_accuracy(command, here):
    for name in ("a", "b"):
        folder = write(here, name, 0.5)
        info = json.loads((folder / "run.json").read_text())
        if name == "a":
            info["test"]["accuracy_interval"] = {"level": 0.95, "low": 0.4, "high": 0.625}
        (folder / "run.json").write_text(json.dumps(info))
    lines = command("compare", "runs/a", "runs/b")[1].splitlines()
    assert lines[2].split() == ["test", "accuracy", "50.0", "%", "50.0", "%"]
    assert lines[3].split() == ["95", "%", "interval", "40.0–62.5", "%", "–"]


def test_more_runs_than_fit_come_below_each_other(command, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folders = [write(here, f"run{number}", 0.5, lr=number) for number in range(5)]
    out = command("compare", *folders)[1]
    heads = [line.split() for line in out.splitlines() if line.startswith("run ")]
    assert heads == [["run", "run0", "run1", "run2"], ["run", "run3", "run4"]]


def test_comparing_as_json(command, three):
    found = json.loads(command("compare", "runs/good", "runs/cut", "--json")[1])
    assert found["differing"] == ["optimizer.lr"]
    assert [run["status"] for run in found["runs"]] == ["finished", "failed"]


def test_what_cannot_be_compared(refused, three):
    assert "at least two run folders" in refused("compare", "runs/good")
    assert "runs/none is no run folder: it has no run.json" in refused(
        "compare", "runs/good", "runs/none"
    )


def test_names_that_would_move_the_cursor(command, here):
    for number in range(2):
        write(here, f"run{number}\x1b[2J", 0.5, **{f"key\x1b[{number}m": "value\x1b[2J"})
    for arguments in (["runs"], ["compare", *(here / "runs").iterdir()]):
        code, out, _err = command(*arguments)
        assert code == 0
        assert "\x1b" not in out
        assert "run0\\x1b[2J" in out
