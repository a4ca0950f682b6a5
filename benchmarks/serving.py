"""Requests a second of ``neocog serve``, beside FastAPI with ONNX Runtime in the same run.

    python benchmarks/serving.py [--clients 64] [--seconds 5] [--rounds 3] [--workers 2] [--write]

Both serve resnet8 with the same weights for pictures of 32 × 32, by as many worker processes, each
with one thread for the network. One picture is a request, a PNG or JPEG as it is; clients keep
their connections and ask again once they have an answer. They run on the same cores as the server,
as one process that does little more than to send and receive. Turns alternate; what is given is the
median of the rounds. Both must give the same probabilities. It needs `pip install fastapi onnx
onnxruntime` beside PyTorch.
"""

import argparse
import io
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

import neocog
from neocog import models

sys.path.insert(0, str(Path(__file__).parent))

from tables import write_table

HEAD = (
    "| pictures | server | requests a second | median | 99 % | times FastAPI's |",
    "|---|---|---|---|---|---|",
)
# What a user of FastAPI would write who cares for speed: the session computes on one thread in the
# event loop, as handing so short a work to another thread takes longer.
FASTAPI = """
import io
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("model.onnx", options, ["CPUExecutionProvider"])
labels = [f"class{k}" for k in range(10)]
app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("RGB").resize((32, 32))
    x = (np.asarray(picture, np.float32) / 255 - 0.5) / 0.5
    (scores,) = session.run(None, {"x": x.transpose(2, 0, 1)[None]})
    e = np.exp(scores[0] - scores[0].max())
    p = e / e.sum()
    best = np.argsort(-p)[:3]
    return [{"image": "0", "top": [{"label": labels[k], "probability": float(p[k])} for k in best]}]
"""


def _prepare(folder):
    """The same network for both sides."""
    import torch

    from neocog.torch_engine.module import to_torch

    network = models.make("resnet8", 10, input_shape=(3, 32, 32))
    network.initialize(0)
    network.classes = tuple(f"class{k}" for k in range(10))
    network.save(folder / "model.safetensors")
    x = torch.zeros(1, 3, 32, 32)
    module = to_torch(network).eval()
    torch.onnx.export(
        module,
        (x,),
        folder / "model.onnx",
        input_names=["x"],
        output_names=["scores"],
        dynamo=False,
    )
    (folder / "fast.py").write_text(FASTAPI)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def _running(command, folder, port):
    package = str(Path(neocog.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            time.sleep(0.1)
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
        time.sleep(3)  # the other workers
        yield
    finally:
        process.terminate()
        process.wait(60)


def _servers(folder, workers, extra):
    port = _free_port()
    own = [sys.executable, "-m", "neocog", "serve", "model.safetensors", "--port", str(port)]
    yield "neocog serve", port, [*own, "--workers", str(workers), "--threads", "1", *extra]
    port = _free_port()
    fast = [sys.executable, "-m", "uvicorn", "fast:app", "--port", str(port), "--no-access-log"]
    yield "FastAPI, ONNX Runtime", port, [*fast, "--workers", str(workers), "--app-dir", "."]


def _pictures():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
    for kind in ("PNG", "JPEG"):
        file = io.BytesIO()
        picture.save(file, kind)
        yield kind, file.getvalue()


def _request(port, kind, content):
    head = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: image/{kind.lower()}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _answer_in(data):
    """The body of a complete answer; None if it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.index(b"content-length:") + 15
    length = int(head[at : (head.find(b"\r", at) + 1 or len(head) + 1) - 1])
    return data[end + 4 :] if len(data) >= end + 4 + length else None


def _ask(port, request, clients, seconds):
    """Ask for so long; gives the seconds of each request, how long all took, and one answer."""
    selector, began, got = selectors.DefaultSelector(), {}, {}
    for _ in range(clients):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)
        began[one], got[one] = time.perf_counter(), b""
        one.sendall(request)
    first, times, answer = time.perf_counter(), [], None
    while True:
        for key, _ in selector.select():
            one = key.fileobj
            got[one] += one.recv(65536)
            if (body := _answer_in(got[one])) is None:
                continue
            if not got[one].startswith(b"HTTP/1.1 200"):
                raise SystemExit(got[one].decode())
            now = time.perf_counter()
            times.append(now - began[one])
            answer, got[one], began[one] = body, b"", now
            one.sendall(request)
        if time.perf_counter() - first > seconds:
            break
    took = time.perf_counter() - first
    for one in began:
        one.close()
    selector.close()
    return times, took, json.loads(answer)


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("serve", nargs="*", help="further arguments of neocog serve, after --")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        for kind, content in _pictures():
            found, answers = {}, {}
            for _ in range(options.rounds):
                for server, port, command in _servers(folder, options.workers, options.serve):
                    with _running(command, folder, port):
                        request = _request(port, kind, content)
                        _ask(port, request, options.clients, 1.0)
                        times, took, answers[server] = _ask(
                            port, request, options.clients, options.seconds
                        )
                    rate = len(times) / took
                    half, late = np.quantile(times, (0.5, 0.99))
                    found.setdefault(server, []).append((rate, half, late))
            _check(*answers.values())
            (own, other) = found
            ratio = statistics.median(
                a[0] / b[0] for a, b in zip(found[own], found[other], strict=True)
            )
            for server, rounds in found.items():
                rate, half, late = (
                    statistics.median(column) for column in zip(*rounds, strict=True)
                )
                times = f"{ratio:.2f}" if server == own else ""
                rows.append(
                    f"| {kind} | {server} | {rate:,.0f} | {1000 * half:.1f} ms "
                    f"| {1000 * late:.1f} ms | {times} |"
                )
                print(rows[-1], flush=True)
    if options.write:
        write_table("docs/serving.md", "speed", "\n".join((*HEAD, *rows)))


def _check(ours, theirs):
    """Whether both sides computed the same."""
    for one, other in zip(ours[0]["top"], theirs[0]["top"], strict=True):
        assert one["label"] == other["label"], (ours, theirs)
        assert abs(one["probability"] - other["probability"]) < 1e-4, (ours, theirs)


if __name__ == "__main__":
    main()
