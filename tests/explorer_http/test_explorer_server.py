"""The server: files that cannot be written, readers that leave, ports in use."""

import errno
import os
import queue
import socket
import struct
import time

import pytest
from exploring import PATIENCE, Page
from requests_by_hand import error, request_head, wait_until

from neocog.errors import NeocogError
from neocog.http.counts import Counts
from neocog.web import Server

# Failures


@pytest.mark.parametrize(
    ("number", "status", "why"),
    [
        (errno.ENOSPC, 507, "No space left on device"),
        (errno.EACCES, 500, "Permission denied"),
        (errno.EPIPE, 500, "Broken pipe"),
    ],
)
def test_a_file_that_cannot_be_written_is_no_lost_connection(
    page: Page, monkeypatch, number, status, why
):
    def save_model(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("neocog.web.model_file.save_model", save_model)
    assert error(page.send("GET", "/api/model.safetensors")) == (status, f"That failed: {why}.")


def test_who_leaves_is_not_answered(page: Page, monkeypatch, capfd):
    """Neither in the midst of what is sent, nor of a stream."""
    refused, connections = [], queue.SimpleQueue()
    monkeypatch.setattr("neocog.http.front.tell", lambda *what: refused.append(what))
    monkeypatch.setattr(Counts, "set", lambda _self, _name, value: connections.put(value))
    reset = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # what is closed is reset
    stream = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n".encode()
    for start in (request_head(page, "/api/upload", "Content-Length: 9") + b"\x89PNG", stream):
        with socket.create_connection((page.host, page.port), PATIENCE) as connection:
            connection.sendall(start)
            time.sleep(0.2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        while connections.get(timeout=PATIENCE):
            pass
    wait_until(lambda: page.session.events.listeners == 0)
    assert page.state()["version"] == 1
    assert refused == []
    assert capfd.readouterr().err == ""


# The server


def test_a_port_in_use():
    server = Server("127.0.0.1", 0)
    try:
        with pytest.raises(NeocogError, match=r"Port \d+ of 127.0.0.1 is in use.*--port 0"):
            Server("127.0.0.1", server.port)
    finally:
        server.close()


def test_an_address_that_is_not_here():
    with pytest.raises(NeocogError, match=r"neocog cannot listen on 192\.0\.2\.1:8421"):
        Server("192.0.2.1")
    with pytest.raises(NeocogError, match=r"--port \(=70000\) must be from 0 to 65535"):
        Server("127.0.0.1", 70_000)
