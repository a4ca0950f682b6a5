"""What a server says of pictures, in each form in which they come."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from served import base64_of, encoded, picture

JSON = "application/json"


def multipart(*files, boundary="xyz"):
    parts = b"".join(
        b"--xyz\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n" % (name, content)
        for name, content in files
    )
    return parts + f"--{boundary}--\r\n".encode()


FORM = "multipart/form-data; boundary=xyz"


@pytest.fixture(scope="module")
def predicted(model, tmp_path_factory):
    """What `neocog predict --json` writes for pictures."""
    from neocog.cli import main

    def run(*contents, options=()):
        folder = tmp_path_factory.mktemp("pictures")
        paths = [folder / f"{n}.png" for n in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        out = folder / "out.json"
        main(["predict", str(model), *map(str, paths), "--json", "-o", str(out), *options])
        return [{**one, "image": str(n)} for n, one in enumerate(json.loads(out.read_text()))]

    return run


def test_one_picture(server, predicted):
    content = picture(1)
    status, found, headers = server.send(body=content)
    assert (status, found) == (200, predicted(content))
    assert [one["label"] for one in found[0]["top"]] != []
    assert re.fullmatch("[0-9a-f]{12}", headers["neocog-model"])
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("size", [(32, 32), (300, 500)])
def test_formats_and_sizes(server, predicted, kind, size):
    content = picture(2, size, kind)
    assert server.send(body=content, kind="application/octet-stream")[1] == predicted(content)


def test_a_photograph(server, predicted):
    image = Image.fromarray(np.full((1500, 3000, 3), 90, np.uint8))
    content = encoded(image, "JPEG", progressive=True)
    assert server.send(body=content, kind="image/jpeg")[:2] == (200, predicted(content))


def test_several_in_a_form(server, predicted):
    contents = [picture(n) for n in range(5)]
    files = [
        (b'"image"; filename="%d.png"\r\nContent-Type: image/png' % n, content)
        for n, content in enumerate(contents)
    ]
    status, found, _ = server.send(body=multipart(*files), kind=FORM)
    assert status == 200
    assert [one.pop("image") for one in found] == [f"{n}.png" for n in range(5)]
    assert found == [{"top": one["top"]} for one in predicted(*contents)]


def test_base64(server, predicted):
    contents = [picture(n) for n in range(3)]
    body = json.dumps({"images": [base64_of(one) for one in contents]}).encode()
    assert server.send(body=body, kind=JSON)[:2] == (200, predicted(*contents))
    body = json.dumps({"image": f"data:image/png;base64,{base64_of(contents[0])}"}).encode()
    assert server.send(body=body, kind=JSON)[:2] == (200, predicted(contents[0]))


def test_many_pictures_are_as_each_alone(server):
    contents = [picture(n) for n in range(100)]
    body = json.dumps({"images": [base64_of(one) for one in contents]}).encode()
    together = server.send(body=body, kind=JSON)[1]
    alone = [server.send(body=one)[1][0] for one in contents[:10]]
    assert [one["top"] for one in together[:10]] == [one["top"] for one in alone]


def test_top_and_threshold(server, predicted):
    content = picture(4)
    assert server.send("/predict?top=1", content)[1] == predicted(content, options=("--top", "1"))
    found = server.send("/predict?top=99&threshold=0.999", content)[1]
    assert found == predicted(content, options=("--top", "99", "--threshold", "0.999"))
    assert found[0]["label"] is None
    assert found[0]["guess"] == found[0]["top"][0]["label"]
    assert len(found[0]["top"]) == 3


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("top=0", "top (=0) must be a whole number from 1."),
        ("top=x", "top (=x) must"),
        ("threshold=2", "threshold (=2.0) must be"),
        ("threshold=nan", "threshold"),
        ("threshold=", "threshold (=) must be a number from 0 to 1."),
        ("size=3", "There is no option 'size': top and threshold are."),
        ("top", "The query of the address is damaged."),
        ("&".join(["top=1"] * 9), "The query of the address is damaged."),
    ],
)
def test_queries_that_cannot_be(server, query, text):
    status, found, _ = server.send(f"/predict?{query}", picture())
    assert status == 400
    assert text in found["error"]


def test_a_bad_picture_among_others(server):
    texts = [base64_of(picture(1)), base64_of(b"no picture"), "???", base64_of(picture(2))]
    body = json.dumps({"images": texts}).encode()
    status, found, _ = server.send(body=body, kind=JSON)
    assert status == 200
    assert [sorted(one) for one in found] == [
        ["image", "top"],
        ["error", "image"],
        ["error", "image"],
        ["image", "top"],
    ]
    assert found[1]["error"] == "The picture is not an image that Pillow knows."
    assert found[2]["error"] == "The picture is not base64."


@pytest.mark.parametrize(
    ("body", "kind", "status", "text"),
    [
        (b"no picture", "image/png", 400, "The picture is not an image that Pillow knows."),
        (picture()[:200], "image/png", 400, "The picture cannot be decoded"),
        (b"", "image/png", 400, "There is no picture in the request"),
        (picture(), None, 415, "The content type must be image/"),
        (picture(), "text/plain", 415, "The content type must be image/"),
        (picture(), "application/x-www-form-urlencoded", 415, "The content type must be image/"),
        (b"{", JSON, 400, "The request is not JSON"),
        (b"\xff", JSON, 400, "The request is not JSON"),
        (b"[" * 900, JSON, 400, "The request is not JSON"),
        (b"[1, 2]", JSON, 400, "There is no picture in the request"),
        (b'{"images": 3}', JSON, 400, "There is no picture in the request"),
        (b'{"images": []}', JSON, 400, "There is no picture in the request"),
        (b'{"images": [null]}', JSON, 400, "There is no picture in the request"),
        (b'{"image": "", "images": []}', JSON, 400, "There is no picture in the request"),
        (b'{"image": "AAA"}', JSON, 400, "The picture is not base64."),
        (b'{"images": ["AAA", "A"]}', JSON, 400, "None of the 2 pictures can be read"),
        (b"[" * 100_000, JSON, 413, "There are too many pictures: at most 256"),
        (b"x", "multipart/form-data", 400, "does not say its boundary"),
        (b"x", FORM, 400, "The multipart request is damaged"),
        (b"--xyz\r\n\r\nabc", FORM, 400, "its last boundary is missing"),
        (multipart(*[(b'"a"', b"")] * 257), FORM, 413, "There are too many pictures: at most 256"),
        (multipart((b'"a"', b"x")), FORM, 400, "The picture is not an image that Pillow knows."),
    ],
)
def test_requests_that_cannot_be(server, body, kind, status, text):
    found = server.send(body=body, kind=kind, method="POST")
    assert found[0] == status, found
    assert text in found[1]["error"]


def test_paths_and_methods(server):
    assert server.send("/nothing")[0] == 404
    assert server.send("/predict")[0] == 405
    assert server.send("/healthz", b"x")[0] == 405
    assert "/openapi.json" in server.send("/nothing")[1]["error"]


def test_health(server):
    status, found, _ = server.send("/healthz")
    version = server.send(body=picture())[2]["neocog-model"]
    assert (status, found) == (200, {"status": "ok", "model": version, "classes": 3})


def test_metrics_count(server):
    before = server.metric('neocog_requests_total{status="200"}')
    pictures = server.metric("neocog_pictures_total")
    bad = server.metric('neocog_requests_total{status="400"}')
    for n in range(3):
        server.send(body=picture(n))
    server.send(body=b"x")
    # The two requests for metrics after `before` was read are counted too.
    assert server.metric("neocog_pictures_total") == pictures + 3
    assert server.metric('neocog_requests_total{status="400"}') == bad + 1
    assert server.metric('neocog_requests_total{status="200"}') == before + 3 + 5
    assert server.metric("neocog_batch_pictures_sum") >= 3


def test_the_page_runs_only_its_own(server):
    status, text, headers = server.send("/")
    assert status == 200
    assert "Try the model" in text
    assert not re.search(r'(src|href)="(https?:)?//', text)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy


def test_an_open_connection_is_used_again(server):
    import http.client

    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    for n in range(3):
        connection.request("POST", "/predict", picture(n), {"Content-Type": "image/png"})
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.getheader("connection") is None
        assert json.loads(reply.read())[0]["top"]
    connection.close()


def test_nothing_is_kept_of_a_picture(server):
    assert server.send(body=io.BytesIO(picture()).getvalue())[2]["cache-control"] == "no-store"
