"""Requests a second of ``neocog serve``, beside FastAPI with ONNX Runtime in the same run.

    python benchmarks/serving.py [--clients 64] [--seconds 5] [--rounds 5] [--workers 2] [--write]

Both serve resnet8 with the same weights for pictures of 32 × 32, by as many worker processes, each
with one thread for the network; both servers run all the time, and are asked in turns. One picture
is a request, a PNG or JPEG as it is. Each client has a picture of its own, keeps its connection,
and asks again once it has an answer. The clients are one process on the same cores that does little
more than to receive and send; what it takes is given. Each picture must get the same probabilities
from both. uvicorn takes uvloop for both if that is installed.

It needs `pip install fastapi onnxruntime`. Run it on two cores: `taskset -c 0,1 python …`.
"""

import argparse
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

import neocog
from neocog import models
from neocog.exporting import export

sys.path.insert(0, str(Path(__file__).parent))

from serving_clients import Clients
from tables import write_table

HEAD = (
    "| pictures | server | requests a second | median | 99 % | CPU of a request "
    "| times FastAPI's (each round) |",
    "|---|---|---|---|---|---|---|",
)
OWN, FAST = "neocog serve", "FastAPI, ONNX Runtime"
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
name = session.get_inputs()[0].name
labels = [f"class{k}" for k in range(10)]
app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("RGB").resize((32, 32))
    x = (np.asarray(picture, np.float32) / 255 - 0.5) / 0.5
    (scores,) = session.run(None, {name: x.transpose(2, 0, 1)[None]})
    e = np.exp(scores[0] - scores[0].max())
    p = e / e.sum()
    best = np.argsort(-p)[:3]
    return [{"image": "0", "top": [{"label": labels[k], "probability": float(p[k])} for k in best]}]
"""


def _prepare(folder):
    """The same network for both sides."""
    network = models.make("resnet8", 10, input_shape=(3, 32, 32))
    network.initialize(0)
    network.classes = tuple(f"class{k}" for k in range(10))
    network.save(folder / "model.safetensors")
    export(network, folder / "model.onnx", pictures=False, softmax=False)
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
        for _ in range(1200):
            time.sleep(0.1)
            if process.poll() is not None:
                raise SystemExit(f"It does not start: {' '.join(command)}")
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def _servers(workers, extra):
    port = _free_port()
    own = [sys.executable, "-m", "neocog", "serve", "model.safetensors", "--port", str(port)]
    yield OWN, port, [*own, "--workers", str(workers), "--threads", "1", *extra]
    port = _free_port()
    fast = [sys.executable, "-m", "uvicorn", "fast:app", "--port", str(port), "--no-access-log"]
    yield FAST, port, [*fast, "--workers", str(workers), "--app-dir", "."]


def _pictures(kind, count):
    """Files of smooth noise."""
    random = np.random.default_rng(0)
    for _ in range(count):
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        picture.save(file, kind)
        yield file.getvalue()


def _request(port, kind, content):
    head = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: image/{kind.lower()}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _cpu(pid):
    """Seconds of CPU that a process and those below it have taken; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(_cpu, children))


def _check(ours, theirs):
    """Whether both sides computed the same of each picture."""
    for a, b in zip(ours, theirs, strict=True):
        for one, other in zip(a[0]["top"], b[0]["top"], strict=True):
            assert one["label"] == other["label"], (a, b)
            assert abs(one["probability"] - other["probability"]) < 1e-4, (a, b)


def _measure(kind, servers, options):
    """Per server: requests a second, quantiles and CPU seconds of a request, of each round."""
    pictures = list(_pictures(kind, options.clients))
    found, answers = {name: [] for name in servers}, {}
    clients = {
        name: Clients(port, [_request(port, kind, one) for one in pictures])
        for name, (port, _pid) in servers.items()
    }
    for name, one in clients.items():
        one.ask(1.0)  # every worker has then answered
        answers[name] = one.answers()
    _check(answers[OWN], answers[FAST])
    spent = 0.0
    for number in range(options.rounds):
        for name in list(servers)[:: 1 if number % 2 else -1]:
            before = _cpu(servers[name][1])
            times, took, own = clients[name].ask(options.seconds)
            spent += own / len(times) / options.rounds / len(servers)
            cpu = (_cpu(servers[name][1]) - before) / len(times)
            found[name].append((len(times) / took, *np.quantile(times, (0.5, 0.99)), cpu))
    for name, one in clients.items():
        assert one.answers() == answers[name]
    return found, spent


def _rows(kind, found):
    ratios = [a[0] / b[0] for a, b in zip(found[OWN], found[FAST], strict=True)]
    times = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"
    for name, rounds in found.items():
        rate, half, late, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        yield (
            f"| {kind} | {name} | {rate:,.0f} | {1000 * half:.1f} ms | {1000 * late:.1f} ms "
            f"| {1000 * cpu:.2f} ms | {times if name == OWN else ''} |"
        )


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("serve", nargs="*", help="further arguments of neocog serve, after --")
    options = parser.parse_args()
    rows = list(HEAD)
    print(*rows, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _prepare(folder)
        servers = {
            server: (port, stack.enter_context(_running(command, folder, port)))
            for server, port, command in _servers(options.workers, options.serve)
        }
        time.sleep(5)  # the other workers
        for kind in ("PNG", "JPEG"):
            found, spent = _measure(kind, servers, options)
            rows += _rows(kind, found)
            print(*rows[-2:], sep="\n", flush=True)
            print(f"  the clients took {1e6 * spent:.0f} µs of CPU for a request", file=sys.stderr)
    loop = "with" if find_spec("uvloop") else "without"
    fast = "with" if find_spec("simplejpeg") else "without"
    said = f"\n{options.rounds} rounds of {options.seconds:g} s, {loop} uvloop, {fast} simplejpeg."
    print(said)
    if options.write:
        write_table("docs/serving.md", "speed", "\n".join((*rows, said)))


if __name__ == "__main__":
    main()
