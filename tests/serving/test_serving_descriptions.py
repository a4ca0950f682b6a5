"""What programs read about a server: its metrics and its description, by their own checkers."""

import json
import re

import pytest
from served import base64_of, picture

import neocog


@pytest.fixture(scope="module")
def asked(server):
    """A server that has answered something of everything."""
    for n in range(5):
        server.send(body=picture(n))
    server.send(body=b"x")
    server.send("/nothing")
    return server


def test_every_line_of_metrics_is_in_the_format(asked):
    status, text, headers = asked.send("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert text.endswith("\n")
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+')
    about = re.compile(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))")
    lines = text.splitlines()
    assert all((about if line[0] == "#" else sample).fullmatch(line) for line in lines), lines
    names = [line.split()[0] for line in lines if line[0] != "#"]
    assert len(names) == len(set(names))


def test_prometheus_reads_the_metrics(asked):
    parser = pytest.importorskip("prometheus_client.parser")
    text = asked.send("/metrics")[1]
    families = {one.name: one for one in parser.text_string_to_metric_families(text)}
    assert all(one.documentation and one.samples for one in families.values())
    kinds = {name: one.type for name, one in families.items()}
    assert kinds["neocog_requests"] == "counter"
    assert kinds["neocog_connections"] == "gauge"
    assert "unknown" not in kinds.values()
    requests = {s.labels["status"]: s.value for s in families["neocog_requests"].samples}
    assert requests["200"] >= 5
    assert requests["400"] >= 1
    assert requests["404"] >= 1
    for name in ("neocog_request_seconds", "neocog_batch_pictures"):
        one = families[name]
        assert one.type == "histogram"
        buckets = [(s.labels["le"], s.value) for s in one.samples if s.name == f"{name}_bucket"]
        bounds = [float(bound) for bound, _ in buckets]
        counts = [count for _, count in buckets]
        assert bounds == sorted(bounds)
        assert bounds[-1] == float("inf")
        assert counts == sorted(counts)
        rest = {s.name: s.value for s in one.samples if s.name != f"{name}_bucket"}
        assert rest[f"{name}_count"] == counts[-1]
        assert rest[f"{name}_sum"] > 0
    seconds = families["neocog_request_seconds"].samples
    assert sum(requests.values()) == max(s.value for s in seconds if s.name.endswith("_count"))


def test_the_description_has_every_path(asked):
    status, found, _ = asked.send("/openapi.json")
    assert status == 200
    assert found["openapi"] == "3.1.0"
    assert found["info"]["version"] == neocog.__version__
    assert sorted(found["paths"]) == ["/healthz", "/metrics", "/predict"]


def test_the_description_is_valid(asked):
    checker = pytest.importorskip("openapi_spec_validator")
    checker.validate(asked.send("/openapi.json")[1])


def requests():
    """Every status of the description that a client can bring about alone."""
    yield "/predict?threshold=0.5", picture(), {}, 200
    yield "/predict", b"x", {}, 400
    yield "/predict", picture(), {"Host": "elsewhere"}, 403
    yield "/predict", b"x" * (20 * 2**20 + 1), {}, 413
    yield "/predict", picture(), {"Content_Type": "text/plain"}, 415
    yield "/healthz", None, {}, 200


@pytest.mark.parametrize(("path", "body", "headers", "wanted"), list(requests()))
def test_answers_are_as_described(asked, path, body, headers, wanted):
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    description = asked.send("/openapi.json")[1]
    kind = headers.pop("Content_Type", "image/png")
    status, found, _ = asked.send(path, body, kind, **headers)
    assert status == wanted
    operation = description["paths"][path.partition("?")[0]]["get" if body is None else "post"]
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    checked = validator({**schema, "components": description["components"]})
    assert list(checked.iter_errors(found)) == []
    assert list(checked.iter_errors({"wrong": 1})) != []


def test_requests_in_json_are_as_described(asked):
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    description = asked.send("/openapi.json")[1]
    content = description["paths"]["/predict"]["post"]["requestBody"]["content"]
    checked = validator(content["application/json"]["schema"])
    text = base64_of(picture())
    for value in ({"image": text}, {"images": [text, text]}, {}, [text], {"images": 3}):
        status = asked.send(body=json.dumps(value).encode(), kind="application/json")[0]
        assert checked.is_valid(value) == (status == 200)
