"""What a request to the explorer may hold, and pictures that are broken."""

import json

import pytest
from exploring import Page
from requests_by_hand import JSON, broken, error

# Fields


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request is not JSON"),
        (b"\xff", "The request is not JSON"),
        (b"[1]", "must be a JSON object"),
        (b"3", "must be a JSON object"),
        (b"[" * 100_000, "The request is not JSON"),
        (b'{"rate": NaN}', "NaN is not JSON"),
        (b'{"rate": 1' + b"0" * 5000 + b"}", "The request is not JSON"),
    ],
)
def test_what_is_no_object(page: Page, body, message):
    status, _, content = page.send("POST", "/api/training", body, JSON)
    assert status == 400
    assert message in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("/api/picture", {}, "Give either index or move."),
        ("/api/picture", {"index": 1, "move": "next"}, "Give either index or move."),
        ("/api/picture", {"file": "/etc/passwd"}, "no field 'file'. Known: index, move."),
        ("/api/picture", {"index": 20}, "index (=20) must be a test image, from 0 to 19."),
        ("/api/picture", {"index": -1}, "index (=-1) must be a whole number from 0 to"),
        ("/api/picture", {"index": 1.0}, "index (=1.0) must be a whole number"),
        ("/api/picture", {"index": True}, "index (=True) must be a whole number"),
        ("/api/picture", {"move": "up"}, "move (='up') must be one of: next, previous, random."),
        ("/api/picture", {"move": ["next"]}, "must be one of"),
        ("/api/label", {}, "Give a label"),
        ("/api/label", {"label": "house"}, "no class 'house'. Known: ring, disc,"),
        ("/api/label", {"label": 10}, "no class 10."),
        ("/api/label", {"label": -1}, "no class -1."),
        ("/api/label", {"label": True}, "no class True."),
        ("/api/label", {"label": ["ring"]}, "no class ['ring']."),
        ("/api/training", {"rate": -1}, "rate (=-1) must be a number from 0 to 10⁶."),
        ("/api/training", {"rate": "0.1"}, "rate (='0.1') must be a number"),
        ("/api/training", {"rate": None}, "rate (=null) must be a number"),
        ("/api/training", {"momentum": 1}, "momentum (=1) must be a number from 0 and below 1."),
        ("/api/training", {"batch_size": 0}, "batch_size (=0) must be a whole number"),
        ("/api/training", {"batch_size": 41}, "batch_size (=41) must be from 1 to 40."),
        ("/api/training", {"batch_size": 1025}, "must be a whole number from 1 to 1024."),
        ("/api/training", {"epochs": 3}, "no field 'epochs'"),
        ("/api/training/start", {"now": 1}, "no field 'now'. This request takes no fields."),
        ("/api/training/reset", {"seed": -1}, "seed (=-1) must be a whole number"),
        ("/api/training/reset", {"seed": 2**64}, "must be a whole number"),
        ("/api/kernel", {}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": []}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": 3}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": [[1, 2, 3], [4, 5]]}, "lists of equal length"),
        ("/api/kernel", {"kernel": [["a"]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[1e300]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[True]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[[[[1]]]]]}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": [1]}, "must be [3, rows, columns] or [rows, columns], not [1]"),
        ("/api/kernel", {"kernel": [[[1]], [[1]]]}, "not [2, 1, 1]"),
        ("/api/kernel", {"kernel": [[1, 2]]}, "1 × 2 numbers; both must be odd, at most 15."),
        ("/api/kernel", {"kernel": [[1]] * 17}, "17 × 1 numbers"),
        ("/api/kernel", {"kernel": [[1]], "bias": "x"}, "bias (='x') must be a number"),
        ("/api/weight", {}, "name (=null) must be a parameter's"),
        ("/api/weight", {"name": "conv1.weight", "index": 3}, "must be a list of whole numbers"),
        (
            "/api/weight",
            {"name": "conv1.bias", "index": [0]},
            "value (=null) must be a number",
        ),
        (
            "/api/weight",
            {"name": "conv9.bias", "index": [0], "value": 1},
            "no parameter 'conv9.bias'. Known: conv1.weight, conv1.bias, fc.weight, fc.bias.",
        ),
        (
            "/api/weight",
            {"name": "conv1.bias", "index": [16], "value": 1},
            "index (=[16]) must be a place in conv1.bias, [16].",
        ),
        ("/api/weight", {"name": "conv1.bias", "index": [-1], "value": 1}, "must be a place"),
        ("/api/weight", {"name": "conv1.bias", "index": [], "value": 1}, "must be a place"),
        ("/api/weight", {"name": "conv1.bias", "index": [1.0], "value": 1}, "whole numbers"),
        ("/api/weight", {"name": "conv1.bias", "index": [0], "value": 1e30}, "value (=1e+30)"),
    ],
)
def test_fields(page: Page, path, fields, message):
    assert message in page.refused(path, **fields)


def test_nothing_to_take_back(page: Page):
    assert page.refused("/api/weight/back", 409) == "There is no changed weight to undo."


def test_no_batch_yet(page: Page):
    status, found = error(page.send("GET", "/api/batch"))
    assert (status, found) == (409, "There is no batch yet: take a step first.")


# Pictures


@pytest.mark.parametrize("name", broken())
def test_broken_pictures(page: Page, name):
    content, message = broken()[name]
    status, found = page.upload(content)
    assert (status, list(found)) == (400, ["error"])
    assert message in found["error"]
    assert found["error"].startswith("The picture ")
    assert "\n" not in found["error"]
    assert "0x" not in found["error"]
