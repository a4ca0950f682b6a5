"""A model that changes on disk, and what cannot be served."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from served import picture, serving, small_network, wait_until

from neocog import models
from neocog.cli import main
from neocog.layers import Conv2d
from neocog.network import Network


def replace(path, network):
    """As `save` does it, with a time of its own for file systems with coarse times."""
    network.save(path)
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def test_a_model_is_replaced_without_losing_a_request(tmp_path):
    path, body = tmp_path / "model.safetensors", picture(1)
    image = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), np.uint8)
    networks = [small_network(seed) for seed in range(3)]
    networks[2] = small_network(2, ("one", "two", "three", "four"))
    networks[0].save(path)
    wanted = [
        sorted(float(p) for p in one.predict_proba(np.concatenate([image, image]))[0])
        for one in networks
    ]
    with serving(path, tmp_path) as server:
        versions, end, lost = {}, threading.Event(), []

        def client():
            while not end.is_set():
                status, found, headers = server.send("/predict?top=9", body)
                if status != 200:
                    lost.append(found)
                numbers = sorted(one["probability"] for one in found[0]["top"])
                versions[headers["neocog-model"]] = numbers

        threads = [threading.Thread(target=client) for _ in range(4)]
        for one in threads:
            one.start()
        for count, network in enumerate(networks[1:], 2):
            wait_until(lambda count=count: len(versions) == count - 1)
            replace(path, network)
            wait_until(lambda count=count: len(versions) == count)
        end.set()
        for one in threads:
            one.join()
        assert not lost
        # Each answer is of one of the models, and none of a mixture.
        assert list(versions.values()) == wanted
        assert server.metric("neocog_replaced_total") == 2
        assert server.send("/healthz")[1]["classes"] == 4


def test_a_bad_model_is_refused_and_the_old_one_stays(tmp_path):
    path = tmp_path / "model.safetensors"
    small_network().save(path)
    with serving(path, tmp_path) as server:
        before = server.send(body=picture())[1:]
        broken = small_network(1)
        state = broken.state_dict()
        state[next(iter(state))][:] = np.nan
        broken.load_state_dict(state)
        for number, change in enumerate(
            (
                lambda: path.write_bytes(path.read_bytes()[:1000]),
                lambda: replace(path, broken),
                lambda: path.write_bytes(b"no model"),
            ),
            1,
        ):
            change()
            wait_until(lambda n=number: server.metric("neocog_refused_total") == n)
            after = server.send(body=picture())[1:]
            assert after[0] == before[0]
            assert after[1]["neocog-model"] == before[1]["neocog-model"]
        path.unlink()
        time.sleep(1.2)
        assert server.send(body=picture())[0] == 200
        said = server.log.read_text()
        assert said.count("The changed model is refused, and the old one stays") == 3
        assert "NaN or infinite" in said
        replace(path, small_network(2))
        wait_until(lambda: server.metric("neocog_replaced_total") == 1)


def test_a_worker_that_dies_is_replaced(model, tmp_path):
    with serving(model, tmp_path, workers=2) as server:
        wait_until(lambda: len(server.workers()) == 2)
        first = server.workers()
        os.kill(first[0], 9)
        wait_until(lambda: len(set(server.workers()) - set(first)) == 1)
        assert server.send(body=picture())[0] == 200
        assert "Worker" in server.log.read_text()


def test_workers_end_with_their_supervisor(model, tmp_path):
    with serving(model, tmp_path) as server:
        (worker,) = server.workers()
        server.process.kill()
        server.process.wait()
        wait_until(lambda: _has_ended(worker))


def _has_ended(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def refused(capsys, *arguments):
    assert main(["serve", *map(str, arguments)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_what_cannot_be_served(capsys, model, tmp_path):
    nothing = tmp_path / "no.safetensors"
    assert f"{nothing}: there is no such file." in refused(capsys, nothing, "--port", "0")
    for network, text in (
        (Network(input_shape=(3, 8, 8), conv=Conv2d(3, 4, 3)), "ends in the shape (4, 6, 6)"),
        (models.make("lenet5", 3, input_shape=(4, 32, 32)), "takes 4 channels"),
    ):
        network.initialize(0)
        path = tmp_path / "model.safetensors"
        network.save(path)
        assert text in refused(capsys, path, "--port", "0")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--port", "70000"), "--port (=70000) must be from 0 to 65535."),
        (("--workers", "0"), "--workers (=0)"),
        (("--threads", "0"), "threads"),
        (("--batch", "0"), "--batch (=0)"),
        (("--batch-wait", "-1"), "--batch-wait (=-1.0)"),
        (("--most-body", "-1"), "body (=-1)"),
        (("--host", "192.0.2.1"), "neocog cannot listen on 192.0.2.1:"),
    ],
)
def test_options_that_cannot_be(capsys, model, options, text):
    assert text in refused(capsys, model, *options)


def test_a_port_in_use(capsys, model):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(capsys, model, "--port", port)
    assert f"Port {port} of 127.0.0.1 is in use" in said
