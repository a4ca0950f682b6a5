"""Cards of models: what they say, where it comes from, and that no text escapes its place."""

import json
from math import prod

import pytest
from graph_networks import three_lanes
from markdown_it import MarkdownIt

import neocog
from neocog.formats.model_card import model_card

RUN = {
    "status": "finished",
    "process": {"pid": 77123, "host": "secret-host"},
    "started": "2026-11-30T19:25:22+00:00",
    "data": {"name": "drawings", "source": "/home/jo/secret/drawings", "options": {}},
    "settings": {
        "recipe": "standard",
        "epochs": 7,
        "batch_size": 32,
        "optimizer": {"type": "sgd", "lr": 0.02, "nesterov": True, "groups": []},
        "schedule": {"type": "cosine"},
    },
    "machine": {"processor": "A Processor", "cores": 2},
    "versions": {"python": "3.12.1", "numpy": "2.0"},
    "timings": {"training_seconds": 754.2},
    "steps": 4321,
    "test": {
        "accuracy": 0.91234,
        "accuracy_interval": {"level": 0.95, "low": 0.9, "high": 0.92},
        "count": 1500,
        "macro": {"f1": 0.9},
        "calibration": {"ece": 0.0261},
        "loss": 0.2639,
    },
}
HOSTILE = (
    "a | b",
    "**bold** _it_ [here](http://evil.example) ![x](http://evil.example/a.png)",
    "<script>alert(1)</script> <!-- &lt; &#60;",
    "http://evil.example/auto www.evil.example <http://evil.example>",
    "`code` ``` \\` \\| |",
    "--- # title",
    ": }{ ][ \"quoted\" 'too' \\",
    " ",
)


def carded(classes=("a", "b", "c", "d"), run=RUN, name="my model", **about):
    net = three_lanes()
    net.classes = classes
    net.initialize(0)
    for key, value in about.items():
        setattr(net, key, value)
    return model_card(net.parts(), name, "lanes", run)


def head_of(card):
    """The head, whose values are JSON, and what is below."""
    _, head, body = card.split("---\n", 2)
    lines = dict(line.split(": ", 1) for line in head.splitlines())
    return {key: json.loads(value) for key, value in lines.items()}, body


def cells_of(body):
    """The texts of all cells of tables, row by row, as a reader of GitHub's Markdown sees them."""
    rows, row = [], None
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(body):
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            rows.append(tuple(row))
        elif token.type == "inline" and row is not None:
            row.append("".join(one.content for one in token.children))
    return rows


def facts_of(body):
    return {row[0]: row[1] for row in cells_of(body) if len(row) == 2}


def test_the_head_is_what_the_hub_looks_for():
    head, _ = head_of(carded())
    assert head["library_name"] == "neocog"
    assert head["pipeline_tag"] == "image-classification"
    assert "license" not in head  # nobody knows it
    (entry,) = head["model-index"]
    assert entry["name"] == "my model"
    (result,) = entry["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {"name": "drawings", "type": "drawings", "split": "test"}
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", 0.91234)


def test_the_hubs_own_library_reads_it():
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(carded(name='it\'s: "quoted" \U0001f600 \ufffe # {'))
    assert card.data.library_name == "neocog"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.91234)
    assert (result.dataset_name, result.dataset_split) == ("drawings", "test")
    assert card.data.model_name == 'it\'s: "quoted" \U0001f600 ? # {'


def test_the_figures_are_the_runs():
    rows = cells_of(head_of(carded())[1])
    (result,) = (row for row in rows if len(row) == 7 and "drawings" in row[0])
    assert result == (
        "test pictures of drawings", "1,500", "91.23 %", "90.00 to 92.00 %", "90.00 %", "2.61 %",
        "0.2639",
    )  # fmt: skip
    facts = facts_of(head_of(carded())[1])
    assert facts["epochs"] == "7"
    assert facts["optimizer"] == "sgd lr=0.02"
    assert facts["time"] == "12 min 34 s"
    assert facts["steps"] == "4321"
    assert facts["processor"] == "A Processor"
    assert facts["versions"] == "python 3.12.1, numpy 2.0"


def test_the_network_is_described():
    facts = facts_of(head_of(carded(temperature=1.75, threshold=0.6))[1])
    shapes = three_lanes().parameter_shapes.values()
    assert facts["parameters"] == f"{sum(map(prod, shapes)):,}"
    assert facts["design"] == "lanes"
    assert (facts["temperature"], facts["threshold"]) == ("1.75", "0.6")
    assert "mean (0.5, 0.5, 0.5)" in facts["input"]


def test_nothing_of_this_machine_is_told():
    card = carded()
    for secret in ("secret", "77123", "/home"):
        assert secret not in card


def test_without_a_run_nothing_is_made_up():
    head, body = head_of(carded(run=None))
    assert "model-index" not in head
    assert "metrics" not in head
    assert "Nothing is known of an evaluation." in body
    assert "## Training" not in body


@pytest.mark.parametrize(
    ("loss", "tag", "text"),
    [
        ("binary-cross-entropy", "image-classification", "which of 4 labels apply"),
        ("mse", None, "4 numbers"),
    ],
)
def test_other_answers(loss, tag, text):
    head, body = head_of(carded(loss=loss))
    assert head.get("pipeline_tag") == tag
    assert text in body


@pytest.mark.parametrize("names", [HOSTILE[:4], HOSTILE[4:]])
def test_no_text_escapes_its_place(names):
    evil = names[1]
    run = {**RUN, "data": {"name": evil}, "settings": {"recipe": evil, "epochs": "\n\n# x"}}
    head, body = head_of(carded(names, run, name=names[0]))
    assert head["model-index"][0]["name"] == names[0]
    assert head["model-index"][0]["results"][0]["dataset"]["name"] == evil
    listed = [row[1] for row in cells_of(body) if row[0].isdecimal()]
    assert listed == [name if name.strip() else "(empty)" for name in names]
    assert facts_of(body)["recipe"] == evil
    md = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")
    kinds = set()
    for token in md.parse(body):
        kinds |= {token.type, *(one.type for one in token.children or ())}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "strong_open"}
    titles = [line for line in body.splitlines() if line.startswith("#")]
    assert len(titles) == 6


@pytest.mark.parametrize(
    "run",
    [
        {"test": 3, "settings": "x", "data": [], "machine": None, "timings": 1, "versions": 2},
        {"test": {"accuracy": "high", "accuracy_interval": 3, "count": float("nan")}},
        {"test": {"accuracy": 10**400, "count": 2**70}, "steps": {}, "started": ["x"]},
        {"data": {"name": 7}, "settings": {"optimizer": {"type": [], "lr": {}}}},
    ],
)
def test_records_of_anybody_are_taken_as_far_as_they_make_sense(run):
    head, body = head_of(carded(run=run))
    assert "model-index" not in head
    assert "## Network" in body


def test_many_classes_are_not_all_listed():
    net = neocog.models.simple_cnn(300)
    net.initialize(0)
    net.classes = tuple(f"class {n}" for n in range(300))
    body = head_of(model_card(net.parts(), "x"))[1]
    assert len([row for row in cells_of(body) if row[0].isdecimal()]) == 200
    assert "And 100 more" in body
