"""A server whose socket belongs to somebody else, such as systemd."""

import socket
from pathlib import Path

import pytest
from served import picture, read_reply, serving, wait_until


@pytest.mark.thorough
def test_a_restart_loses_no_connection(model, tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        with serving(model, tmp_path, listener, workers=2) as server:
            assert server.port == port
            wait_until(lambda: len(server.workers()) == 2)
            assert server.send(body=picture())[0] == 200
            assert server.end() == 0
        # Nobody accepts now, and who connects waits for the next one.
        with socket.create_connection(("127.0.0.1", port), 300) as one:
            one.sendall(server.head(len(picture())) + picture())
            with serving(model, tmp_path, listener) as server:
                assert server.port == port
                assert read_reply(one)[0] == 200
                # The variables were for the supervisor alone.
                (worker,) = server.workers()
                variables = Path(f"/proc/{worker}/environ").read_text()
                assert "LISTEN_" not in variables
