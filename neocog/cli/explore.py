"""``neocog explore``."""

import threading
import webbrowser

from neocog.cli.terminal import download_progress, is_terminal, say
from neocog.opening import open_network
from neocog.training.settings import check_threads
from neocog.web import Server, Session, is_loopback

__all__ = ["explore"]


def explore(
    model: str | None,
    data: str | None,
    host: str,
    port: int,
    no_browser: bool,
    threads: int | None,
    architecture: str | None = None,
) -> int:
    """Serve the page until Ctrl+C; print its address."""
    check_threads(threads)
    # First, as a port that is taken is wrong at once; what asks now waits until it is served.
    server = Server(host, port)
    try:
        opened = open_network(model, data, download_progress(), architecture)
        for note in opened.notes:
            say(note)
        if opened.data is None:
            say("Pictures can be uploaded; to train, name the data with --data.")
        if not is_loopback(host):
            say(f"Anyone who reaches {server.address} can use this page, and see and change all.")
        say("Preparing the network (its kernels are compiled the first time) …")
        session = Session(opened.network, opened.data, opened.name, threads=threads)
        print(server.address, flush=True)
        say("Stop with Ctrl+C.")
        if is_terminal() and not no_browser:
            # A browser in a terminal returns only when it is closed.
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        try:
            server.serve(session)
        finally:
            session.close()
    finally:
        server.server_close()
    return 0
